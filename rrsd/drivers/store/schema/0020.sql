-- The job that had ended and that this one does over, 0 for none.
ALTER TABLE jobs ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_again ON jobs (again) WHERE again != 0;

-- What operators have laid down: nothing starts (drain), or not from there (pause), or so much at once (limit).
CREATE TABLE rulings (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
