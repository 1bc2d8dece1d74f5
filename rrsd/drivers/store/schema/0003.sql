-- Clients that the administrator registered at the token service; the document is JSON.
CREATE TABLE clients (
    name TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;

-- What was revoked before its end, by the hash of its name, until nothing could take it any more.
CREATE TABLE revocations (
    name BLOB PRIMARY KEY,
    expires REAL NOT NULL
) WITHOUT ROWID;
