"""Time as the protocol sees it: aware UTC instants, whole seconds in tokens (RFC 7519 2 NumericDate)."""

from datetime import UTC, datetime
from typing import TypeAlias

Instant: TypeAlias = datetime


def instant(seconds: float) -> Instant:
    """The instant `seconds` after the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(moment: Instant) -> int:
    """Whole seconds from the epoch to `moment`, rounded down."""
    return int(moment.timestamp() // 1)
