"""Whose turn it is: destinations whose time has come, and of each what could run next.

Every statement is a walk along an index. A destination that is left alone is one row with a time in the future, however
many jobs wait behind it; a job that is not due is never looked at.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from attrs import frozen

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Ask, Candidate, Job, Looked
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import WAITING
from rrsd.drivers.store.sql.rows import PRIORITIES, RANKS, UNREADABLE, instant_of, origin_of

AGAIN = 3600.0
"""Seconds after which a destination is looked at again although nothing was heard of it."""
MOST_TURNS = 64
"""Recipients and classes of one destination that are looked at together."""
LEAST_OF_ONE = 4

_CAME = """
INSERT INTO turns (origin, recipient, priority, due) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due
"""
_CAME_AT = """
INSERT INTO destinations (origin, due) VALUES (?, ?)
ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due
"""
_ELIGIBLE = "SELECT origin FROM destinations WHERE due <= ? ORDER BY due LIMIT ?"
_NEXT = "SELECT min(due) FROM destinations WHERE due > ?"
_TURNS = "SELECT recipient, priority FROM turns WHERE origin = ? AND due <= ? ORDER BY due LIMIT ?"
_JOBS = f"""
SELECT job, digest, size, due, deadline FROM jobs INDEXED BY jobs_turn
WHERE {WAITING} AND origin = ? AND recipient = ? AND priority = ? AND due <= ? ORDER BY due, job LIMIT ?
"""
_LATER = f"""
SELECT due FROM jobs INDEXED BY jobs_turn
WHERE {WAITING} AND origin = ? AND recipient = ? AND priority = ? AND due > ? AND due < '' ORDER BY due LIMIT 1
"""
_SET_TURN = "UPDATE turns SET due = ? WHERE origin = ? AND recipient = ? AND priority = ?"
_DROP_TURN = "DELETE FROM turns WHERE origin = ? AND recipient = ? AND priority = ?"
_LATER_TURN = "SELECT min(due) FROM turns WHERE origin = ? AND due > ?"
_SET = "UPDATE destinations SET due = ? WHERE origin = ?"
_DROP = "DELETE FROM destinations WHERE origin = ? AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.origin = ?1)"
_LET = "UPDATE destinations SET due = ? WHERE origin = ? AND due > ?1"
_RECOVER = "UPDATE destinations SET due = 0"


@frozen
class _Turn:
    origin: str
    recipient: str
    rank: int

    @property
    def row(self) -> tuple[str, str, int]:
        return self.origin, self.recipient, self.rank


def came(connection: Connection, jobs: Iterable[Job]) -> None:
    """New jobs wait: their turns and destinations are due when the earliest of them is."""
    dues: dict[tuple[str, str, int], float] = {}
    origins: dict[str, float] = {}
    for job in jobs:
        if job.due is not None:
            origin, due = str(job.origin), job.due.timestamp()
            key = (origin, str(job.recipient), RANKS[job.priority])
            dues[key] = min(due, dues.get(key, due))
            origins[origin] = min(due, origins.get(origin, due))
    connection.executemany(_CAME, [(*key, due) for key, due in dues.items()])
    connection.executemany(_CAME_AT, list(origins.items()))


def eligible(connection: Connection, now: Instant, most: int) -> tuple[list[Origin], list[str]]:
    """The destinations whose time has come, longest first, and those that cannot be read."""
    found, damaged = [], []
    for (origin,) in connection.execute(_ELIGIBLE, (now.timestamp(), most)):
        try:
            found.append(origin_of(origin))
        except UNREADABLE:
            damaged.append(origin)
    return found, damaged


def set_aside(connection: Connection, damaged: Sequence[str], now: Instant) -> None:
    """Do not look at what cannot be read for a while; the self-check names its jobs."""
    connection.executemany(_SET, [(now.timestamp() + AGAIN, origin) for origin in damaged])


def next_due(connection: Connection, now: Instant) -> Instant | None:
    """When the next destination's time comes after `now`."""
    (due,) = connection.execute(_NEXT, (now.timestamp(),)).fetchone()
    return None if due is None else instant_of(due)


def look(connection: Connection, asks: Sequence[Ask], now: Instant) -> list[Looked]:
    """What could run next of each destination; none is looked at again before something new is heard of it, or its
    next job is due, or an hour has passed."""
    return [_look(connection, ask, now.timestamp()) for ask in asks]


