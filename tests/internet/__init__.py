"""Whole domains, talking to each other over real TLS in memory."""
