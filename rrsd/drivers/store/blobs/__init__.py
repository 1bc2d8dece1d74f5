"""Bytes: files under their digests, files on their way there, and the order of calls that makes both durable."""
