-- What another domain signed when it took a copy of its own: the receipt as it came, and whose certificate's key signed
-- it (RFC 7515 4.1.8). Both are forgotten after `[rs] keep_receipts`.
CREATE TABLE custody (
    grant_number INTEGER PRIMARY KEY,
    receipt TEXT NOT NULL,
    signer BLOB NOT NULL,
    proof TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX custody_at ON custody (at);
CREATE INDEX custody_signer ON custody (signer);

CREATE TABLE signers (
    x5t BLOB PRIMARY KEY,
    certificate BLOB NOT NULL
) WITHOUT ROWID;
