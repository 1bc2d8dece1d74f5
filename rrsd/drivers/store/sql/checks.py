"""The self-check's look at the rows (promise R7): every live job has a next time or a named condition, can be read, and
will be looked at in time. Each step looks at a bounded number of rows along an index; SQL picks out what is suspicious,
so that a queue of any length costs little.
"""

from collections.abc import Sequence
from itertools import pairwise

from attrs import frozen

from rrsd.core.refusals import Damaged
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, State
from rrsd.core.values.operations import Checked, Fault, Found
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.jobs import ADD_RECEIPT
from rrsd.drivers.store.sql.picking import WAITING
from rrsd.drivers.store.sql.rows import JOB, PRIORITIES, UNREADABLE, Row, address_of, instant_of, job_of, origin_of

Group = tuple[str, str, int]
"""An origin, a recipient and a class: what has a turn."""

ROWS = 2000
"""Rows or index entries that one step looks at."""
MOST_STRANGERS = 100

_TEXTS = ("message", "recipient", "sender", "message_id", "origin", "condition", "evidence", "granted", "blame")
_NUMBERS = ("position", "size", "retries", "attempts", "restarts", "epoch", "again")
_MOMENTS = ("accepted", "deadline", "due", "not_after", "stored", "at_risk", "held")
_FIRST, _LAST = -62135596800, 253402300799  # the instants that can be written as a date, years 1 to 9999
_BLAMES = ", ".join(f"'{blame}'" for blame in Blame)
_DAMAGE = " OR ".join(
    (
        *(f"typeof({name}) != 'text'" for name in _TEXTS),
        *(f"typeof({name}) != 'integer'" for name in _NUMBERS),
        *(f"({name} IS NOT NULL AND NOT {name} BETWEEN {_FIRST} AND {_LAST})" for name in _MOMENTS),
        "accepted IS NULL",
        "deadline IS NULL",
        "typeof(digest) != 'blob'",
        "length(digest) != 32",
        f"priority NOT BETWEEN 0 AND {len(PRIORITIES) - 1}",
        f"blame NOT IN ({_BLAMES})",
        "origin NOT GLOB 'https://?*'",
        "origin GLOB 'https://*:*[^0-9]*'",
        "recipient NOT LIKE '_%@_%'",
        "size < 0",
    )
)
_IN_WAITING = frozenset(("new", "ready", "deferred", "needs_auth", "no_space"))
_LOST = "(due IS NULL AND condition = '')"
_UNOWED = "(condition = '' AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.job = page.job AND due IS NOT NULL))"
_PAGE = "SELECT * FROM jobs INDEXED BY jobs_state WHERE state = ?1 AND job > ?2 ORDER BY job LIMIT ?3"
_END = (
    "SELECT max(job), count(*) FROM (SELECT job FROM jobs INDEXED BY jobs_state WHERE state = ?1 AND job > ?2 LIMIT ?3)"
)
_STATES = sorted(state.value for state in State)
_BETWEEN = "SELECT job, state FROM jobs INDEXED BY jobs_state WHERE state > ? AND state < ? LIMIT ?"
_BEYOND = "SELECT job, state FROM jobs INDEXED BY jobs_state WHERE state > ? LIMIT ?"
_ODD = "SELECT job, state FROM jobs INDEXED BY jobs_state WHERE state < ? LIMIT ?"

_ENTRIES = f"""
SELECT origin, recipient, priority, due FROM jobs INDEXED BY jobs_turn
WHERE {WAITING} AND due < '' AND (origin, recipient, priority) > (?, ?, ?)
ORDER BY origin, recipient, priority, due LIMIT ?
"""
_GROUPS = f"""
SELECT waits.origin, waits.recipient, waits.priority, waits.due, turns.due, destinations.due
FROM (SELECT origin, recipient, priority, min(due) AS due FROM ({_ENTRIES}) GROUP BY 1, 2, 3) AS waits
LEFT JOIN turns USING (origin, recipient, priority) LEFT JOIN destinations ON destinations.origin = waits.origin
ORDER BY 1, 2, 3
"""
_SOME_OF = f"""
SELECT job FROM jobs INDEXED BY jobs_turn WHERE {WAITING} AND origin = ? AND recipient = ? AND priority = ? LIMIT 10
"""
_MEND_TURN = f"""
INSERT INTO turns (origin, recipient, priority, due)
SELECT ?1, ?2, ?3, min(due) FROM jobs INDEXED BY jobs_turn
WHERE {WAITING} AND origin = ?1 AND recipient = ?2 AND priority = ?3 AND due < '' HAVING min(due) IS NOT NULL
ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due
"""
_MEND_DESTINATION = """
INSERT INTO destinations (origin, due) SELECT ?1, min(due) FROM turns WHERE origin = ?1 HAVING min(due) IS NOT NULL
ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due
"""
_LATE = """
SELECT origin, due FROM destinations WHERE (due, origin) > (?, ?)
AND due > (SELECT min(due) FROM turns WHERE turns.origin = destinations.origin) ORDER BY due, origin LIMIT ?
"""


