-- The end that the sender gave a grant, where renewals have moved it since.
ALTER TABLE grants ADD COLUMN promised REAL;
