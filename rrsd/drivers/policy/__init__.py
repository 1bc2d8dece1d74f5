"""Policy: who may do what, decided by Cedar over a typed schema."""
