"""Limits that have to be at least one."""

from collections.abc import Iterator

from rrsd.config.ini import Mistake

_NEEDED = {
    "dns": ("at_once", "most_addresses"),
    "fetch": ("per_host",),
    "idp": ("attempts_per_address", "attempts_per_user", "password_passes", "password_threads"),
    "sts": ("longest_chain", "exchanges_per_second", "failures_per_address", "inactive_per_client"),
    "rs": (
        "most_recipients",
        "most_attachments",
        "collect_most",
        "concurrent",
        "concurrent_all",
        "rate",
        "burst",
        "unproven",
        "renewals",
    ),
    "api": ("concurrent", "concurrent_all", "rate", "burst", "unproven"),
    "rra": ("active", "active_per_destination", "active_per_recipient", "most_message", "most_parts"),
    "mail": ("most_recipients",),
}
"""Sections and keys that are whole numbers of 1 or more."""


def mistaken_limits(settings: object) -> Iterator[Mistake]:
    """What is wrong with the limits of a daemon or of a protected API."""
    for section, names in _NEEDED.items():
        room = getattr(settings, section, None)
        for name in names if room is not None else ():
            if getattr(room, name) < 1:
                yield Mistake(section, name, 0, "with less than 1 nothing works", "write 1 or more")
