"""Where the rows are: one SQLite file, or memory. Opening it checks, creates or upgrades the schema."""

import os
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen

from rrsd.core.refusals import Conflict, Damaged, NoSpace
from rrsd.drivers.store.sql.refusals import refusal_of

APPLICATION = 0x72727364  # "rrsd", in the header of the file (PRAGMA application_id)
BUSY_SECONDS = 5.0  # how long another process, such as rrsctl, may hold the write lock
STATEMENTS = 256  # prepared statements kept per connection
CHECKPOINT_PAGES = 16000  # 64 MiB of log before it is copied into the database: most pages of a long queue only once
CACHE_KIB = 65536  # of the writer, so that an index of a long queue is not read again for every change


class Database(Protocol):
    """A place for rows."""

    def writer(self) -> sqlite3.Connection:
        """The one connection that changes rows, its schema current; refuses with Damaged, Conflict or NoSpace."""
        ...

    def reader(self) -> sqlite3.Connection:
        """A connection that sees what was committed."""
        ...


def migrations() -> list[str]:
    """The schema's steps; the one at index n leads from version n to n + 1."""
    folder = files("rrsd.drivers.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in names]


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def migrate(connection: sqlite3.Connection, steps: list[str]) -> None:
    """Lead the schema through all `steps` that it has not seen, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in steps[version:]:
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(steps)}")
    connection.execute("COMMIT")


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


@frozen
class FileDatabase:
    """A database in one file, in WAL mode, every commit synced."""

    path: str
    steps: list[str] = field(factory=migrations, repr=False)

    def writer(self) -> sqlite3.Connection:
        """The connection that changes rows.

        Raises:
            Damaged: the file is no database, or not ours, or cannot be read.
            Conflict: a newer rrsd wrote it.
            NoSpace: the file cannot be created or opened.
        """
        try:
            if not Path(self.path).exists():
                self._create()
            return self._open()
        except sqlite3.Error as error:
            refusal = refusal_of(error)
            if isinstance(refusal, Damaged):
                raise Damaged(self._damage("is damaged")) from error
            raise refusal or Damaged(self._damage("does not fit its schema")) from error
        except OSError as error:
            raise NoSpace(f"database {self.path}: {error.strerror}") from error

    def _damage(self, fact: str) -> str:
        return f"database {self.path} {fact}: move it away and put the newest backup in its place"

    def reader(self) -> sqlite3.Connection:
        """A connection that refuses to change anything."""
        connection = _prepare(_connect(self.path))
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _create(self) -> None:
        """A database appears under its name complete or not at all."""
        fresh = f"{self.path}.new"
        Path(fresh).unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            connection = _connect(fresh)
            migrate(connection, self.steps)
            connection.close()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(fresh, self.path)
        _sync_folder(str(Path(self.path).parent))

    def _open(self) -> sqlite3.Connection:
        connection = _connect(self.path)
        try:
            self._check(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            return _prepare(connection)
        except BaseException:
            connection.close()
            raise

    def _check(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION:
            raise Damaged(self._damage("is not one of rrsd"))
        newest = len(self.steps)
        if version > newest:
            raise Conflict(
                f"database {self.path} has schema {version}, this rrsd knows {newest}: install the newer rrsd again"
            )
        if version < newest:
            self._back_up(connection, f"{self.path}.schema-{version}")
            migrate(connection, self.steps)

    def _back_up(self, connection: sqlite3.Connection, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            copy = _connect(path)
            connection.backup(copy)
            copy.close()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_folder(str(Path(path).parent))


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@define(eq=False)
class MemoryDatabase:
    """A database that ends with its process; readers share the writer's connection."""

    _connection: sqlite3.Connection | None = field(default=None, init=False)

    def writer(self) -> sqlite3.Connection:
        """The only connection."""
        if self._connection is None:
            connection = _connect(":memory:")
            migrate(connection, migrations())
            self._connection = _prepare(connection)
        return self._connection

    def reader(self) -> sqlite3.Connection:
        """The same connection."""
        return self.writer()
