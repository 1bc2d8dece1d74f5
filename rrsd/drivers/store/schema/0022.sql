-- The digest of a checkpoint's last chunk, so that a transfer goes on without hashing all that was there before. A prefix
-- is empty where the whole was not hashed as far yet.
ALTER TABLE checkpoints ADD COLUMN tail BLOB NOT NULL DEFAULT x'';
