-- What a destination is known to bear at once, and how much patience one more costs.
ALTER TABLE breakers ADD COLUMN ceiling INTEGER NOT NULL DEFAULT 0;
ALTER TABLE breakers ADD COLUMN patience INTEGER NOT NULL DEFAULT 1;

-- Why a destination or an issuer is asked as often and as much at once as it is; the newest of each are kept.
CREATE TABLE adjustments (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    before INTEGER NOT NULL,
    after INTEGER NOT NULL,
    until REAL,
    reason TEXT NOT NULL
);
CREATE INDEX adjustments_name ON adjustments (name, number);
