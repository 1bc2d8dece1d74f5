"""What each refusal means to a shell and to a mail server: an exit status of sysexits.h and one line of advice."""

import os

from rrsd.core.refusals import (
    Conflict,
    Damaged,
    Expired,
    Forbidden,
    Malformed,
    NoSpace,
    NotGranted,
    Refusal,
    Replayed,
    TooLarge,
    TooMany,
    Unauthenticated,
    UnauthorizedClient,
    Unavailable,
    Unknown,
    UnknownClient,
    Unproven,
    Unsatisfiable,
    Unsupported,
    UnsupportedGrant,
    Withdrawn,
    WrongScope,
    WrongTarget,
)

EXITS: dict[type[Refusal], int] = {
    Malformed: os.EX_DATAERR,
    Unauthenticated: os.EX_NOPERM,
    UnknownClient: os.EX_NOPERM,
    Unproven: os.EX_NOPERM,
    Expired: os.EX_NOPERM,
    Replayed: os.EX_NOPERM,
    NotGranted: os.EX_NOPERM,
    UnsupportedGrant: os.EX_PROTOCOL,
    UnauthorizedClient: os.EX_NOPERM,
    WrongTarget: os.EX_NOPERM,
    WrongScope: os.EX_NOPERM,
    Forbidden: os.EX_NOPERM,
    Unknown: os.EX_NOUSER,
    Withdrawn: os.EX_UNAVAILABLE,
    Conflict: os.EX_CANTCREAT,
    Unsupported: os.EX_PROTOCOL,
    Unsatisfiable: os.EX_IOERR,
    TooLarge: os.EX_DATAERR,
    TooMany: os.EX_TEMPFAIL,
    Unavailable: os.EX_TEMPFAIL,
    NoSpace: os.EX_TEMPFAIL,
    Damaged: os.EX_IOERR,
}
"""Total over `rrsd.core.refusals.ALL`."""

_AGAIN = "log in again with: rrsctl login"
_BUG = "run `rrsctl check`, and report it if that finds nothing"

ADVICE: dict[type[Refusal], str] = {
    Malformed: "correct what was given",
    Unauthenticated: "log in first with: rrsctl login",
    UnknownClient: _BUG,
    Unproven: _AGAIN,
    Expired: _AGAIN,
    Replayed: _AGAIN,
    NotGranted: _AGAIN,
    UnsupportedGrant: _BUG,
    UnauthorizedClient: _BUG,
    WrongTarget: _BUG,
    WrongScope: _AGAIN,
    Forbidden: "ask the administrator of the domain",
    Unknown: "look at the spelling, or list what there is",
    Withdrawn: "ask the sender to send it again",
    Conflict: "look at its present state first",
    Unsupported: _BUG,
    Unsatisfiable: "remove the .part file and try again",
    TooLarge: "make it smaller, or ask the administrator to raise the limit",
    TooMany: "wait a little and try again",
    Unavailable: "try again later",
    NoSpace: "make space on the server's disk and try again",
    Damaged: "try again; if it stays, the administrator finds more in the daemon's log",
}
"""What to do about it, where whoever refused did not say; total like `EXITS`."""

PERMANENT: frozenset[type[Refusal]] = frozenset({Malformed, Unknown, Forbidden, TooLarge})
"""What a mail server may bounce: the message or its recipient is at fault, not this host."""


def exit_of(refusal: Refusal) -> int:
    """The exit status of a command that ended with `refusal`."""
    return EXITS[type(refusal)]


def delivery_exit_of(refusal: Refusal) -> int:
    """The exit status of `rrsctl deliver`: all that is not the message's fault is worth another try (EX_TEMPFAIL)."""
    return EXITS[type(refusal)] if type(refusal) in PERMANENT else os.EX_TEMPFAIL


def sentence_of(refusal: Refusal) -> str:
    """The one line that a person reads: the detail as it was written, or the plain meaning and the advice."""
    if refusal.detail:
        return refusal.detail
    fact = (type(refusal).__doc__ or refusal.reason).strip().split("\n")[0].rstrip(".")
    return f"{fact[0].lower()}{fact[1:]}: {ADVICE[type(refusal)]}"
