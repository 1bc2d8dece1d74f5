"""Deadlines that are to be looked at: a walk along an index."""

from collections.abc import Sequence

from rrsd.core.refusals import Damaged
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import WAITING
from rrsd.drivers.store.sql.rows import JOB, job_of

_WATCHED = "state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space', 'leased')"
_LOOK = "coalesce(watch, max(accepted, min((accepted + deadline) / 2, deadline - size / 524288.0)))"
_DUE = f"SELECT {JOB} FROM jobs INDEXED BY jobs_watch WHERE {_WATCHED} AND {_LOOK} <= ? ORDER BY {_LOOK} LIMIT ?"
_LOOKED = "UPDATE jobs SET watch = ? WHERE job = ?"
_MEND = f"""
UPDATE jobs SET due = ?1 WHERE job IN (
    SELECT job FROM turns CROSS JOIN jobs INDEXED BY jobs_turn USING (origin, recipient, priority)
    WHERE {WAITING} AND jobs.due > ?2 AND jobs.due < '' LIMIT ?3
)
"""
_ANEW = f"""
UPDATE jobs SET watch = ?1 WHERE job IN (
    SELECT job FROM jobs INDEXED BY jobs_watch WHERE {_WATCHED} AND {_LOOK} > ?1 LIMIT ?2
)
"""
_MEND_DESTINATIONS = "UPDATE destinations SET due = ?1 WHERE due > ?2"
LATER = 86400.0
"""Seconds until a row that cannot be read is looked at again; the self-check names it."""


def due(connection: Connection, now: Instant, most: int) -> tuple[list[Job], list[int]]:
    """The jobs whose deadlines are to be looked at, longest due first, and the numbers of those that cannot be read."""
    found, damaged = [], []
    for row in connection.execute(_DUE, (now.timestamp(), most)):
        try:
            found.append(job_of(row))
        except Damaged:
            damaged.append(row[0])
    return found, damaged


def looked(connection: Connection, looks: Sequence[tuple[int, Instant]]) -> None:
    """Each is looked at again then."""
    connection.executemany(_LOOKED, [(at.timestamp(), job) for job, at in looks])


def set_aside(connection: Connection, damaged: Sequence[int], now: Instant) -> None:
    """Do not look at what cannot be read for a day."""
    connection.executemany(_LOOKED, [(now.timestamp() + LATER, job) for job in damaged])


def mend(connection: Connection, beyond: Instant, now: Instant, most: int) -> int:
    """Let waiting jobs that are due after `beyond` be due now, and the picker look at their destinations; how many
    jobs."""
    times = (now.timestamp(), beyond.timestamp())
    connection.execute(_MEND_DESTINATIONS, times)
    return connection.execute(_MEND, (*times, most)).rowcount


def anew(connection: Connection, now: Instant, most: int) -> int:
    """Let jobs whose deadlines are to be looked at later be looked at now; how many."""
    return connection.execute(_ANEW, (now.timestamp(), most)).rowcount
