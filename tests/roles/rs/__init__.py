"""The Resource Server."""
