"""Messages by recipient, each part with how far its attachment has come."""

from collections.abc import Sequence

from attrs import evolve, frozen
from twisted.logger import Logger

from rrsd.core.refusals import Damaged, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.drivers.store.sql import jobs as job_rows
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of, maybe_seconds

_MESSAGE = "number, message, recipient, sender, message_id, subject, date, received, raw, raw_size"
_ADD = f"""
INSERT OR IGNORE INTO messages ({_MESSAGE.removeprefix("number, ")}, recipient_key, answerable, look)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PART = "position, job, digest, size, media_type, filename, arrival, explanation"
_ADD_PART = f"INSERT INTO parts (number, {_PART}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HAS = "SELECT 1 FROM messages WHERE recipient_key = ? AND message = ?"
_FIND = f"SELECT {_MESSAGE} FROM messages WHERE recipient_key = ? AND message = ?"
_NEWEST = f"""
SELECT {_MESSAGE} FROM messages WHERE recipient_key = ? AND received < ? ORDER BY received DESC, number DESC LIMIT ?
"""
_PARTS = """
SELECT parts.position, parts.job, parts.digest, parts.size, media_type, filename, arrival, explanation,
    jobs.state, jobs.condition, jobs.evidence,
    (SELECT max(offset) FROM checkpoints JOIN fetches ON fetch = number
     WHERE fetches.origin = jobs.origin AND fetches.digest = jobs.digest)
FROM parts LEFT JOIN jobs ON jobs.job = parts.job WHERE parts.number = ? ORDER BY parts.position
"""
_FOREVER = 1e12  # seconds; later than any message

ARRIVALS = {
    State.NEW: Arrival.WAITING,
    State.READY: Arrival.WAITING,
    State.LEASED: Arrival.ARRIVING,
    State.STORED: Arrival.STORED,
    State.RECEIPTED: Arrival.STORED,
    State.DEFERRED: Arrival.WAITING,
    State.NEEDS_AUTH: Arrival.WAITING,
    State.NO_SPACE: Arrival.WAITING,
    State.HELD: Arrival.HELD,
    State.FAILED: Arrival.FAILED,
    State.EXPIRED: Arrival.FAILED,
    State.CANCELLED: Arrival.FAILED,
    State.QUARANTINED: Arrival.FAILED,
}
"""How far an attachment has come when its job is in a state. Total over `State`."""

_ARRIVALS = {state.value: arrival for state, arrival in ARRIVALS.items()}


def accept(connection: Connection, message: Message, jobs: Sequence[Job]) -> Message | None:
    """Write the message, its jobs and its parts; None when the recipient has it already."""
    row = (
        message.message, str(message.recipient), str(message.sender), message.message_id, message.subject,
        message.date, message.received.timestamp(), message.raw.raw, message.raw_size, message.recipient.key,
        message.is_answerable, maybe_seconds(message.look),
    )  # fmt: skip
    added = connection.execute(_ADD, row)
    if not added.rowcount:
        return None
    number = added.lastrowid
    numbers = dict(zip((job.index for job in jobs), job_rows.add(connection, *jobs), strict=True))
    parts = tuple(evolve(part, job=numbers.get(part.index, part.job)) for part in message.parts)
    connection.executemany(_ADD_PART, [_part_row(number, part) for part in parts])
    return evolve(message, parts=parts)


def has(connection: Connection, message: Message) -> bool:
    """Whether the recipient has the message already."""
    return connection.execute(_HAS, (message.recipient.key, message.message)).fetchone() is not None


def _part_row(number: int | None, part: Part) -> Row:
    return (
        number, part.index, part.job, part.digest.raw, part.size, part.media_type, part.filename, part.arrival.value,
        part.explanation,
    )  # fmt: skip


def _message(connection: Connection, row: Row) -> Message:
    """The message in a row; refuses with Damaged."""
    try:
        parts = tuple(_part(each) for each in connection.execute(_PARTS, (row[0],)))
        return Message(
            row[1], address_of(row[2]), address_of(row[3]), row[4], row[5], row[6], instant_of(row[7]), Digest(row[8]),
            row[9], parts,
        )  # fmt: skip
    except UNREADABLE as error:
        raise Damaged(f"row of message {row[0]}: {type(error).__name__}") from error


def _message_or_damage(connection: Connection, row: Row) -> Message | Damaged:
    try:
        return _message(connection, row)
    except Damaged as damage:
        return damage


def _part(row: Row) -> Part:
    position, job, digest, size, media_type, filename, arrival, explanation, state, condition, evidence, offset = row
    come, done = Arrival(arrival), 0
    if state is not None:
        come = _ARRIVALS.get(state, Arrival.FAILED)  # a state that there is not stands in a damaged row
        done = size if come is Arrival.STORED else offset or 0
        explanation = _explanation(come, condition, evidence)
    return Part(position, job, Digest(digest), size, media_type, filename, come, done, explanation)


def _explanation(arrival: Arrival, condition: str, evidence: str) -> str:
    if arrival in (Arrival.STORED, Arrival.ARRIVING):
        return ""
    return ": ".join(text for text in (condition, evidence) if text)


@frozen
class Mailbox:
    """Messages by recipient; satisfies the port of the same name of the Resource Retrieval Agent."""

    _log = Logger()

    _engine: Engine

    async def messages(self, recipient: Address, before: Instant | None, most: int) -> Sequence[Message]:
        """Newest first; one whose row is damaged is left out and named in the log."""
        until = _FOREVER if before is None else before.timestamp()

        def look(connection: Connection) -> list[Message | Damaged]:
            rows = connection.execute(_NEWEST, (recipient.key, until, most)).fetchall()
            return [_message_or_damage(connection, row) for row in rows]

        found = await self._engine.read(look)
        for each in found:
            if isinstance(each, Damaged):
                self._log.error("store: {damage}; put the newest backup in its place", damage=each.detail)
        return [each for each in found if isinstance(each, Message)]

    async def message(self, recipient: Address, message: str) -> Message:
        """One of them.

        Raises:
            Unknown: there is none, or it is another recipient's.
            Damaged: its row cannot be read.
        """

        def look(connection: Connection) -> Message:
            row = connection.execute(_FIND, (recipient.key, message)).fetchone()
            if row is None:
                raise Unknown("message")
            return _message(connection, row)

        return await self._engine.read(look)
