-- How many bytes per second a destination delivers; written when it is twice or half of what stands here.
CREATE TABLE rates (
    origin TEXT PRIMARY KEY,
    rate REAL NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX rates_at ON rates (at);
