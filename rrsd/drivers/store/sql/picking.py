"""Which jobs run next. Every statement here is a walk along an index, whatever the length of the queue."""

import json
from collections.abc import Callable, Iterable, Sequence

from attrs import evolve

from rrsd.core.refusals import Damaged
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Fetch, Job, Lease, State
from rrsd.core.values.resources import Checkpoint
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.rows import JOB, Row, job_of

WAITING = "state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space')"
"""The condition of the partial indexes, letter by letter: SQLite uses them only for the very same term."""

_ADD_ALL_HISTORY = """
INSERT INTO history (job, at, before, after, event, evidence)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?) ORDER BY key
"""

_FIND = f"SELECT {JOB} FROM jobs WHERE job = ?"
# One statement for all: each step of SQLite lets another thread have the interpreter, and takes it back again.
_SET_LEASED = """
UPDATE jobs SET state = 'leased', due = NULL, condition = '', attempts = attempts + 1, epoch = epoch + 1
WHERE job IN (SELECT value FROM json_each(?))
"""
_SET_ASIDE = "UPDATE jobs SET state = 'quarantined', due = NULL WHERE job = ?"
_LOOK = """
UPDATE messages SET look = ?, facts = facts + 1
WHERE (recipient_key, message) IN (SELECT lower(recipient), message FROM jobs WHERE job = ?)
"""
_NEXT_EPOCH = """
INSERT INTO fetches (origin, digest, epoch, validator) VALUES (?, ?, 1, '')
ON CONFLICT (origin, digest) DO UPDATE SET epoch = epoch + 1 RETURNING number, epoch, validator
"""
_CHECKPOINTS = "SELECT offset, prefix, tail FROM checkpoints WHERE fetch = ? ORDER BY offset"


def checkpoints_of(connection: Connection, number: int) -> tuple[Checkpoint, ...]:
    """The durable checkpoints of the fetch with that number, oldest first."""
    rows = connection.execute(_CHECKPOINTS, (number,))
    return tuple(Checkpoint(offset, _digest(prefix), _digest(tail)) for offset, prefix, tail in rows)


def _digest(raw: bytes | None) -> Digest | None:
    return Digest(raw) if raw else None


_WANTED = f"""
SELECT job FROM jobs
WHERE job IN (SELECT value FROM json_each(?)) AND {WAITING.replace("state", "+state")} AND due <= ?
"""


def chosen(connection: Connection, wanted: Sequence[int], now: Instant) -> list[int]:
    """Those of the jobs that still wait and are due, in the order given."""
    there = {row[0] for row in connection.execute(_WANTED, (json.dumps(wanted), now.timestamp()))}
    return [number for number in wanted if number in there]


def lease(
    connection: Connection, picked: Iterable[int], now: Instant, keeps_out: Callable[[Job], bool] = lambda job: False
) -> tuple[list[Lease], list[int]]:
    """The picked jobs, LEASED, but for those that are kept out; a row that cannot be read is set aside, named, and
    keeps nobody else waiting."""
    leases, damaged = [], []
    history: list[Row] = []
    at = now.timestamp()
    for number in picked:
        try:
            job = job_of(connection.execute(_FIND, (number,)).fetchone())
        except Damaged as damage:
            connection.execute(_SET_ASIDE, (number,))
            connection.execute(_LOOK, (at, number))
            damaged.append(number)
            history.append((number, at, "ready", "quarantined", "damaged", damage.detail))
            continue
        if keeps_out(job):
            continue
        if job.state is not State.READY:
            history.append((number, at, job.state.value, "ready", "due", ""))
        history.append((number, at, "ready", "leased", "leased", ""))
        leases.append(Lease(_leased(job), _next_epoch(connection, job)))
    connection.execute(_SET_LEASED, (json.dumps([each.job.job for each in leases]),))
    add_history(connection, history)
    return leases, damaged


def add_history(connection: Connection, rows: Sequence[Row]) -> None:
    """Write transitions, in their order."""
    if rows:
        connection.execute(_ADD_ALL_HISTORY, (json.dumps(rows),))


def _leased(job: Job) -> Job:
    return evolve(job, state=State.LEASED, due=None, condition="", attempts=job.attempts + 1, epoch=job.epoch + 1)


def _next_epoch(connection: Connection, job: Job) -> Fetch:
    row = connection.execute(_NEXT_EPOCH, (str(job.origin), job.digest.raw)).fetchall()[0]
    number, epoch, validator = row
    checkpoints = checkpoints_of(connection, number) if epoch > 1 else ()
    return Fetch(job.origin, job.digest, epoch, validator, checkpoints)
