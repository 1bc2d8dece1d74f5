-- Which recipients of a message have been handed it on its way out; '' is for when it was first seen.
CREATE TABLE passages (
    message BLOB NOT NULL,
    recipient TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (message, recipient)
) WITHOUT ROWID;
CREATE INDEX passages_at ON passages (at);
