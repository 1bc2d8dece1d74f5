-- When the recipient of a grant had fetched the whole resource through a personal link.
ALTER TABLE grants ADD COLUMN downloaded REAL;

-- Personal links; of link, code and cookie only digests are kept.
CREATE TABLE links (
    key BLOB PRIMARY KEY,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX links_expires ON links (expires);

-- Codes stay for a day, so that a restart forgets nothing of how many were sent.
CREATE TABLE link_codes (
    number INTEGER PRIMARY KEY,
    link BLOB NOT NULL,
    recipient_key TEXT NOT NULL,
    code BLOB NOT NULL,
    made REAL NOT NULL,
    expires REAL NOT NULL,
    tries INTEGER NOT NULL
);
CREATE INDEX link_codes_link ON link_codes (link, made);
CREATE INDEX link_codes_recipient ON link_codes (recipient_key, made);
CREATE INDEX link_codes_made ON link_codes (made);

CREATE TABLE link_sessions (
    key BLOB PRIMARY KEY,
    link BLOB NOT NULL,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX link_sessions_expires ON link_sessions (expires);

-- Messages that we write ourselves; one that has ended has no `due` and no text, and its key is kept for a while.
CREATE TABLE notices (
    key TEXT PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    expires REAL NOT NULL,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    made REAL NOT NULL,
    tries INTEGER NOT NULL,
    due REAL
) WITHOUT ROWID;
CREATE INDEX notices_due ON notices (due) WHERE due IS NOT NULL;
CREATE INDEX notices_made ON notices (made);
