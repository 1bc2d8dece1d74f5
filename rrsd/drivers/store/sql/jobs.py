"""Jobs and their history: every change of state and the row that explains it are written together."""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from rrsd.core.refusals import Conflict, Damaged, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Counts, HistoryRow, Job, State
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql import facts, turns
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import WAITING, add_history
from rrsd.drivers.store.sql.rows import (
    JOB,
    RANKS,
    UNREADABLE,
    Row,
    address_of,
    instant_of,
    job_of,
    job_row,
    maybe_instant,
    maybe_seconds,
)
from rrsd.drivers.store.sql.transfers import clear

_IN_LINE = ("new", "ready", "deferred", "needs_auth", "no_space")
# `refusals` counts nothing: to drop the column would rewrite the table of a queue that may be long.
_ADD = f"INSERT INTO jobs ({JOB}, refusals) VALUES ({', '.join('?' * len(JOB.split(',')))}, 0)"
_NEWEST = "SELECT ifnull(max(job), 0) FROM jobs"
_FIND = f"SELECT {JOB} FROM jobs WHERE job = ?"
_LIST = f"SELECT {JOB} FROM jobs WHERE job > ? ORDER BY job LIMIT ?"
_LIST_STATE = f"SELECT {JOB} FROM jobs WHERE state = ? AND job > ? ORDER BY job LIMIT ?"
_LIST_ORIGIN = f"SELECT {JOB} FROM jobs WHERE origin = ? AND job > ? ORDER BY job LIMIT ?"
_LIST_BOTH = f"SELECT {JOB} FROM jobs WHERE origin = ? AND state = ? AND job > ? ORDER BY job LIMIT ?"
_BEGUN = f"""
SELECT {JOB} FROM jobs WHERE job > ? AND attempts > 0
    AND +state IN ('new', 'ready', 'leased', 'deferred', 'needs_auth', 'no_space', 'held') ORDER BY job LIMIT ?
"""
_CHANGE = """
UPDATE jobs SET state = ?, priority = ?, due = ?, condition = ?, retries = ?, attempts = ?, restarts = ?,
    blame = ?, evidence = ?, stored = ?, held = ?
WHERE job = ? AND state = ? AND epoch = ?
"""
# The end of a job is moved by these events alone: an attempt's end knows the deadline that was there when it began.
# What has no room is looked at again at its end, and so at the later one.
_EXTEND = """
UPDATE jobs SET deadline = max(deadline, ?1),
    due = iif(state = 'no_space' AND due = deadline, max(deadline, ?1), due),
    not_after = coalesce(max(not_after, ?2), ?2, not_after), at_risk = NULL, watch = NULL
WHERE job = ?3 AND state = ?4 AND epoch = ?5
"""
_PUT_AT_RISK = "UPDATE jobs SET at_risk = coalesce(at_risk, ?) WHERE job = ? AND state = ? AND epoch = ?"
ADD_RECEIPT = """
INSERT INTO receipts (job, due, jti, tries, refusals, alone, sender, origin)
SELECT job, ?2, lower(hex(randomblob(16))), 0, 0, 0, sender, origin FROM jobs WHERE job = ?1
ON CONFLICT DO UPDATE SET due = excluded.due WHERE due IS NULL
"""
_HISTORY = "SELECT job, at, before, after, event, evidence FROM history WHERE job = ? ORDER BY number DESC LIMIT ?"
_COUNTS = "SELECT state, count(*), sum(size) FROM jobs GROUP BY state"
_RECOVERED = """
INSERT INTO history (job, at, before, after, event, evidence)
SELECT job, ?1, 'leased', 'ready', 'restarted', '' FROM jobs WHERE state = 'leased'
    AND job NOT IN (SELECT value FROM json_each(?2))
"""
_RECOVER = """
UPDATE jobs SET state = 'ready', due = ?1, condition = '' WHERE state = 'leased'
    AND job NOT IN (SELECT value FROM json_each(?2))
"""
_LATEST = """
SELECT max(latest) FROM (
    SELECT max(accepted) AS latest FROM (SELECT accepted FROM jobs ORDER BY job DESC LIMIT ?1)
    UNION ALL SELECT max(at) FROM (SELECT at FROM history ORDER BY number DESC LIMIT ?1)
) WHERE typeof(latest) IN ('real', 'integer')
"""
ASLEEP = (State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE)
_WOKEN = "state IN ('deferred', 'needs_auth', 'no_space')"
_WAKE = "UPDATE jobs SET state = 'ready', due = ?, condition = '' WHERE job = ? AND state = ?"
_SLEEPING_AT = f"""
SELECT job, state FROM jobs INDEXED BY jobs_turn WHERE {WAITING} AND {_WOKEN} AND origin = ?1
    AND (?2 IS NULL OR condition = ?2)
"""
_MAILBOXES = "SELECT DISTINCT recipient FROM jobs WHERE granted = ? AND granted != '' LIMIT ?"
_LAST = 1000
MOST_MAILBOXES = 100
"""Of one address."""
_SLEEPING = """
SELECT job, state FROM jobs INDEXED BY jobs_state
WHERE state = ?1 AND job > ?2 AND (?3 IS NULL OR condition = ?3) ORDER BY job LIMIT ?4
"""

