"""What operators look up in the queue and lay down about it. Each question is one of bounded steps but `shape`, which
walks along indexes."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from attrs import evolve, frozen

from rrsd.core.refusals import Conflict
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job
from rrsd.core.values.operations import Filter, Kind, Page, Ruling, ShapeRow
from rrsd.drivers.store.sql import facts
from rrsd.drivers.store.sql import jobs as rows
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.picking import WAITING, add_history
from rrsd.drivers.store.sql.rows import JOB, RANKS, instant_of

SCAN = 5000
"""Rows that one page looks at, at most."""
MOST_AHEAD = 10_000
EVERY = "1"
"""The term of a filter that leaves nothing out."""

_RULINGS = "SELECT kind, name, at, who, reason, most FROM rulings ORDER BY kind, name"
_RULE = "INSERT OR REPLACE INTO rulings (kind, name, at, who, reason, most) VALUES (?, ?, ?, ?, ?, ?)"
_UNRULE = "DELETE FROM rulings WHERE kind = ? AND name = ?"
# What is damaged may name itself or a later one: nothing goes round in a circle.
_SUCCESSOR = "SELECT max(job) FROM jobs WHERE again = ? AND again != 0 AND job > again"
_POINT = """
UPDATE parts SET job = ?1
WHERE number = (SELECT number FROM messages WHERE recipient_key = ?2 AND message = ?3) AND position = ?4
"""
_BEFORE = f"""
SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_turn
    WHERE {WAITING} AND origin = ? AND priority = ? AND due < ? LIMIT {MOST_AHEAD})
