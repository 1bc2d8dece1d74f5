"""One writer that commits for many at once, and readers beside it.

A unit of work is a function of the connection. All units that wait when the writer is free run in one transaction,
each inside its own savepoint; one COMMIT makes them durable, and only then does anybody hear of it. A unit that refuses
takes back its own changes. A COMMIT that fails takes back everything, and every unit of it refuses.
"""

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.drivers.store.sql.database import Database
from rrsd.drivers.store.sql.refusals import refusal_of
from rrsd.runtime.workers import Workers

T = TypeVar("T")
D = TypeVar("D")

Connection: TypeAlias = sqlite3.Connection
Unit: TypeAlias = Callable[[Connection], T]


@frozen
class _Refused:
    refusal: Refusal


@frozen(eq=False)
class _Waiter:
    """A unit and whoever waits for it. A unit may run twice: a mistake in another spoils the whole batch."""

    unit: Unit[Any]
    waiting: "Deferred[Any]"


@define(eq=False)
class Engine:
    """The database at work; `writer` must run one thing at a time."""

    _database: Database
    _writer: Workers
    _readers: Workers
    _batch: int = 512
    _connection: Connection | None = field(default=None, init=False)
    _idle: deque[Connection] = field(factory=deque, init=False)
    _pending: list[_Waiter] = field(factory=list, init=False)
    _draining: bool = field(default=False, init=False)
    _drained: "list[Deferred[None]]" = field(factory=list, init=False)

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._connection is not None

    async def start(self) -> None:
        """Open the database; refuses as `Database.writer` does."""
        self._connection = await self._writer.run(self._database.writer)

    async def stop(self) -> None:
        """Finish what waits, then close; what comes later is refused with Unavailable."""
        if self._draining:
            drained: Deferred[None] = Deferred()
            self._drained.append(drained)
            await drained
        connection, self._connection = self._connection, None
        while self._idle:
            self._idle.pop().close()
        if connection is not None:
            await self._writer.run(connection.close)

    def write(self, unit: Unit[T]) -> "Deferred[T]":
        """What `unit` returns, once it is durable. Fails with what it refuses, NoSpace when the disk fails, Unavailable
        while the store is stopped."""
        waiting: Deferred[T] = Deferred()
        if self._connection is None:
            waiting.errback(Unavailable("the store is not running"))
            return waiting
        self._pending.append(_Waiter(unit, waiting))
        if not self._draining:
            self._draining = True
            Deferred.fromCoroutine(self._drain())
        return waiting

    async def read(self, unit: Unit[T]) -> T:
        """What `unit` sees in one snapshot of what is committed; it must not change anything."""
        if self._connection is None:
            raise Unavailable("the store is not running")
        return await self._readers.run(self._look, unit)

    async def readable(
        self, unit: Unit[tuple[list[T], list[D]]], set_aside: Callable[[list[D]], Awaitable[None]]
    ) -> list[T]:
        """What `unit` finds once it meets nothing damaged any more: it is asked again after what it met was set aside,
        so that damage never stands before what is whole."""
        while True:
            found, damaged = await self.read(unit)
            if not damaged:
                return found
            await set_aside(damaged)

    async def _drain(self) -> None:
        while self._pending:
            batch = self._pending[: self._batch]
            del self._pending[: self._batch]
            await self._attempt(batch)
        self._draining = False
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)

    def _attempt(self, batch: list[_Waiter]) -> "Deferred[None]":
        settled = Deferred.fromCoroutine(self._settle(batch))
        return settled.addErrback(lambda mistake: self._alone(mistake, batch))

    async def _settle(self, batch: list[_Waiter]) -> None:
        outcomes = await self._writer.run(self._commit, [waiter.unit for waiter in batch])
        for waiter, outcome in zip(batch, outcomes, strict=True):
            if type(outcome) is _Refused:
                waiter.waiting.errback(outcome.refusal)
            else:
                waiter.waiting.callback(outcome)

    def _alone(self, mistake: Failure, batch: list[_Waiter]) -> "Deferred[None]":
        """Nothing of the batch was committed; the unit with the mistake hears of it, the others run again."""
        if len(batch) > 1:
            return Deferred.fromCoroutine(self._one_by_one(batch))
        batch[0].waiting.errback(mistake)
        return succeed(None)

    async def _one_by_one(self, batch: list[_Waiter]) -> None:
        for waiter in batch:
            await self._attempt([waiter])

    def _commit(self, units: Sequence[Unit[Any]]) -> list[Any]:
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_run(connection, unit) for unit in units]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return [_Refused(type(refusal)(refusal.detail)) for _ in units]
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return outcomes

    def _look(self, unit: Unit[T]) -> T:
        connection = self._take()
        try:
            connection.execute("BEGIN")
            return unit(connection)
        except sqlite3.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise refusal from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._database.reader()


def _run(connection: Connection, unit: Unit[Any]) -> Any:
    connection.execute("SAVEPOINT unit")
    try:
        outcome = unit(connection)
    except Refusal as refusal:
        connection.execute("ROLLBACK TO unit")
        outcome = _Refused(refusal)
    connection.execute("RELEASE unit")
    return outcome
