"""The breakers of destinations and issuers, and how each came to be as it is."""

from contextlib import suppress

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Adjustment, Breaker
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.rows import UNREADABLE, instant_of, maybe_instant, maybe_seconds

MOST_OF_ONE, MOST = 20, 100_000
"""Changes that are kept of one name, and in all."""

_BREAKER = "name, failures, cohorts, opened, not_before, probes, most, reason, ceiling, patience"
_BREAKERS = f"SELECT {_BREAKER} FROM breakers WHERE kind = ?"
_SAVE = f"INSERT OR REPLACE INTO breakers (kind, {_BREAKER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADJUSTMENT = "kind, name, at, event, before, after, until, reason"
_ADD = f"INSERT INTO adjustments ({_ADJUSTMENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET = """
DELETE FROM adjustments WHERE number IN (
    SELECT number FROM adjustments WHERE name = ?1 ORDER BY number DESC LIMIT -1 OFFSET ?2
)
"""
_FORGET_OLD = "DELETE FROM adjustments WHERE number <= ?"
_RATES = "SELECT origin, rate FROM rates WHERE rate > 0 ORDER BY at DESC LIMIT ?"
_SAVE_RATE = "INSERT OR REPLACE INTO rates (origin, rate, at) VALUES (?, ?, ?)"
_FORGET_RATES = "DELETE FROM rates WHERE at < ?"
RATES_KEPT = 180 * 86400.0
"""Seconds for which the rate of a destination that delivers nothing is kept."""
_OF_ONE = f"SELECT {_ADJUSTMENT} FROM adjustments WHERE name = ? ORDER BY number DESC LIMIT ?"
_OF_ALL = f"SELECT {_ADJUSTMENT} FROM adjustments ORDER BY number DESC LIMIT ?"


def breakers(connection: Connection, kind: str) -> list[Breaker]:
    """The saved breakers of a kind; one that cannot be read is left out: it only saves probes."""
    found = []
    for row in connection.execute(_BREAKERS, (kind,)):
        with suppress(*UNREADABLE):
            found.append(Breaker(row[0], row[1], row[2], maybe_instant(row[3]), maybe_instant(row[4]), *row[5:]))
    return found


def save(connection: Connection, kind: str, breaker: Breaker, adjustment: Adjustment | None) -> None:
    """Remember a breaker by its name, and the change that led there."""
    row = (
        kind, breaker.name, breaker.failures, breaker.cohorts, maybe_seconds(breaker.opened),
        maybe_seconds(breaker.not_before), breaker.probes, breaker.limit, breaker.reason, breaker.ceiling,
        breaker.patience,
    )  # fmt: skip
    connection.execute(_SAVE, row)
    if adjustment is not None:
        _add(connection, adjustment)


def _add(connection: Connection, one: Adjustment) -> None:
    row = (
        one.kind, one.name, one.at.timestamp(), one.event, one.before, one.after, maybe_seconds(one.until), one.reason,
    )  # fmt: skip
    number = connection.execute(_ADD, row).lastrowid
    assert number is not None
    connection.execute(_FORGET, (one.name, MOST_OF_ONE))
    connection.execute(_FORGET_OLD, (number - MOST,))


def adjustments(connection: Connection, name: str, most: int) -> list[Adjustment]:
    """The changes of the breakers of that name, of all when it is "", newest first."""
    rows = connection.execute(_OF_ONE, (name, most)) if name else connection.execute(_OF_ALL, (most,))
    return [
        Adjustment(row[0], row[1], instant_of(row[2]), row[3], row[4], row[5], maybe_instant(row[6]), row[7])
        for row in rows
    ]


def rates(connection: Connection, most: int) -> list[tuple[str, float]]:
    """The newest rates, oldest first; one that cannot be read is left out: it is learned again."""
    rows = connection.execute(_RATES, (most,)).fetchall()
    return [(name, rate) for name, rate in reversed(rows) if isinstance(name, str) and isinstance(rate, float)]


def save_rate(connection: Connection, origin: Origin, rate: float, now: Instant) -> None:
    """Remember a destination's rate; forget those of long ago."""
    connection.execute(_SAVE_RATE, (str(origin), rate, now.timestamp()))
    connection.execute(_FORGET_RATES, (now.timestamp() - RATES_KEPT,))
