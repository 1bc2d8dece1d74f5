"""What must survive: rows in SQLite, bytes in files under their digests, and the same in memory."""
