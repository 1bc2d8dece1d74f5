"""Names become addresses, off the reactor thread."""
