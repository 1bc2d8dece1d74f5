"""Who speaks for a domain."""
