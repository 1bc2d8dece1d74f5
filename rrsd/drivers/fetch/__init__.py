"""The only way out over HTTP."""
