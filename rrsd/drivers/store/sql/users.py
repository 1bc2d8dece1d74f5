"""The domain's own users."""

from attrs import frozen

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


@frozen
class Users:
    """Users by address; satisfies the port of the same name of the OpenID Provider."""

    _engine: Engine

    async def find(self, address: Address) -> User:
        """The user.

        Raises:
            Unknown: there is none.
        """

        def look(connection: Connection) -> User:
            row = connection.execute(_FIND, (address.key,)).fetchone()
            if row is None:
                raise Unknown("user")
            return _user(row)

        return await self._engine.read(look)

    async def save(self, user: User) -> None:
        """Add or replace the user."""
        row = (user.address.key, str(user.address), user.password, int(user.suspended), user.created.timestamp())

        def put(connection: Connection) -> None:
            connection.execute(_SAVE, row)

        await self._engine.write(put)

    async def remove(self, address: Address) -> None:
        """Forget the user, if there is one."""

        def drop(connection: Connection) -> None:
            connection.execute(_REMOVE, (address.key,))

        await self._engine.write(drop)

    async def all(self) -> list[User]:
        """Every user, in order of address."""

        def look(connection: Connection) -> list[User]:
            return [_user(row) for row in connection.execute(_ALL)]

        return await self._engine.read(look)
