-- Receipts know whom they are for, and what became of their tries; one that was given up has no `due` and keeps its
-- name. The table is made anew because `due` could not be empty.
CREATE TABLE owed (
    job INTEGER PRIMARY KEY,
    due REAL,
    jti TEXT NOT NULL,
    tries INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    alone INTEGER NOT NULL,
    sender TEXT NOT NULL,
    origin TEXT NOT NULL
);
INSERT INTO owed (job, due, jti, tries, refusals, alone, sender, origin)
SELECT receipts.job, receipts.due, jti, tries, 0, 0, sender, origin FROM receipts JOIN jobs ON jobs.job = receipts.job;
DROP TABLE receipts;
ALTER TABLE owed RENAME TO receipts;
CREATE INDEX receipts_due ON receipts (due) WHERE due IS NOT NULL;
CREATE INDEX receipts_at ON receipts (sender, origin, due) WHERE due IS NOT NULL;
