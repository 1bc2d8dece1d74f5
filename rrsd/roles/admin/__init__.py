"""The operator's window: health, readiness, metrics, users, keys and reload, on a local endpoint."""