def _turns(connection: Connection, origin: str, at: float, limit: int, most: int) -> tuple[list[_Turn], int, bool]:
    """Up to `limit` turns that have come, how many of `most` jobs each may have, and whether there may be more."""
    rows = connection.execute(_TURNS, (origin, at, limit)).fetchall()
    turns = [_Turn(origin, *row) for row in rows if row[1] in range(len(PRIORITIES))]
    return turns, max(LEAST_OF_ONE, most // max(1, len(turns))), len(rows) == limit


def _look(connection: Connection, ask: Ask, at: float) -> Looked:
    origin = str(ask.origin)
    limit = MOST_TURNS + len(ask.known)
    turns, share, is_more = _turns(connection, origin, at, limit, ask.most)
    found: list[Candidate] = []
    next_due = at + AGAIN
    for turn in turns:
        if len(found) >= ask.most:
            is_more = True
            break
        most = share + len(ask.known)
        jobs = connection.execute(_JOBS, (*turn.row, at, most)).fetchall()
        later = connection.execute(_LATER, (*turn.row, at)).fetchone()
        next_due = next_due if later is None else min(next_due, later[0])
        if not jobs:
            _mend(connection, turn, None if later is None else later[0])
        fresh = [row for row in jobs if row[0] not in ask.known]
        found += _candidates(ask.origin, turn, fresh[:share])
        is_more = is_more or len(jobs) == most or len(fresh) > share
    _put(connection, origin, at, next_due)
    return Looked(ask.origin, tuple(found), is_more)


def ready(connection: Connection, origin: Origin, most: int, now: Instant, busy: Collection[Digest]) -> list[Candidate]:
    """About `most` jobs that may run now, of as many recipients as there are, the most urgent class first and then
    what is due longest; no two with one digest, none whose digest is in `busy`. Nothing is put off by it."""
    at, found = now.timestamp(), dict[Digest, Candidate]()
    turns, share, _ = _turns(connection, str(origin), at, MOST_TURNS, most)
    jobs = [(turn, connection.execute(_JOBS, (*turn.row, at, share)).fetchall()) for turn in turns]
    each = [candidate for turn, rows in jobs for candidate in _candidates(origin, turn, rows)]
    for candidate in sorted(each, key=lambda one: (PRIORITIES.index(one.priority), one.due, one.job)):
        if candidate.digest not in busy:
            found.setdefault(candidate.digest, candidate)
    return list(found.values())


def probe(connection: Connection, origin: Origin, now: Instant, busy: Collection[Digest]) -> list[int]:
    """The number of the smallest of the next jobs, of equal ones that which ends first; none when none is due."""
    found = ready(connection, origin, MOST_TURNS, now, busy)
    return [min(found, key=lambda one: (one.size, one.deadline, one.job)).job] if found else []


def _candidates(origin: Origin, turn: _Turn, rows: Sequence[tuple[int, bytes, int, float, float]]) -> list[Candidate]:
    found = []
    for job, digest, size, due, deadline in rows:
        with suppress(*UNREADABLE):
            found.append(
                Candidate(
                    job, origin, turn.recipient, Digest(bytes(digest)), max(0, size), PRIORITIES[turn.rank],
                    instant_of(due), instant_of(deadline),
                )
            )  # fmt: skip
    return found


def _mend(connection: Connection, turn: _Turn, later: float | None) -> None:
    """The turn has nothing that is due: it comes when its next job is, or not at all."""
    if later is None:
        connection.execute(_DROP_TURN, turn.row)
    else:
        connection.execute(_SET_TURN, (later, *turn.row))


def _put(connection: Connection, origin: str, at: float, next_due: float) -> None:
    (later,) = connection.execute(_LATER_TURN, (origin, at)).fetchone()
    connection.execute(_SET, (next_due if later is None else min(later, next_due), origin))
    if later is None:
        connection.execute(_DROP, (origin,))


def put_off(connection: Connection, waits: Sequence[tuple[Origin, Instant]]) -> None:
    """Do not look at these destinations before their times, whatever waits there."""
    connection.executemany(_SET, [(until.timestamp(), str(origin)) for origin, until in waits])


def let(connection: Connection, origin: Origin, now: Instant) -> None:
    """Look at the destination now."""
    connection.execute(_LET, (now.timestamp(), str(origin)))


def recover(connection: Connection) -> None:
    """What the last run had taken up is looked for again."""
    connection.execute(_RECOVER)