def rows(connection: Connection, state: State, after: int, most: int) -> Checked[int]:
    """The next jobs of the state, by number."""
    suspicious = _DAMAGE
    if state.value in _IN_WAITING:
        suspicious = f"{suspicious} OR {_LOST}"
    if state is State.STORED:
        suspicious = f"{suspicious} OR {_UNOWED}"
    given = (state.value, after, most)
    last, number = connection.execute(_END, given).fetchone()
    found = connection.execute(f"SELECT {JOB} FROM ({_PAGE}) AS page WHERE {suspicious}", given).fetchall()
    return Checked(tuple(_judged(row) for row in found), last if number == most else None)


def _judged(row: Row) -> Found:
    try:
        job = job_of(row)
    except Damaged as damage:
        return Found(Fault.DAMAGED, row[0], damage.detail)
    if job.state is State.STORED and not job.condition:
        return Found(Fault.RECEIPT, job.job, str(job.origin))
    if job.due is None and not job.condition:
        return Found(Fault.LOST, job.job, str(job.origin))
    return Found(Fault.DAMAGED, job.job, "a value that no pull has")


def strangers(connection: Connection) -> list[Found]:
    """Jobs in a state that there is not: between those that there are, so that none of these is looked at."""
    gaps = [connection.execute(_ODD, (_STATES[0], MOST_STRANGERS))]
    gaps += [connection.execute(_BETWEEN, (one, other, MOST_STRANGERS)) for one, other in pairwise(_STATES)]
    gaps.append(connection.execute(_BEYOND, (_STATES[-1], MOST_STRANGERS)))
    return [Found(Fault.STATE, job, f"state {state!r}") for gap in gaps for job, state in gap]


def turns(connection: Connection, after: Group, most: int) -> tuple[Checked[Group], list[Group]]:
    """The next groups of waiting jobs, and those whose turn or destination is missing or later than the truth."""
    found, late = list[Found](), list[Group]()
    (number,) = connection.execute(f"SELECT count(*) FROM ({_ENTRIES})", (*after, most)).fetchone()
    groups = connection.execute(_GROUPS, (*after, most)).fetchall()
    for origin, recipient, priority, due, turn, destination in groups:
        group = (origin, recipient, priority)
        try:
            origin_of(origin), address_of(recipient)
        except UNREADABLE as error:
            some = connection.execute(_SOME_OF, group).fetchall()
            found += [Found(Fault.DAMAGED, job, f"origin or recipient: {type(error).__name__}") for (job,) in some]
            continue
        if priority not in range(len(PRIORITIES)):
            continue  # its rows are named already
        if not isinstance(turn, float) or turn > due:
            found.append(Found(Fault.TURN, 0, f"{origin} {recipient}"))
            late.append(group)
        elif not isinstance(destination, float):
            found.append(Found(Fault.DESTINATION, 0, origin))
            late.append(group)
    last = groups[-1][:3] if groups and number == most else None
    return Checked(tuple(found), last), late


def mend(connection: Connection, groups: Sequence[Group]) -> None:
    """Turns and destinations come when the earliest of their jobs does, or before."""
    for group in groups:
        connection.execute(_MEND_TURN, group)
        connection.execute(_MEND_DESTINATION, group[:1])


@frozen
class Checks:
    """Satisfies the port of that name of the Resource Retrieval Agent."""

    _engine: Engine

    async def rows(self, state: State, after: int, most: int = ROWS) -> Checked[int]:
        """The next jobs of the state."""
        return await self._engine.read(lambda connection: rows(connection, state, after, most))

    async def strangers(self) -> Sequence[Found]:
        """Jobs in no state."""
        return await self._engine.read(strangers)

    async def turns(self, after: Group, most: int = ROWS) -> Checked[Group]:
        """The next groups of waiting jobs; what is wrong with their turns is mended."""
        checked, late = await self._engine.read(lambda connection: turns(connection, after, most))
        if late:
            await self._engine.write(lambda connection: mend(connection, late))
        return checked

    async def owe(self, job: int, now: Instant) -> None:
        """The job's receipt is owed from now on."""
        row = (job, now.timestamp())
        await self._engine.write(lambda connection: connection.execute(ADD_RECEIPT, row).rowcount)

    async def late(self, than: Instant, after: str, most: int) -> Sequence[tuple[Origin, Instant]]:
        """Destinations that are looked at later than that, or then and by name after `after`, the soonest first, and
        when; damaged ones are left out."""

        def look(connection: Connection) -> list[tuple[Origin, Instant]]:
            found = []
            for origin, due in connection.execute(_LATE, (than.timestamp(), after, most)):
                try:
                    found.append((origin_of(origin), instant_of(due)))
                except UNREADABLE:
                    continue
            return found

        return await self._engine.read(look)
