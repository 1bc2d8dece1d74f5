"""OpenSSL contexts and connection creators: serve, call, reload."""
