"""The disk and the database of one machine: they fail as the plan says, and forget when the power goes.

Files are those of `tests.crash`; the rows are SQLite in memory, where every commit is durable once it has returned.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from errno import EIO, ENOSPC
from functools import lru_cache
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any

from attrs import define, evolve, field

from rrsd.core.values.instants import Instant
from rrsd.drivers.store.sql import database
from tests.crash.disk import Loss, State, crashed, killed, sectors_of
from tests.crash.files import AmnesiacFiles, Calls

CHANGES = frozenset({"create", "create without a name", "link", "rename", "write", "mkdir"})
"""Calls that need room on the disk."""
_PAGE = 1024


@define(eq=False)
class Troubles(Calls):
    """What fails on one machine's disk, now and then or for a while; and when the machine dies in the middle of it.

    `dies` counts calls down; at none it is told which way: the power is lost or the process is killed.
    """

    random: Random = field(kw_only=True)
    is_full: bool = False
    chance: float = 0.0
    chance_of_sync: float = 0.0
    dies: int | None = None
    died: Callable[[], None] | None = None
    failed: int = 0
    _error: int = EIO

    def fails(self, what: str) -> bool:
        """Whether this call does."""
        self.made += 1
        self._count_down()
        if self.is_full and (what in CHANGES or what == "commit"):
            return self._fail(ENOSPC)
        chance = self.chance_of_sync if what.startswith("fsync") else self.chance
        if chance and self.random.random() < chance:
            return self._fail(EIO if self.random.random() < 0.5 else ENOSPC)
        return False

    def error(self) -> OSError:
        """As `Calls.error`."""
        return OSError(self._error, "no space left" if self._error == ENOSPC else "input/output error")

    def end(self) -> None:
        """The disk does what it is told."""
        self.chance = self.chance_of_sync = 0.0

    def _fail(self, error: int) -> bool:
        self._error = error
        self.failed += 1
        return True

    def _count_down(self) -> None:
        if self.dies is None:
            return
        self.dies -= 1
        if self.dies <= 0 and self.died is not None:
            self.dies = None
            self.died()


class Connection(sqlite3.Connection):
    """A database in memory whose commits may fail, and whose machine may die at one."""

    troubles: Troubles
    ghost: bytes | None = None
    """The rows with a commit that failed, of which the next process may find that it reached the disk all the same."""
    _changes = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.execute`."""
        if sql == "COMMIT":
            return self._commit()
        if sql.startswith("BEGIN"):
            self._changes = self.total_changes
        return super().execute(sql, *values)

    def _commit(self) -> sqlite3.Cursor:
        troubles = self.troubles
        if self.total_changes == self._changes:
            return super().execute("COMMIT")  # nothing is written
        if not troubles.fails("commit"):
            done, self.ghost = super().execute("COMMIT"), None
            troubles._count_down()
            return done
        # What is in the log and not synced nobody sees who is there, and the next commit is written over it.
        if troubles.random.random() < 0.3 and not troubles.is_full:
            self.ghost = self.serialize()
        super().execute("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL if troubles.is_full else sqlite3.SQLITE_IOERR
        raise error

    def close(self) -> None:
        """Stay: the next process finds it as it is."""


@lru_cache
def empty() -> bytes:
    """A database with the schema and no rows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        database.migrate(connection, database.migrations())
        return connection.serialize()


@define(eq=False)
class Rows:
    """Satisfies `Database` over one connection; `unique` gives what SQLite would draw."""

    data: bytes
    troubles: Troubles
    unique: Callable[[], int]
    connection: Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        found = sqlite3.connect(
            ":memory:", isolation_level=None, cached_statements=database.STATEMENTS, factory=Connection
        )
        found.deserialize(self.data)
        database._prepare(found)
        found.create_function("randomblob", 1, lambda size: self.unique().to_bytes(size, "big"))
        found.troubles = self.troubles
        self.connection = found

    def writer(self) -> sqlite3.Connection:
        """The only connection."""
        return self.connection

    def reader(self) -> sqlite3.Connection:
        """The same."""
        return self.connection

    def durable(self) -> bytes:
        """What is committed; what is not is lost, unless it reached the disk all the same."""
        if self.connection.ghost is not None and self.troubles.random.random() < 0.5:
            return self.connection.ghost
        if self.connection.in_transaction:
            sqlite3.Connection.execute(self.connection, "ROLLBACK")
        return self.connection.serialize()


class Files(AmnesiacFiles):
    """A disk with room for `capacity` bytes of what is in blobs and elsewhere."""

    capacity = 1 << 30

    def __init__(self, state: State, now: Callable[[], Instant], troubles: Troubles) -> None:
        super().__init__(state, now, troubles, collects=True)
        self._troubles = troubles

    def free(self, path: str) -> int:
        """As `Files.free`."""
        if self._troubles.is_full:
            return 0
        return self.capacity - sum(len(each.seen) for each in self.state.contents.values())


def after_power_loss(state: State, random: Random) -> tuple[State, str]:
    """What the next process finds: of what was not synced some is lost, and a write may be torn; and the loss."""
    units = state.units()
    share = random.choice((0.0, 0.3, 0.7, 1.0))
    lost = frozenset(place for place in range(len(units)) if random.random() < share)
    loss = Loss(lost)
    writes = [place for place, unit in enumerate(units) if isinstance(unit, tuple) and place not in lost]
    if writes and random.random() < 0.5:
        torn = random.choice(writes)
        number, position = units[torn]  # type: ignore[misc]
        sectors = range(sectors_of(state.contents[number].pending[position]))
        loss = evolve(loss, torn=torn, sectors=frozenset(each for each in sectors if random.random() < 0.5))
    return crashed(state, loss), f"{len(lost)} of {len(units)} changes lost" + (", one torn" if loss.torn else "")


def after_kill(state: State) -> State:
    """What the next process finds when only this one ended."""
    return killed(state)