_COMING = (State.NEW, State.READY, State.LEASED, State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE, State.HELD)


def add(connection: Connection, *jobs: Job) -> list[int]:
    """Write new jobs; the numbers that they got."""
    (newest,) = connection.execute(_NEWEST).fetchone()
    numbers = list(range(newest + 1, newest + 1 + len(jobs)))
    connection.executemany(_ADD, [(number, *job_row(job)) for number, job in zip(numbers, jobs, strict=True)])
    turns.came(connection, [job for job in jobs if job.state.value in _IN_LINE])
    return numbers


def find(connection: Connection, number: int) -> Job:
    """The job; refuses with Unknown or Damaged."""
    row = connection.execute(_FIND, (number,)).fetchone()
    if row is None:
        raise Unknown("job")
    return job_of(row)


def mailboxes_of(connection: Connection, granted: Address) -> list[Address]:
    """The recipients of what was granted to that address, at most `MOST_MAILBOXES`."""
    rows = connection.execute(_MAILBOXES, (str(granted), MOST_MAILBOXES))
    return [address_of(recipient) for (recipient,) in rows]


def listed(connection: Connection, state: State | None, origin: Origin | None, after: int, most: int) -> list[Job]:
    """Jobs by number; rows that cannot be read are left out."""
    statement, chosen = _LIST, ()  # type: str, tuple[str, ...]
    if origin is not None and state is not None:
        statement, chosen = _LIST_BOTH, (str(origin), state.value)
    elif origin is not None:
        statement, chosen = _LIST_ORIGIN, (str(origin),)
    elif state is not None:
        statement, chosen = _LIST_STATE, (state.value,)
    return list(readable(connection.execute(statement, (*chosen, after, most))))


def begun(connection: Connection, after: int, most: int) -> list[Job]:
    """Those that were leased and may still be, by number; rows that cannot be read are left out."""
    return list(readable(connection.execute(_BEGUN, (after, most))))


def readable(rows: Iterable[Row]) -> Iterable[Job]:
    """The jobs in rows of `JOB`; those that cannot be read are left out."""
    for row in rows:
        try:
            yield job_of(row)
        except Damaged:
            continue


def change(connection: Connection, changes: Sequence[Change]) -> None:
    """Write all of them; refuses with Conflict when one meets another state or epoch."""
    for statement, rows in _updates(changes):
        if rows and connection.executemany(statement, rows).rowcount != len(rows):
            raise Conflict("a job is not in the state that it was in")
    add_history(connection, [_explained(one) for one in changes])
    facts.note(connection, changes)
    receipts = [(one.job.job, one.at.timestamp()) for one in changes if one.receipt]
    if receipts:
        connection.executemany(ADD_RECEIPT, receipts)
    for one in changes:
        if one.forget:
            clear(connection, one.job.origin, one.job.digest)


