"""What has happened to the attachments of messages that somebody may have to be told.

A message that nothing has to be said of is never looked at: it has no time at which it should be. Whatever ends a pull
without its bytes gives it one, in the same transaction; so does every end after that.
"""

import json
from collections.abc import Sequence

from attrs import frozen
from twisted.logger import Logger

from rrsd.core.refusals import Damaged
from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import ENDED, Change, Job, State
from rrsd.core.values.notices import Missing, Plight, Said
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import (
    JOB,
    UNREADABLE,
    Row,
    address_of,
    instant_of,
    job_of,
    maybe_instant,
    maybe_seconds,
)

MOST_EXAMPLES = 20
_OVER = ENDED | {State.STORED, State.RECEIPTED}
_KNOWN = {state.value: state for state in State}
AT_RISK = "at_risk"
"""The event of a pull whose time will not do."""

_NOTE = """
UPDATE messages SET look = ?, facts = facts + 1
WHERE (recipient_key, message) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
"""
_NOTE_MORE = f"{_NOTE} AND facts > 0"
_DUE = """
SELECT number, message, recipient, sender, message_id, subject, received, answerable, said, facts FROM messages
WHERE look <= ? ORDER BY look LIMIT ?
"""
_NEXT = "SELECT min(look) FROM messages WHERE look < ''"  # text is never a time
_LOOKED = "UPDATE messages SET said = ?, look = ? WHERE number = ? AND facts = ?"
_AGAIN, _FAILED = int(Said.BEGUN_AGAIN), int(Said.RECIPIENT_FAILED | Said.SENDER_FAILED)
_BEGIN_AGAIN = f"""
UPDATE messages SET said = (said & ~{_FAILED}) | {_AGAIN}, facts = facts + 1 WHERE recipient_key = ? AND message = ?
"""
# What was said of a failure says nothing of what has begun again since.
_SAID = f"""
UPDATE messages SET said = said | (?1 & CASE WHEN said & {_AGAIN} THEN ~{_FAILED} ELSE -1 END) WHERE number = ?2
"""
_DROP = "UPDATE messages SET look = NULL WHERE number = ?"
_SENDER = "SELECT sender FROM messages WHERE number = ? AND answerable"
_STATES = """
SELECT state, count(*), min(at_risk), max(deadline)
FROM parts JOIN jobs ON jobs.job = parts.job WHERE number = ? GROUP BY state
"""
_EXAMPLES = f"""
SELECT {", ".join(f"jobs.{column}" for column in JOB.split(", "))}, filename
FROM parts JOIN jobs ON jobs.job = parts.job
WHERE number = ? AND state NOT IN ('stored', 'receipted') ORDER BY state = 'cancelled', parts.position LIMIT ?
"""


def note(connection: Connection, changes: Sequence[Change]) -> None:
    """Somebody may have to be told of these changes; of most of them nobody has."""
    ended = [one for one in changes if one.job.state in ENDED or one.event == AT_RISK]
    came = [one for one in changes if one.job.state is State.STORED]
    for statement, some in ((_NOTE, ended), (_NOTE_MORE, came)):
        if some:
            names = {(one.job.recipient.key, one.job.message) for one in some}
            connection.execute(statement, (max(one.at for one in some).timestamp(), json.dumps(sorted(names))))


def begin_again(connection: Connection, job: Job) -> None:
    """A new pull takes the place of one of that message: when it is lost as well, that is said too."""
    connection.execute(_BEGIN_AGAIN, (job.recipient.key, job.message))


@frozen
class Facts:
    """Messages that something may have to be said of; satisfies the port of the same name of the Resource Retrieval
    Agent."""

    _log = Logger()

    _engine: Engine

    async def due(self, now: Instant, most: int) -> Sequence[Plight]:
        """At most `most` whose time has come; one whose row is damaged is named in the log and holds up none."""

        def look(connection: Connection) -> tuple[list[Plight], list[int]]:
            found, damaged = [], []
            for row in connection.execute(_DUE, (now.timestamp(), most)).fetchall():
                try:
                    found.append(_plight(connection, row))
                except UNREADABLE:
                    damaged.append(row[0])
            return found, damaged

        async def drop(damaged: list[int]) -> None:
            rows = [(each,) for each in damaged]
            await self._engine.write(lambda connection: connection.executemany(_DROP, rows).rowcount)
            for number in damaged:
                self._log.error("store: row of message {number} is damaged; nobody is told about it", number=number)

        return await self._engine.readable(look, drop)

    async def next_due(self) -> Instant | None:
        """When the next one's time comes; None when nothing waits."""

        return await self._engine.read(lambda connection: maybe_instant(connection.execute(_NEXT).fetchone()[0]))

    async def looked(self, plight: Plight, said: Said, look: Instant | None) -> None:
        """So much was said of it, and it is to be looked at then; at once, if something has happened since."""

        def looked(connection: Connection) -> None:
            row = (int(said), maybe_seconds(look), plight.number, plight.facts)
            if not connection.execute(_LOOKED, row).rowcount:
                connection.execute(_SAID, (int(said), plight.number))

        await self._engine.write(looked)

    async def answerable(self, number: int) -> Address | None:
        """The sender of the message with that number, if their address was proved; None otherwise."""

        def find(connection: Connection) -> Address | None:
            row = connection.execute(_SENDER, (number,)).fetchone()
            return None if row is None else address_of(row[0])

        return await self._engine.read(find)


def _plight(connection: Connection, row: Row) -> Plight:
    counts: dict[State, int] = {}
    until, risks = row[6], []
    for state, count, at_risk, deadline in connection.execute(_STATES, (row[0],)):
        known = _KNOWN.get(state, State.QUARANTINED)
        counts[known] = counts.get(known, 0) + count
        risks += [at_risk] if at_risk is not None and known not in _OVER else []
        until = max(until, deadline)
    over = sum(counts.get(state, 0) for state in _OVER)
    ended = sum(counts.get(state, 0) for state in ENDED)
    cancelled, parts = counts.get(State.CANCELLED, 0), sum(counts.values())
    return Plight(
        number=row[0], message=row[1], recipient=address_of(row[2]), sender=address_of(row[3]), message_id=row[4],
        subject=row[5], received=instant_of(row[6]), is_answerable=bool(row[7]), said=Said(row[8]), facts=row[9],
        parts=parts, missing=parts - over, failed=ended - cancelled, cancelled=cancelled,
        at_risk=maybe_instant(min(risks, default=None)),
        until=instant_of(until), examples=_examples(connection, row[0]),
    )  # fmt: skip


def _examples(connection: Connection, number: int) -> tuple[Missing, ...]:
    found = []
    for *job, filename in connection.execute(_EXAMPLES, (number, MOST_EXAMPLES)):
        try:
            found.append(Missing(job_of(tuple(job)), str(filename)))
        except Damaged:
            continue
    return tuple(found)
