"""Whether a token holds now (RFC 7519 4.1.4 to 4.1.6)."""

from datetime import timedelta

from rrsd.core.refusals import Expired, Unproven
from rrsd.core.values.instants import Instant
from rrsd.core.wire.claims import Times

SKEW = timedelta(seconds=30)
"""How far two clocks may be apart."""


def require_current(times: Times, most_life: timedelta, now: Instant) -> None:
    """None if `now` is between begin and end, give or take `SKEW`.

    Raises:
        Expired: it is over, has not begun, or was issued in the future.
        Unproven: it lives longer than `most_life`.
    """
    if times.expires - times.issued > most_life:
        raise Unproven("the token lives too long")
    if now >= times.expires + SKEW:
        raise Expired("the token is over")
    if now + SKEW < max(times.issued, times.not_before):
        raise Expired("the token is from the future")