def _updates(changes: Sequence[Change]) -> Iterable[tuple[str, list[Row]]]:
    """In the order of the changes as far as one job may have several: what moves a job's end comes before its state."""
    moved = ("extended", "released")
    yield _EXTEND, [_end(one) for one in changes if one.event in moved]
    yield _PUT_AT_RISK, [_risk(one) for one in changes if one.event == "at_risk"]
    yield _CHANGE, [_changed(one) for one in changes if one.event not in ("extended", "at_risk")]


def _end(one: Change) -> Row:
    job = one.job
    return job.deadline.timestamp(), maybe_seconds(job.not_after), job.job, one.before.value, job.epoch


def _risk(one: Change) -> Row:
    return maybe_seconds(one.job.at_risk), one.job.job, one.before.value, one.job.epoch


def _changed(one: Change) -> Row:
    job = one.job
    return (
        job.state.value, RANKS[job.priority], maybe_seconds(job.due), job.condition, job.retries, job.attempts,
        job.restarts, job.blame.value, job.evidence, maybe_seconds(job.stored), maybe_seconds(job.held), job.job,
        one.before.value, job.epoch,
    )  # fmt: skip


def _explained(one: Change) -> Row:
    return (one.job.job, one.at.timestamp(), one.before.value, one.job.state.value, one.event, one.evidence)


def history(connection: Connection, number: int, most: int) -> list[HistoryRow]:
    """The job's newest transitions, oldest first; rows that cannot be read are left out."""
    found = []
    for row in reversed(connection.execute(_HISTORY, (number, most)).fetchall()):
        with suppress(*UNREADABLE):
            found.append(HistoryRow(row[0], instant_of(row[1]), State(row[2]), State(row[3]), row[4], row[5]))
    return found


def counts(connection: Connection) -> Counts:
    """The queue in numbers, from an index alone."""
    known = {state.value for state in State}
    rows = [row for row in connection.execute(_COUNTS) if row[0] in known]
    coming = {state.value for state in _COMING}
    return Counts({State(row[0]): row[1] for row in rows}, sum(row[2] for row in rows if row[0] in coming))


def recover(connection: Connection, now: Instant, held: Collection[int]) -> int:
    """Every LEASED job but these becomes READY."""
    given = (now.timestamp(), json.dumps(list(held)))
    connection.execute(_RECOVERED, given)
    return connection.execute(_RECOVER, given).rowcount


def latest(connection: Connection) -> Instant | None:
    """The newest time among those that were written last."""
    (found,) = connection.execute(_LATEST, (_LAST,)).fetchone()
    return maybe_instant(found)


def sleeping_at(connection: Connection, origin: Origin, condition: str | None) -> list[tuple[int, str]]:
    """The jobs of the origin that a wake-up is meant for, with the state that each is in."""
    return connection.execute(_SLEEPING_AT, (str(origin), condition)).fetchall()


def sleeping(
    connection: Connection, state: State, condition: str | None, after: int, most: int
) -> list[tuple[int, str]]:
    """The next jobs in that state, by number, that a wake-up of all is meant for."""
    return connection.execute(_SLEEPING, (state.value, after, condition, most)).fetchall()


def wake(connection: Connection, jobs: Sequence[tuple[int, str]], now: Instant) -> int:
    """Make those of the jobs that are still in the state named READY; how many."""
    at = now.timestamp()
    history: list[tuple[Any, ...]] = []
    for job, state in jobs:
        if connection.execute(_WAKE, (at, job, state)).rowcount:
            history.append((job, at, state, "ready", "woken", ""))
    add_history(connection, history)
    return len(history)