"""
_TERMS = {
    "origin": "origin = ?",
    "recipient": "recipient = ? COLLATE NOCASE",
    "sender": "sender = ?",
    "condition": "condition = ?",
    "older": "accepted < ?",
}


# What has arrived or is lost is at risk no more; when it was remains to be read in its row.
_AT_RISK = (
    "at_risk IS NOT NULL AND state NOT IN ('stored', 'receipted', 'failed', 'expired', 'cancelled', 'quarantined')"
)


def rulings(connection: Connection) -> list[Ruling]:
    """Everything that was laid down; what cannot be read is left out."""
    known = {kind.value for kind in Kind}
    return [
        Ruling(Kind(kind), name, instant_of(at), who, reason, most)
        for kind, name, at, who, reason, most in connection.execute(_RULINGS)
        if kind in known
    ]


def _given(wanted: Filter) -> tuple[str, list[Any]]:
    """The terms of a filter beyond the state, and their values."""
    values: dict[str, Any] = {
        "origin": str(wanted.origin) if wanted.origin else None,
        "recipient": wanted.recipient or None,
        "sender": wanted.sender or None,
        "condition": wanted.condition or None,
        "older": wanted.older.timestamp() if wanted.older else None,
    }
    chosen = {name: value for name, value in values.items() if value is not None}
    terms = [_TERMS[name] for name in chosen] + [_AT_RISK] * wanted.at_risk
    return " AND ".join(terms) or EVERY, list(chosen.values())


def chosen(connection: Connection, wanted: Filter, after: int, most: int) -> Page:
    """The next jobs by number; rows that cannot be read are left out."""
    terms, values = _given(wanted)
    looked, given = _looked(wanted, after)
    last, number = connection.execute(f"SELECT max(job), count(*) FROM ({looked})", given).fetchone()
    found = connection.execute(
        f"SELECT {JOB} FROM ({looked}) WHERE {terms} LIMIT ?", [*given, *values, most]
    ).fetchall()
    if len(found) == most:
        last, number = found[-1][0], SCAN
    return Page(tuple(rows.readable(found)), last if number == SCAN else None)


def counted(connection: Connection, wanted: Filter, after: int) -> tuple[int, int | None]:
    """How many of the next rows are meant, and after which number to go on; None when that was all."""
    terms, values = _given(wanted)
    looked, given = _looked(wanted, after, "job" if terms == EVERY else "*")
    found, last, number = connection.execute(
        f"SELECT total({terms}), max(job), count(*) FROM ({looked})", [*values, *given]
    ).fetchone()
    return int(found), last if number == SCAN else None


def _looked(wanted: Filter, after: int, columns: str = "*") -> tuple[str, list[Any]]:
    """The rows that one step looks at, and its values."""
    state = "state = ? AND" if wanted.state else ""
    among = "jobs INDEXED BY jobs_at_risk WHERE at_risk IS NOT NULL AND" if wanted.at_risk else "jobs WHERE"
    given = [wanted.state.value] if wanted.state else []
    return f"SELECT {columns} FROM {among} {state} job > ? ORDER BY job LIMIT ?", [*given, after, SCAN]


def ahead(connection: Connection, job: Job) -> int:
    """How many of its destination are due before it, in its class or a better one; at most `MOST_AHEAD` are counted."""
    if job.due is None:
        return 0
    ranks = range(RANKS[job.priority] + 1)
    due = job.due.timestamp()
    return sum(connection.execute(_BEFORE, (str(job.origin), rank, due)).fetchone()[0] for rank in ranks)


# --- shape: age by destination

_NEWEST = "SELECT max(job) FROM jobs"
_ACCEPTED = "SELECT job, accepted FROM jobs WHERE job >= ? ORDER BY job LIMIT 1"


def _first_since(connection: Connection, at: float) -> int:
    """The first number of a job that was accepted then or later: numbers rise with time, so that an age is a number,
    and the grouped query needs nothing but an index."""
    low, high = 1, (connection.execute(_NEWEST).fetchone()[0] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_ACCEPTED, (middle,)).fetchone()
        if row is None or (isinstance(row[1], float) and row[1] >= at):
            high = middle
        else:
            low = row[0] + 1
    return low


def shape(connection: Connection, edges: Sequence[Instant], most: int) -> list[ShapeRow]:
    """The `most` destinations with most live jobs, those first, then one row for the rest; `edges` are the instants
    between the columns, newest first."""
    numbers = [_first_since(connection, edge.timestamp()) for edge in edges]
    sums = ", ".join(f"total(job >= {number}) AS c{index}" for index, number in enumerate(numbers))
    adding = ", ".join(f"total(c{index})" for index in range(len(numbers)))
    one = f"SELECT origin, count(*) AS number, {sums} FROM jobs"
    counted = f"""
    WITH each AS MATERIALIZED (
        {one} INDEXED BY jobs_turn WHERE {WAITING} GROUP BY origin
        UNION ALL {one} WHERE state = 'leased' GROUP BY origin
        UNION ALL {one} WHERE state = 'held' GROUP BY origin),
    whole AS MATERIALIZED (
        SELECT origin, total(number) AS number, {_renamed(len(numbers))} FROM each GROUP BY origin ORDER BY 2 DESC, 1)
    """
    both = f"""
    {counted} SELECT * FROM (SELECT 1, * FROM whole LIMIT ?1)
    UNION ALL SELECT count(*), NULL, total(number), {adding} FROM (SELECT * FROM whole LIMIT -1 OFFSET ?1)
    """
    *top, rest = connection.execute(both, (most,)).fetchall()
    shaped = [ShapeRow(str(row[1]), _differences(row[2], row[3:])) for row in top]
    return [*shaped, ShapeRow("", _differences(rest[2], rest[3:]), rest[0])] if rest[0] else shaped


def _renamed(number: int) -> str:
    return ", ".join(f"total(c{index}) AS c{index}" for index in range(number))


def _differences(total: float, since: Sequence[float]) -> tuple[int, ...]:
    """From how many are at most so old to how many are of each age."""
    upto = [0, *(int(each) for each in since), int(total)]
    return tuple(after - before for before, after in pairwise(upto))


# --- once more


def requeue(connection: Connection, old: Job, fresh: Job, now: Instant) -> int:
    """The number of the new job that takes the place of the one that has ended; refuses with Conflict when that is in
    another state by now, or has been done over."""
    current = rows.find(connection, old.job)
    if current.state is not old.state or connection.execute(_SUCCESSOR, (old.job,)).fetchone()[0] is not None:
        raise Conflict("the job has changed meanwhile")
    (number,) = rows.add(connection, evolve(fresh, again=old.job))
    connection.execute(_POINT, (number, old.recipient.key, old.message, old.index))
    facts.begin_again(connection, old)
    at = now.timestamp()
    add_history(
        connection,
        [
            (old.job, at, old.state.value, old.state.value, "requeued", f"pull {number} takes its place"),
            (number, at, "new", "new", "requeued", f"takes the place of pull {old.job}"),
        ],
    )
    return number


@frozen
class Books:
    """The operator's view of the queue; satisfies the port of the same name of the Resource Retrieval Agent."""

    _engine: Engine

    async def rule(self, ruling: Ruling) -> None:
        """It is so from now on, also after a restart."""
        row = (ruling.kind.value, ruling.name, ruling.at.timestamp(), ruling.who, ruling.reason, ruling.most)
        await self._engine.write(lambda connection: connection.execute(_RULE, row).rowcount)

    async def unrule(self, kind: Kind, name: str) -> None:
        """It is not so any more."""
        await self._engine.write(lambda connection: connection.execute(_UNRULE, (kind.value, name)).rowcount)

    async def chosen(self, wanted: Filter, after: int, most: int) -> Page:
        """The next jobs by number."""
        return await self._engine.read(lambda connection: chosen(connection, wanted, after, most))

    async def count(self, wanted: Filter) -> int:
        """How many there are, counted step by step."""
        found, after = 0, 0
        while True:
            some, last = await self._engine.read(partial(counted, wanted=wanted, after=after))
            found += some
            if last is None:
                return found
            after = last

    async def ahead(self, job: Job) -> int:
        """How many of its destination go before it."""
        return await self._engine.read(lambda connection: ahead(connection, job))

    async def shape(self, edges: Sequence[Instant], most: int) -> Sequence[ShapeRow]:
        """Live jobs by destination and age."""
        return await self._engine.read(lambda connection: shape(connection, edges, most))

    async def successor(self, job: int) -> int | None:
        """The job that took the place of the one that has ended."""
        return await self._engine.read(lambda connection: connection.execute(_SUCCESSOR, (job,)).fetchone()[0])

    async def requeue(self, old: Job, fresh: Job, now: Instant) -> int:
        """A new job in the place of one that has ended; refuses with Conflict."""
        return await self._engine.write(lambda connection: requeue(connection, old, fresh, now))
