-- The address that the sender granted an attachment to, where it is the recipient's with an extension; else ''.
ALTER TABLE jobs ADD COLUMN granted TEXT NOT NULL DEFAULT '';
