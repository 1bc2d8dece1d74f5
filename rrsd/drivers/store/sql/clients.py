"""Clients that the administrator registered at the token service."""

import json

from attrs import frozen

from rrsd.core.refusals import Damaged
from rrsd.core.values.clients import ClientRow
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, instant_of

_ALL = "SELECT name, document, disabled, created FROM clients ORDER BY name"
_SAVE = "INSERT OR REPLACE INTO clients (name, document, disabled, created) VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM clients WHERE name = ?"


def _client(row: Row) -> ClientRow:
    try:
        return ClientRow(row[0], json.loads(row[1]), bool(row[2]), instant_of(row[3]))
    except UNREADABLE as error:
        raise Damaged(f"row of client {row[0]}: {type(error).__name__}") from error


@frozen
class Clients:
    """Clients by name; satisfies the port of the same name of the Security Token Service."""

    _engine: Engine

    async def all(self) -> list[ClientRow]:
        """Every client, in order of name."""

        def look(connection: Connection) -> list[ClientRow]:
            return [_client(row) for row in connection.execute(_ALL)]

        return await self._engine.read(look)

    async def save(self, client: ClientRow) -> None:
        """Add or replace the client."""
        row = (client.name, json.dumps(client.document), int(client.disabled), client.created.timestamp())

        def put(connection: Connection) -> None:
            connection.execute(_SAVE, row)

        await self._engine.write(put)

    async def remove(self, name: str) -> None:
        """Forget the client, if there is one."""

        def drop(connection: Connection) -> None:
            connection.execute(_REMOVE, (name,))

        await self._engine.write(drop)
