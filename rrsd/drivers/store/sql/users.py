"""The domain's own users."""

from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field

from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.logins import User
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import Row, address_of, instant_of

_COLUMNS = "address, password, suspended, created"
_FIND = f"SELECT {_COLUMNS} FROM users WHERE key = ?"
_ALL = f"SELECT {_COLUMNS} FROM users ORDER BY key"
_SAVE = f"INSERT OR REPLACE INTO users (key, {_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM users WHERE key = ?"


def _user(row: Row) -> User:
    return User(address_of(row[0]), row[1], bool(row[2]), instant_of(row[3]))


MOST_KNOWN = 10_000
"""Users that are kept in memory: every token exchange asks for one."""


@define(eq=False)
class Users:
    """Users by address; satisfies the port of the same name of the OpenID Provider.

    One process owns a store (ADR 0021), so what was read is true until it is changed here.
    """

    _engine: Engine
    _known: OrderedDict[str, User] = field(factory=OrderedDict, init=False)
    _changes: int = field(default=0, init=False)

    async def find(self, address: Address) -> User:
        """The user.

        Raises:
            Unknown: there is none.
            Unavailable: the store is not running.
        """
        known = self._known.get(address.key)
        if known is not None and self._engine.is_running:
            self._known.move_to_end(address.key)
            return known

        def look(connection: Connection) -> User:
            row = connection.execute(_FIND, (address.key,)).fetchone()
            if row is None:
                raise Unknown("user")
            return _user(row)

        before = self._changes
        found = await self._engine.read(look)
        if before == self._changes:
            self._remember(found)
        return found

    def _remember(self, user: User) -> None:
        self._known[user.address.key] = user
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def _change(self, address: Address, unit: Callable[[Connection], None]) -> None:
        """Write; whoever reads meanwhile may see it before or after, and remembers neither."""
        self._changes += 1
        self._known.pop(address.key, None)
        try:
            await self._engine.write(unit)
        finally:
            self._changes += 1
            self._known.pop(address.key, None)

    async def save(self, user: User) -> None:
        """Add or replace the user."""
        row = (user.address.key, str(user.address), user.password, int(user.suspended), user.created.timestamp())

        def put(connection: Connection) -> None:
            connection.execute(_SAVE, row)

        await self._change(user.address, put)

    async def remove(self, address: Address) -> None:
        """Forget the user, if there is one."""

        def drop(connection: Connection) -> None:
            connection.execute(_REMOVE, (address.key,))

        await self._change(address, drop)

    async def all(self) -> list[User]:
        """Every user, in order of address."""

        def look(connection: Connection) -> list[User]:
            return [_user(row) for row in connection.execute(_ALL)]

        return await self._engine.read(look)
