"""The memory of what may be used once (RFC 7519 4.1.7)."""

import hashlib
from collections.abc import Callable

from attrs import define, field

from rrsd.core.refusals import Unavailable
from rrsd.core.values.instants import Instant
from rrsd.drivers.store.sql.engine import Connection, Engine

_ADD = "INSERT OR IGNORE INTO replays (once, expires) VALUES (?, ?)"
_SWEEP = "DELETE FROM replays WHERE once IN (SELECT once FROM replays WHERE expires < ? ORDER BY expires LIMIT 2000)"
_SWEEP_EVERY = 1000  # first uses between two sweeps; each sweep drops more than that, so the table cannot grow
QUIET = 300.0  # seconds, as long as anything lives that may be used once
_MARGIN = 3600.0  # seconds that a key is kept beyond its expiry, more than any clock skew that is accepted


@define(eq=False)
class Replays:
    """Keys that were used; satisfies the port of the same name of the Security Token Service."""

    _engine: Engine
    _now: Callable[[], Instant]
    _uses: int = field(default=0, init=False)
    _quiet_until: float = field(default=0.0, init=False)

    def forget(self) -> None:
        """The memory is that of a backup: believe nothing until what was used since then has expired."""
        self._quiet_until = self._now().timestamp() + QUIET

    async def first_use(self, issuer: str, jti: str, expires: Instant) -> bool:
        """Whether this is the first time; exactly one of many concurrent callers hears True.

        Refuses with Unavailable for `QUIET` seconds after a backup was put back.
        """
        wait = self._quiet_until - self._now().timestamp()
        if wait > 0:
            raise Unavailable("a backup was put back, what was used is not known", retry_after=int(wait) + 1)
        once = hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode("utf-8", "surrogatepass")).digest()
        row = (once, expires.timestamp())

        self._uses += 1
        sweeps = self._uses % _SWEEP_EVERY == 0
        before = self._now().timestamp() - _MARGIN

        def use(connection: Connection) -> bool:
            if sweeps:
                connection.execute(_SWEEP, (before,))
            return connection.execute(_ADD, row).rowcount == 1

        return await self._engine.write(use)
