"""The Resource Server: bytes for those who were granted them, and the way in for our own users."""
