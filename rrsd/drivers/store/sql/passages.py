"""The ledger of the way out: what was handed on already, so that what comes again is not handed on again."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from attrs import define, field

from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Offer, Passage
from rrsd.core.values.instants import Instant, instant
from rrsd.drivers.store.sql.engine import Connection, Engine

_Row: TypeAlias = tuple[bytes, str, float, str]

_FIND = "SELECT recipient, at, delivery FROM passages WHERE message = ?"
_NOTE = """
INSERT INTO passages (message, recipient, at, delivery) VALUES (?, ?, ?, ?)
ON CONFLICT (message, recipient) DO UPDATE SET delivery = ''
"""
_OFFER = """
INSERT INTO passages (message, recipient, at, delivery) VALUES (?, ?, ?, ?)
ON CONFLICT (message, recipient) DO UPDATE SET delivery = excluded.delivery, at = excluded.at WHERE delivery <> ''
"""
_FORGET = "DELETE FROM passages WHERE message = ? AND recipient = ? AND delivery <> ''"
_SWEEP = """
DELETE FROM passages WHERE (message, recipient) IN (
    SELECT message, recipient FROM passages WHERE at < ? ORDER BY at LIMIT 20000
)
"""
_SWEEP_EVERY = 1000  # writes between two sweeps
_MOST_SOON = 1000  # rows that wait for the next write
SEEN = ""


@define(eq=False)
class Passages:
    """Messages by key; satisfies the port of the same name of the mail role. Forgets what is older than `life`."""

    _engine: Engine
    _now: Callable[[], Instant]
    life: timedelta = timedelta(days=7)
    _writes: int = field(default=0, init=False)
    _soon: dict[tuple[bytes, str], _Row] = field(factory=dict, init=False)

    async def find(self, message: Digest) -> Passage | None:
        """What is known of the message, None for one that was never seen."""

        def look(connection: Connection) -> list[tuple[str, float, str]]:
            return connection.execute(_FIND, (message.raw,)).fetchall()

        rows = await self._engine.read(look)
        # What is on its way to the disk comes last, and counts.
        rows += [(recipient, at, "") for key, recipient, at, _ in self._soon.values() if key == message.raw]
        if not rows:
            return None
        known = {name: (at, delivery) for name, at, delivery in rows if name != SEEN}
        return Passage(
            instant(min(at for _, at, _ in rows)),
            frozenset(name for name, (_, delivery) in known.items() if not delivery),
            {name: Offer(delivery, instant(at)) for name, (at, delivery) in known.items() if delivery},
        )

    async def note(self, message: Digest, recipients: Sequence[str], at: Instant) -> None:
        """The message was seen, and these recipients have it; durable when this returns."""
        await self._write(_NOTE, _rows(message, recipients or (SEEN,), at))

    def note_soon(self, message: Digest, recipients: Sequence[str], at: Instant) -> None:
        """The same, known at once and durable with what is written next."""
        if len(self._soon) < _MOST_SOON:
            self._soon |= {row[:2]: row for row in _rows(message, recipients, at)}

    async def offer(self, message: Digest, recipients: Sequence[str], offer: Offer) -> None:
        """From now on the next server may have it for these recipients; durable when this returns."""
        await self._write(_OFFER, _rows(message, recipients, offer.at, offer.delivery))

    async def forget(self, message: Digest, recipients: Sequence[str]) -> None:
        """The next server does not have what it was offered for these."""
        await self._write(_FORGET, [(message.raw, recipient) for recipient in recipients])

    async def flush(self) -> None:
        """Write what was to be written soon."""
        if self._soon:
            await self._write(_NOTE, ())

    async def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._writes += 1
        sweeps = self._writes % _SWEEP_EVERY == 0
        before = (self._now() - self.life).timestamp()
        soon = dict(self._soon)

        def write(connection: Connection) -> None:
            if sweeps:
                connection.execute(_SWEEP, (before,))
            if soon:
                connection.executemany(_NOTE, soon.values())
            connection.executemany(statement, rows)

        await self._engine.write(write)
        for key in soon:
            self._soon.pop(key, None)


def _rows(message: Digest, recipients: Sequence[str], at: Instant, delivery: str = "") -> list[_Row]:
    return [(message.raw, recipient, at.timestamp(), delivery) for recipient in recipients]
