"""Codes and refresh tokens, each taken at most once (RFC 6749 4.1.2, RFC 9700 2.2.2)."""

from attrs import frozen

from rrsd.core.refusals import NotGranted, Replayed
from rrsd.core.values.instants import Instant
from rrsd.core.values.logins import Code, RefreshGrant
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.epoch import Epoch, advance
from rrsd.drivers.store.sql.rows import Row, address_of, instant_of

_CODE = "key, client_id, redirect_uri, challenge, subject, scope, nonce, auth_time, expires"
_ADD_CODE = f"INSERT INTO codes ({_CODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FIND_CODE = f"SELECT {_CODE}, taken FROM codes WHERE key = ?"
_TAKE_CODE = "UPDATE codes SET taken = 1 WHERE key = ?"

_REFRESH = "key, family, client_id, subject, scope, auth_time, expires"
_ADD_REFRESH = f"""
INSERT INTO refreshes ({_REFRESH}, revoked)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, EXISTS (SELECT 1 FROM revoked WHERE family = ?2))
"""
_FIND_REFRESH = f"SELECT {_REFRESH}, used, revoked FROM refreshes WHERE key = ?"
_USE_REFRESH = "UPDATE refreshes SET used = 1 WHERE key = ?"
_REMEMBER_REVOKED = """
INSERT OR REPLACE INTO revoked (family, expires)
SELECT family, max(expires) FROM refreshes WHERE family = ? GROUP BY family
"""
_REVOKE = "UPDATE refreshes SET revoked = 1 WHERE family = ?"
_LATE_LINK = 86400.0  # seconds that a revoked family is remembered beyond its newest row
_SWEEP = (
    "DELETE FROM codes WHERE expires < ?1",
    "DELETE FROM refreshes WHERE expires < ?1",
    f"DELETE FROM revoked WHERE expires < ?1 - {_LATE_LINK}",
)


def _code(row: Row) -> Code:
    return Code(
        row[0], row[1], row[2], row[3], address_of(row[4]), row[5], row[6], instant_of(row[7]), instant_of(row[8])
    )


def _refresh(row: Row) -> RefreshGrant:
    return RefreshGrant(row[0], row[1], row[2], address_of(row[3]), row[4], instant_of(row[5]), instant_of(row[6]))


def _revoke(connection: Connection, family: str) -> None:
    connection.execute(_REMEMBER_REVOKED, (family,))
    connection.execute(_REVOKE, (family,))


@frozen
class LoginGrants:
    """Codes and refresh tokens by their hashes; satisfies the port of the same name of the OpenID Provider.

    What takes or revokes refuses with NoSpace when the mark beside the database cannot be written.
    """

    _engine: Engine
    _epoch: Epoch

    async def add_code(self, code: Code) -> None:
        """Remember a code that was handed out."""
        row = (
            code.key, code.client_id, code.redirect_uri, code.challenge, str(code.subject), code.scope, code.nonce,
            code.auth_time.timestamp(), code.expires.timestamp(),
        )  # fmt: skip

        def add(connection: Connection) -> None:
            connection.execute(_ADD_CODE, row)

        await self._engine.write(add)

    async def take_code(self, key: str) -> Code:
        """The code, which is gone from now on.

        Raises:
            NotGranted: it is unknown.
            Replayed: it was taken before.
        """

        def take(connection: Connection) -> tuple[Code, int]:
            row = connection.execute(_FIND_CODE, (key,)).fetchone()
            if row is None:
                raise NotGranted("unknown code")
            if row[9]:
                raise Replayed("code")
            connection.execute(_TAKE_CODE, (key,))
            return _code(row), advance(connection)

        code, number = await self._engine.write(take)
        await self._epoch.reached(number)
        return code

    async def add_refresh(self, grant: RefreshGrant) -> None:
        """Remember a refresh token that was handed out; it is dead at once when its family has been revoked."""
        row = (
            grant.key, grant.family, grant.client_id, str(grant.subject), grant.scope, grant.auth_time.timestamp(),
            grant.expires.timestamp(),
        )  # fmt: skip

        def add(connection: Connection) -> None:
            connection.execute(_ADD_REFRESH, row)

        await self._engine.write(add)

    async def take_refresh(self, key: str) -> RefreshGrant:
        """The grant, used from now on.

        Raises:
            NotGranted: it is unknown, or its family was revoked before it was used.
            Replayed: it was used before; the whole family is revoked now.
        """

        def take(connection: Connection) -> tuple[RefreshGrant | None, int]:
            row = connection.execute(_FIND_REFRESH, (key,)).fetchone()
            if row is None or (row[8] and not row[7]):
                raise NotGranted("unknown or revoked refresh token")
            if row[7]:  # the revocation is to be kept, so the refusal comes after the commit
                _revoke(connection, row[1])
                return None, advance(connection)
            connection.execute(_USE_REFRESH, (key,))
            return _refresh(row), advance(connection)

        grant, number = await self._engine.write(take)
        await self._epoch.reached(number)
        if grant is None:
            raise Replayed("refresh token")
        return grant

    async def find_refresh(self, key: str) -> RefreshGrant:
        """The grant, used or not, which stays as it is.

        Raises:
            NotGranted: it is unknown.
        """

        def look(connection: Connection) -> RefreshGrant:
            row = connection.execute(_FIND_REFRESH, (key,)).fetchone()
            if row is None:
                raise NotGranted("unknown refresh token")
            return _refresh(row)

        return await self._engine.read(look)

    async def revoke_family(self, family: str) -> None:
        """End every refresh token of the chain."""

        def revoke(connection: Connection) -> int:
            _revoke(connection, family)
            return advance(connection)

        await self._epoch.reached(await self._engine.write(revoke))

    async def sweep(self, now: Instant) -> None:
        """Drop what has expired."""

        def drop(connection: Connection) -> None:
            for statement in _SWEEP:
                connection.execute(statement, (now.timestamp(),))

        await self._engine.write(drop)
