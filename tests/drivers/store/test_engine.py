"""Tests for rrsd.drivers.store.sql.engine: many units, one commit, each refusing for itself."""

import sqlite3

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Damaged, NoSpace, Unavailable
from rrsd.drivers.store.sql.database import MemoryDatabase
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.refusals import refusal_of
from rrsd.runtime.workers import InlineWorkers
from tests.drivers.store.manual import ManualWorkers

ADD = "INSERT INTO users (key, address, password, suspended, created) VALUES (?, '', '', 0, 0)"


@define(eq=False)
class Full:
    """A database whose disk is full from some commit on."""

    inner: MemoryDatabase = field(factory=MemoryDatabase)

    def writer(self) -> Connection:
        """A connection of few pages."""
        connection = self.inner.writer()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    def reader(self) -> Connection:
        """The same connection."""
        return self.inner.reader()


@define(eq=False)
class Unit:
    """Adds a row, then may refuse."""

    key: str
    refusal: Exception | None = None
    runs: int = 0

    def __call__(self, connection: Connection) -> str:
        """Add, or fail."""
        self.runs += 1
        connection.execute(ADD, (self.key,))
        if self.refusal is not None:
            raise self.refusal
        return self.key


def keys(connection: Connection) -> list[str]:
    """All keys."""
    return [key for (key,) in connection.execute("SELECT key FROM users ORDER BY key")]


class EngineTests(SynchronousTestCase):
    """The writer runs when the test says so."""

    def setUp(self) -> None:
        """Start."""
        self.writer = ManualWorkers()
        self.engine = self.started(MemoryDatabase())

    def started(self, database: MemoryDatabase | Full) -> Engine:
        """A started engine with batches of three."""
        engine = Engine(database, self.writer, InlineWorkers(), 3)
        starting = Deferred.fromCoroutine(engine.start())
        self.writer.flush()
        self.successResultOf(starting)
        return engine

    def keys(self) -> list[str]:
        """What is committed."""
        found: list[str] = self.successResultOf(Deferred.fromCoroutine(self.engine.read(keys)))
        return found

    def test_group_commit(self) -> None:
        """Units that wait while the writer is busy share its next commits, and hear of it only after them."""
        results = [self.engine.write(Unit(key)) for key in "abcde"]
        self.assertEqual(len(self.writer.waiting), 1)
        self.writer.step()
        self.assertEqual(self.successResultOf(results[0]), "a")
        self.assertNoResult(results[1])
        self.writer.step()
        self.assertEqual([self.successResultOf(result) for result in results[1:4]], ["b", "c", "d"])
        self.assertNoResult(results[4])
        self.writer.flush()
        self.assertEqual(self.keys(), list("abcde"))

    def test_refusal_is_personal(self) -> None:
        """A unit that refuses takes back its own changes and nobody else's."""
        results = [self.engine.write(unit) for unit in (Unit("a"), Unit("b", Conflict("no")), Unit("c"))]
        self.writer.flush()
        self.failureResultOf(results[1], Conflict)
        self.assertEqual(self.keys(), ["a", "c"])

    def test_mistake_is_personal(self) -> None:
        """A unit with a mistake in it fails alone; the others of its batch run again and are committed."""
        units = [Unit("a"), Unit("b"), Unit("c", ZeroDivisionError()), Unit("b"), Unit("d")]
        results = [self.engine.write(unit) for unit in units]
        self.writer.flush()
        self.failureResultOf(results[2], ZeroDivisionError)
        self.failureResultOf(results[3], sqlite3.IntegrityError)
        self.assertEqual(self.keys(), ["a", "b", "d"])
        self.assertEqual(units[1].runs, 2)

    def test_full_disk(self) -> None:
        """When a commit fails every unit of it refuses with NoSpace, nothing of it stays, and the store goes on."""
        self.engine = self.started(Full())
        results = [self.engine.write(Unit(key)) for key in ("a", "b", "c" * 100_000)]
        self.writer.flush()
        self.assertEqual(self.successResultOf(results[0]), "a")
        for result in results[1:]:
            self.failureResultOf(result, NoSpace)
        later = self.engine.write(Unit("d"))
        self.writer.flush()
        self.successResultOf(later)
        self.assertEqual(self.keys(), ["a", "d"])

    def test_stop_finishes_what_waits(self) -> None:
        """Stopping waits for the units that were accepted; later ones are refused."""
        results = [self.engine.write(Unit(key)) for key in "ab"]
        stopping = Deferred.fromCoroutine(self.engine.stop())
        self.assertNoResult(stopping)
        self.writer.flush()
        self.successResultOf(stopping)
        for result in results:
            self.successResultOf(result)
        self.failureResultOf(self.engine.write(Unit("c")), Unavailable)
        self.failureResultOf(Deferred.fromCoroutine(self.engine.read(keys)), Unavailable)
        self.successResultOf(Deferred.fromCoroutine(self.engine.stop()))

    def test_giving_up_waiting(self) -> None:
        """Who gives up waiting changes nothing: the unit is committed and the others hear of theirs."""
        first, second = self.engine.write(Unit("a")), self.engine.write(Unit("b"))
        second.addErrback(lambda reason: None)
        second.cancel()
        self.writer.flush()
        self.successResultOf(first)
        self.assertEqual(self.keys(), ["a", "b"])

    def test_failing_read(self) -> None:
        """A read of a damaged page is Damaged; a mistake in a statement stays a mistake."""

        def damaged(connection: Connection) -> None:
            error = sqlite3.DatabaseError("malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

        def mistaken(connection: Connection) -> None:
            connection.execute("SELECT nothing FROM nowhere")

        self.failureResultOf(Deferred.fromCoroutine(self.engine.read(damaged)), Damaged)
        self.failureResultOf(Deferred.fromCoroutine(self.engine.read(mistaken)), sqlite3.OperationalError)

    def test_errors_without_a_code(self) -> None:
        """An error that SQLite gave no code to is no refusal."""
        self.assertIsNone(refusal_of(sqlite3.Error("?")))
