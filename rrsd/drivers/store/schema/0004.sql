-- Placeholders on their way into mailboxes; `queue` is the mail server's name for the message, evidence what proved
-- its author. What is over is kept for a while, so that what comes again is not delivered again.
CREATE TABLE holds (
    recipient_key TEXT NOT NULL,
    digest BLOB NOT NULL,
    queue TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL,
    evidence TEXT NOT NULL,
    since REAL NOT NULL,
    stand TEXT NOT NULL,
    PRIMARY KEY (recipient_key, digest, queue)
) WITHOUT ROWID;

CREATE INDEX holds_by_stand ON holds (stand, since);
CREATE INDEX holds_by_age ON holds (since);
