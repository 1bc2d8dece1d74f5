"""Users that are kept in memory, read and changed at the same time."""

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.logins import User
from rrsd.drivers.store.sql import users
from rrsd.drivers.store.sql.database import MemoryDatabase
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.users import Users
from tests.drivers.store.manual import ManualWorkers
from tests.drivers.store.samples import ALICE, BOB, NOW


class Known(SynchronousTestCase):
    """Readers and the writer run when the test says so."""

    def setUp(self) -> None:
        """alice is there."""
        self.writer, self.readers = ManualWorkers(), ManualWorkers()
        self.engine = Engine(MemoryDatabase(), self.writer, self.readers)
        starting = Deferred.fromCoroutine(self.engine.start())
        self.writer.flush()
        self.successResultOf(starting)
        self.users = Users(self.engine)
        self.alice = User(ALICE, "phc", False, NOW)
        self.save(self.alice)

    def save(self, user: User) -> None:
        """Change the user, to the end."""
        saving = Deferred.fromCoroutine(self.users.save(user))
        self.writer.flush()
        self.successResultOf(saving)

    def find(self) -> "Deferred[User]":
        """Ask for alice."""
        return Deferred.fromCoroutine(self.users.find(ALICE))

    def found(self) -> User:
        """alice, read if need be."""
        finding = self.find()
        self.readers.flush()
        return self.successResultOf(finding)

    def test_read_once(self) -> None:
        """The second question needs no reader."""
        self.assertEqual(self.found(), self.alice)
        self.assertEqual(self.successResultOf(self.find()), self.alice)

    def test_read_before_and_told_after_a_change(self) -> None:
        """What a reader saw before somebody was suspended is not remembered."""
        suspended = evolve(self.alice, suspended=True)
        finding = self.find()
        saving = Deferred.fromCoroutine(self.users.save(suspended))
        self.readers.flush()
        self.writer.flush()
        self.successResultOf(saving)
        self.assertEqual(self.successResultOf(finding), self.alice)
        self.assertEqual(self.found(), suspended)

    def test_read_while_a_change_is_on_its_way(self) -> None:
        """Nor what a reader saw while the change had no commit yet."""
        suspended = evolve(self.alice, suspended=True)
        saving = Deferred.fromCoroutine(self.users.save(suspended))
        finding = self.find()
        self.readers.flush()
        self.assertEqual(self.successResultOf(finding), self.alice)
        self.writer.flush()
        self.successResultOf(saving)
        self.assertEqual(self.found(), suspended)

    def test_bound(self) -> None:
        """Whoever was asked for longest ago is read again."""
        self.patch(users, "MOST_KNOWN", 1)
        self.found()
        self.save(User(BOB, "phc", False, NOW))
        asking = Deferred.fromCoroutine(self.users.find(BOB))
        self.readers.flush()
        self.successResultOf(asking)
        self.assertNoResult(self.find())

    def test_stopped(self) -> None:
        """A store that is closed answers nothing, out of memory neither."""
        self.found()
        stopping = Deferred.fromCoroutine(self.engine.stop())
        self.writer.flush()
        self.successResultOf(stopping)
        self.failureResultOf(self.find(), Unavailable)
