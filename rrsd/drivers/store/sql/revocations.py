"""What was revoked before its end (RFC 7009 2). Read from memory: the table is for the next start."""

import hashlib
from collections.abc import Callable

from attrs import define, field

from rrsd.core.values.instants import Instant
from rrsd.drivers.store.sql.engine import Connection, Engine

_ALL = "SELECT name, expires FROM revocations"
_ADD = """
INSERT INTO revocations (name, expires) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET expires = max(expires, ?2)
"""
_SWEEP = "DELETE FROM revocations WHERE expires < ?"
_SWEEP_EVERY = 256  # revocations between two sweeps
_MARGIN = 3600.0  # seconds that a name is kept beyond its end, more than any clock skew that is accepted


@define(eq=False)
class Revocations:
    """Names of tokens and of logins; satisfies the port of the same name of the roles about people.

    Only what was proved to be a token of ours is ever revoked, each name until its token ends, so that the memory is
    bounded by what was issued.
    """

    _engine: Engine
    _now: Callable[[], Instant]
    _known: dict[bytes, float] | None = field(default=None, init=False)
    _added: int = field(default=0, init=False)

    async def is_revoked(self, *names: str) -> bool:
        """Whether one of the names was revoked; what is revoked is so from the moment that `revoke` was called."""
        known = await self._load()
        return any(_hash(name) in known for name in names)

    async def revoke(self, name: str, until: Instant) -> None:
        """Revoke the name, durably when this returns; nothing is kept long after `until`."""
        known, key, end = await self._load(), _hash(name), until.timestamp()
        before = self._now().timestamp() - _MARGIN
        known[key] = max(end, known.get(key, 0.0))
        self._added += 1
        sweeps = self._added % _SWEEP_EVERY == 0
        if sweeps:
            for old in [each for each, expires in known.items() if expires < before]:
                del known[old]

        def put(connection: Connection) -> None:
            if sweeps:
                connection.execute(_SWEEP, (before,))
            connection.execute(_ADD, (key, end))

        await self._engine.write(put)

    async def _load(self) -> dict[bytes, float]:
        if self._known is None:

            def look(connection: Connection) -> dict[bytes, float]:
                return dict(connection.execute(_ALL).fetchall())

            found = await self._engine.read(look)
            self._known = found if self._known is None else self._known
        return self._known


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
