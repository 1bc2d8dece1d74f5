"""rrsd: the daemon that replaces the mail attachment."""

__version__ = "26.11.0"
