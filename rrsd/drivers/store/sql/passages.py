"""The ledger of the way out: what was handed on already, so that what comes again is not handed on again."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from attrs import define, field

from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Passage
from rrsd.core.values.instants import Instant, instant
from rrsd.drivers.store.sql.engine import Connection, Engine

_FIND = "SELECT recipient, at FROM passages WHERE message = ?"
_ADD = "INSERT OR IGNORE INTO passages (message, recipient, at) VALUES (?, ?, ?)"
_SWEEP = """
DELETE FROM passages WHERE (message, recipient) IN (
    SELECT message, recipient FROM passages WHERE at < ? ORDER BY at LIMIT 20000
)
"""
_SWEEP_EVERY = 1000  # notes between two sweeps
SEEN = ""


@define(eq=False)
class Passages:
    """Messages by key; satisfies the port of the same name of the mail role. Forgets what is older than `life`."""

    _engine: Engine
    _now: Callable[[], Instant]
    life: timedelta = timedelta(days=7)
    _notes: int = field(default=0, init=False)

    async def find(self, message: Digest) -> Passage | None:
        """What is known of the message, None for one that was never seen."""

        def look(connection: Connection) -> list[tuple[str, float]]:
            return connection.execute(_FIND, (message.raw,)).fetchall()

        rows = await self._engine.read(look)
        if not rows:
            return None
        return Passage(instant(min(at for _, at in rows)), frozenset(name for name, _ in rows if name != SEEN))

    async def note(self, message: Digest, recipients: Sequence[str], at: Instant) -> None:
        """The message was seen, and these recipients have it; durable when this returns."""
        rows = [(message.raw, recipient, at.timestamp()) for recipient in recipients or (SEEN,)]
        self._notes += 1
        sweeps = self._notes % _SWEEP_EVERY == 0
        before = (self._now() - self.life).timestamp()

        def add(connection: Connection) -> None:
            if sweeps:
                connection.execute(_SWEEP, (before,))
            connection.executemany(_ADD, rows)

        await self._engine.write(add)
