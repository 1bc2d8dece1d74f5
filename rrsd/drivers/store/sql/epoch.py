"""Whether the database is as new as what happened: a backup that was put back must not revive what was used up (Z-10).

Every use of something that may be used once adds one to a number in the database, in the same transaction, and then to
the mark beside it. A database whose number is behind the mark was put back.
"""

from attrs import define
from twisted.logger import Logger

from rrsd.drivers.store.mark import Mark
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.runtime.workers import Workers

_NUMBER = "SELECT number FROM epoch"
_ADVANCE = "UPDATE epoch SET number = number + 1"
_RAISE = "UPDATE epoch SET number = max(number, ?)"
_END_LOGINS = ("DELETE FROM codes", "DELETE FROM refreshes")


@define(eq=False)
class Epoch:
    """The number in the database and the mark beside it."""

    _log = Logger()
    _engine: Engine
    _mark: Mark
    _disk: Workers

    async def begin(self) -> bool:
        """Compare, once before anything is used; True when a backup was put back, and then no login is left.

        Nothing is written unless that is so: a full disk keeps nobody from starting. Refuses with NoSpace then.
        """
        marked = await self._disk.run(self._mark.read)
        number = await self._engine.read(_number)
        # A folder without a mark is a new one, or one that a backup was put into.
        is_old = number > 0 if marked is None else number < marked
        if is_old:
            await self.reached(await self._engine.write(lambda connection: _end_logins(connection, marked or 0)))
            self._log.warn("a backup of the database was put back: every login has ended, users log in again")
        return is_old

    async def reached(self, number: int) -> None:
        """Mark what is committed; refuses with NoSpace."""
        await self._disk.run(self._mark.write, number)


def advance(connection: Connection) -> int:
    """Count one use in the transaction that uses; the new number is for `Epoch.reached` once it is committed."""
    connection.execute(_ADVANCE)
    return _number(connection)


def _number(connection: Connection) -> int:
    (number,) = connection.execute(_NUMBER).fetchone()
    return int(number)


def _end_logins(connection: Connection, least: int) -> int:
    for statement in _END_LOGINS:
        connection.execute(statement)
    connection.execute(_RAISE, (least,))
    return advance(connection)
