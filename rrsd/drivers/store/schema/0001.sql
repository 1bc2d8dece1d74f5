-- Instants are seconds from the epoch, digests their 32 bytes, flags 0 or 1, addresses as written with a lower-case key.

CREATE TABLE users (
    key TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    password TEXT NOT NULL,
    suspended INTEGER NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE codes (
    key TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    nonce TEXT NOT NULL,
    auth_time REAL NOT NULL,
    expires REAL NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX codes_expires ON codes (expires);

CREATE TABLE refreshes (
    key TEXT PRIMARY KEY,
    family TEXT NOT NULL,
    client_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    scope TEXT NOT NULL,
    auth_time REAL NOT NULL,
    expires REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    revoked INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX refreshes_family ON refreshes (family);
CREATE INDEX refreshes_expires ON refreshes (expires);

-- A family stays revoked although its rows have expired and a late link is still to be added.
CREATE TABLE revoked (
    family TEXT PRIMARY KEY,
    expires REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE replays (
    once BLOB PRIMARY KEY,
    expires REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX replays_expires ON replays (expires);

CREATE TABLE chunks (
    digest BLOB PRIMARY KEY,
    list BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE uploads (
    upload TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    owner TEXT NOT NULL,
    size INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    expires REAL NOT NULL,
    digest BLOB
) WITHOUT ROWID;
CREATE INDEX uploads_expires ON uploads (expires);
CREATE INDEX uploads_digest ON uploads (digest, owner_key, expires) WHERE digest IS NOT NULL;

CREATE TABLE grants (
    number INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    sender_key TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient_key TEXT NOT NULL,
    recipient TEXT NOT NULL,
    not_after REAL NOT NULL,
    media_type TEXT NOT NULL,
    filename TEXT NOT NULL,
    withdrawn INTEGER NOT NULL,
    receipted REAL,
    UNIQUE (digest, recipient_key, message_id)
);
CREATE INDEX grants_sender ON grants (sender_key, number);
CREATE INDEX grants_message ON grants (message_id, sender_key);

CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    message TEXT NOT NULL,
    recipient_key TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    date TEXT NOT NULL,
    received REAL NOT NULL,
    raw BLOB NOT NULL,
    raw_size INTEGER NOT NULL,
    UNIQUE (recipient_key, message)
);
CREATE INDEX messages_received ON messages (recipient_key, received);
CREATE INDEX messages_raw ON messages (raw);

-- Parts that no job brings have job 0 and keep the arrival and the explanation that they came with.
CREATE TABLE parts (
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    job INTEGER NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    filename TEXT NOT NULL,
    arrival TEXT NOT NULL,
    explanation TEXT NOT NULL,
    PRIMARY KEY (number, position)
) WITHOUT ROWID;
CREATE INDEX parts_digest ON parts (digest);

CREATE TABLE jobs (
    job INTEGER PRIMARY KEY,
    message TEXT NOT NULL,
    position INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    accepted REAL NOT NULL,
    deadline REAL NOT NULL,
    due REAL,
    condition TEXT NOT NULL,
    retries INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    blame TEXT NOT NULL,
    evidence TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    not_after REAL,
    stored REAL
);
CREATE INDEX jobs_digest ON jobs (digest);
CREATE INDEX jobs_state ON jobs (state, job, size);
-- The picker reads nothing but this: a job that is not due, or not waiting, is never looked at.
CREATE INDEX jobs_waiting ON jobs (origin, priority, due, job, digest)
    WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space');
CREATE INDEX jobs_due ON jobs (due)
    WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space');

CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    at REAL NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    event TEXT NOT NULL,
    evidence TEXT NOT NULL
);
CREATE INDEX history_job ON history (job);

CREATE TABLE fetches (
    number INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    digest BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    validator TEXT NOT NULL,
    UNIQUE (origin, digest)
);

CREATE TABLE checkpoints (
    fetch INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    PRIMARY KEY (fetch, offset)
) WITHOUT ROWID;

-- The outbox: a STORED job whose receipt the sender's resource server has not acknowledged.
CREATE TABLE receipts (
    job INTEGER PRIMARY KEY,
    due REAL NOT NULL,
    jti TEXT NOT NULL,
    tries INTEGER NOT NULL
);
CREATE INDEX receipts_due ON receipts (due);

CREATE TABLE breakers (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    failures INTEGER NOT NULL,
    cohorts INTEGER NOT NULL,
    opened REAL,
    not_before REAL,
    probes INTEGER NOT NULL,
    most INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
