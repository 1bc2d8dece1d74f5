"""Everyday Twisted, free of the domain: trees, loops, threads, deadlines, limits, logs and the TLS transport."""
