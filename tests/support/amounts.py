"""How large the large attachment of `make mail` is: what issue 4 asks for, or what the disk has room for."""

import os
import shutil
import tempfile

from attrs import frozen

from rrsd.cli.output import parse_size, size

WANTED = 5 << 30
VARIABLE = "RRSD_MAIL_SIZE"
CHOSEN = "RRSD_MAIL_CHOSEN"
"""The octets that were chosen and told of before the first suite: what the others use of the disk changes nothing."""
COPIES = 5
"""Of the attachment, at most, at the same time: a blob in each domain, and base64 of it twice at Dovecot."""
RESERVE = 2 << 30
"""For everything else that is on the disk meanwhile."""
_LEAST = 16 << 20


@frozen
class Amount:
    """Octets, and what people are told about them."""

    octets: int
    told: str


def amount(free: int, asked: str, place: str, *, is_ci: bool = False) -> Amount:
    """What is attached where so much is free; `asked` is a size like 200MiB, or "". Where `is_ci`, less than what the
    issue asks for has to be asked for too.

    Raises:
        Malformed: it is no size.
        AssertionError: there is no room for it; the text says what to do.
    """
    room = max(0, (free - RESERVE) // COPIES) >> 20 << 20
    has = f"{size(free)} free in {place}"
    if asked:
        octets = parse_size(asked)
        least = "" if octets <= room else f"{size(octets * COPIES + RESERVE)} needed, {has}"
        assert not least, f"{VARIABLE}={asked}: {least}; ask for less, or name another disk with TMPDIR"
        return Amount(octets, f"{size(octets)}, because {VARIABLE} says so")
    if room >= WANTED:
        return Amount(WANTED, f"{size(WANTED)} ({has}; {VARIABLE}=200MiB is quicker)")
    assert room >= _LEAST, f"{has}: no room for an attachment worth the name; name another disk with TMPDIR"
    needed = size(WANTED * COPIES + RESERVE)
    told = f"ONLY {size(room)}, NOT {size(WANTED)}: {has}, {needed} needed. Make room, or name another disk with TMPDIR"
    assert not is_ci, f"{told}; CI passes with less only where {VARIABLE} says how much, as in {VARIABLE}=200MiB"
    return Amount(room, told)


def chosen() -> int:
    """The octets to attach; raises as `amount`."""
    return int(os.environ.get(CHOSEN, "0")) or amount_here().octets


def amount_here() -> Amount:
    """On the disk that temporary files go to.

    Raises:
        Malformed, AssertionError: as `amount`.
    """
    place = tempfile.gettempdir()
    is_ci = os.environ.get("CI", "").lower() in ("true", "1", "yes")
    return amount(shutil.disk_usage(place).free, os.environ.get(VARIABLE, ""), place, is_ci=is_ci)
