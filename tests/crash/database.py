"""The store's rows over SQLite in memory: each commit is a crash point, and every committed state can be had again.

SQLite is trusted with one thing: with `PRAGMA synchronous = FULL` a COMMIT that returned is durable and whole. One that
was never reached is as if it had not begun; one that failed may be either. With less than FULL the newest commits may
be lost, and a crash may go back behind the last one.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from itertools import count
from typing import Any
from zlib import crc32

from attrs import define, field

from rrsd.drivers.store.sql import database
from tests.crash.files import Calls

Version = str
"""Names one committed state of the rows."""

FULL = 2
"""What `PRAGMA synchronous` says when every commit is synced."""
_PAGE = 512  # bytes: as little as SQLite can have, for copies are made of whole databases
_MOST_OPEN = 200


class Transactions(sqlite3.Connection):
    """A connection whose transactions the test watches; those of a nested one can all be taken back."""

    is_nested = False
    is_inside = False
    writes = False
    calls: Calls
    committed: Callable[[bool], None]

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.execute`."""
        if sql == "COMMIT":
            return self._commit()
        if sql.startswith("BEGIN"):
            return self._begin(sql)
        if sql == "ROLLBACK":
            return self._roll_back()
        return super().execute(sql, *values)

    @property
    def in_transaction(self) -> bool:
        """Whether the store is inside one."""
        return self.is_inside

    def close(self) -> None:
        """Stay: another process may come."""

    def _begin(self, sql: str) -> sqlite3.Cursor:
        """Inside the transaction that is taken back one that only reads needs nothing of its own."""
        self.is_inside, self.writes = True, not self.is_nested or sql != "BEGIN"
        if not self.writes:
            return self.cursor()
        return super().execute("SAVEPOINT outermost" if self.is_nested else sql)

    def _roll_back(self) -> sqlite3.Cursor:
        self.is_inside = False
        if not self.is_nested:
            return super().execute("ROLLBACK")
        if self.writes:
            super().execute("ROLLBACK TO outermost")
            super().execute("RELEASE outermost")
        return self.cursor()

    def _commit(self) -> sqlite3.Cursor:
        fails = self.calls.fails("commit")
        self.is_inside = False
        done = super().execute("RELEASE outermost" if self.is_nested else "COMMIT")
        self.committed(fails)
        if fails:
            error = sqlite3.OperationalError("disk I/O error, injected")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return done

    def is_durable(self) -> bool:
        """Whether the store has told SQLite to sync each commit."""
        (synchronous,) = sqlite3.Connection.execute(self, "PRAGMA synchronous").fetchone()
        return bool(synchronous >= FULL)

    def take_back(self) -> None:
        """Undo what was done since it was opened, or since the last time."""
        sqlite3.Connection.execute(self, "ROLLBACK")
        self.is_inside = False
        sqlite3.Connection.execute(self, "BEGIN")


def _opened(data: bytes, is_nested: bool) -> Transactions:
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, cached_statements=database.STATEMENTS, factory=Transactions
    )
    connection.deserialize(data)
    database._prepare(connection)
    # A receipt's name is drawn; here it follows from what was before, for what is replayed must be the same.
    drawn = count(crc32(data) << 16)
    connection.create_function("randomblob", 1, lambda size: next(drawn).to_bytes(size, "big"))
    connection.is_nested = is_nested
    if is_nested:
        sqlite3.Connection.execute(connection, "BEGIN")
    return connection


def _empty() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"PRAGMA page_size = {_PAGE}")
    database.migrate(connection, database.migrations())
    return connection.serialize()


@define(eq=False)
class Versions:
    """Every committed state that any process reached."""

    _saved: dict[Version, bytes] = field(factory=dict, init=False)
    _open: "OrderedDict[Version, Transactions]" = field(factory=OrderedDict, init=False)

    def first(self) -> Version:
        """That of a new database."""
        return self.save(_empty())

    def save(self, data: bytes) -> Version:
        """The name of a state."""
        name = blake2b(data, digest_size=12).hexdigest()
        self._saved.setdefault(name, data)
        return name

    def restore(self, version: Version, connection: Transactions) -> None:
        """Lead a database back to that state."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as source:
            source.deserialize(self._saved[version])
            source.backup(connection)

    def recorded(self, version: Version) -> Transactions:
        """A connection of its own to a database in that state."""
        return _opened(self._saved[version], False)

    def borrowed(self, version: Version) -> Transactions:
        """A connection to a database in that state; what is done over it is undone when it is borrowed again."""
        found = self._open.pop(version, None)
        if found is None:
            found = _opened(self._saved[version], True)
            if len(self._open) >= _MOST_OPEN:
                sqlite3.Connection.close(self._open.popitem(last=False)[1])
        else:
            found.take_back()
        self._open[version] = found
        return found


@define(eq=False)
class Rows:
    """Satisfies `Database`."""

    connection: Transactions

    def writer(self) -> sqlite3.Connection:
        """The only connection."""
        return self.connection

    def reader(self) -> sqlite3.Connection:
        """The same."""
        return self.connection
