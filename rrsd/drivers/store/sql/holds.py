"""Placeholders on their way into mailboxes, and the ledger of those that were delivered (RFC 1047)."""

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Damaged
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.holds import Hold, Stand
from rrsd.core.values.instants import Instant
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of

KEPT = 30 * 86400.0
"""Seconds after which a row is forgotten; mail servers give up after five days, pulls after seven."""
_COLUMNS = "recipient, digest, queue, message_id, evidence, since, stand"
_OF = f"SELECT {_COLUMNS} FROM holds WHERE recipient_key = ? AND digest = ? ORDER BY queue"
_STANDING = f"SELECT {_COLUMNS} FROM holds WHERE stand = ? ORDER BY since LIMIT ?"
_PUT = f"INSERT OR REPLACE INTO holds ({_COLUMNS}, recipient_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SWEEP = "DELETE FROM holds WHERE since < ?"
_SWEEP_EVERY = 256


@define(eq=False)
class Holds:
    """Satisfies the port of the same name of the mail role."""

    _log = Logger()

    _engine: Engine
    _now: Callable[[], Instant]
    _written: int = field(default=0, init=False)

    async def find(self, recipient: Address, digest: Digest, queue: str) -> Hold | None:
        """How that message stands for that recipient, None when it never came."""
        return next((each for each in await self.of(recipient, digest) if each.queue == queue), None)

    async def of(self, recipient: Address, digest: Digest) -> Sequence[Hold]:
        """Every time that the placeholder came for the recipient. Refuses with Damaged."""

        def look(connection: Connection) -> list[Hold]:
            return [_hold(row) for row in connection.execute(_OF, (recipient.key, digest.raw))]

        return await self._engine.read(look)

    async def standing(self, stand: Stand, most: int) -> Sequence[Hold]:
        """At most `most` that stand so, the oldest first; one whose row is damaged is left out and named in the log."""

        def look(connection: Connection) -> tuple[list[Hold], list[Damaged]]:
            found, damaged = [], []
            for row in connection.execute(_STANDING, (stand.value, most)):
                try:
                    found.append(_hold(row))
                except Damaged as damage:
                    damaged.append(damage)
            return found, damaged

        found, damaged = await self._engine.read(look)
        for each in damaged:
            self._log.error("store: {damage}; its placeholder stays as it is", damage=each.detail)
        return found

    async def put(self, hold: Hold) -> None:
        """Remember how it stands, durably when this returns; refuses with NoSpace."""
        row = (
            str(hold.recipient), hold.digest.raw, hold.queue, hold.message_id, hold.evidence, hold.since.timestamp(),
            hold.stand.value, hold.recipient.key,
        )  # fmt: skip
        self._written += 1
        sweeps, before = self._written % _SWEEP_EVERY == 0, self._now().timestamp() - KEPT

        def put(connection: Connection) -> None:
            if sweeps:
                connection.execute(_SWEEP, (before,))
            connection.execute(_PUT, row)

        await self._engine.write(put)


def _hold(row: Row) -> Hold:
    try:
        return Hold(address_of(row[0]), Digest(row[1]), row[2], row[3], row[4], instant_of(row[5]), Stand(row[6]))
    except UNREADABLE as error:
        raise Damaged(f"row of a held message: {type(error).__name__}") from error
