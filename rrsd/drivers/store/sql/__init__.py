"""Rows: one writer that commits for many at once, readers beside it, and the ports over them."""
