"""The room of the keys: a signing key is changed by itself when it is old."""

from datetime import timedelta
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import NoSpace
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.drivers.keys.room import LOOK_EVERY, KeyRoom
from rrsd.drivers.keys.service import SIGNING, Keyring
from rrsd.drivers.keys.settings import Settings
from rrsd.runtime.timers import Timers

DAY = 86_400


class Rotations(SynchronousTestCase):
    """bar.test's signing key is ninety days old."""

    def setUp(self) -> None:
        """A folder of keys, and a room that has started."""
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.rotations, self.trouble = 0, False
        self.room = self.started(Path(self.mktemp()), timedelta(days=90))
        self.first = self.room.keyring.signer.kid

    def started(self, folder: Path, every: timedelta) -> KeyRoom:
        """A room over new keys."""
        timers = Timers(self.clock)
        keyring = Keyring(Settings(path=str(folder), rotate_every=every), timers.now)
        keyring.create(parse_client_identifier("_rra.bar.test"))
        room = KeyRoom(keyring, timers, lambda: self.rotate(keyring))
        self.successResultOf(Deferred.fromCoroutine(room.start()))
        return room

    def rotate(self, keyring: Keyring) -> bool:
        """As the room is told to."""
        self.rotations += 1
        if self.trouble:
            raise NoSpace("full")
        return keyring.rotate()

    def pass_days(self, days: int) -> None:
        """Time, an hour at a time."""
        self.clock.pump([LOOK_EVERY.total_seconds()] * 24 * days)

    def test_after_its_time(self) -> None:
        """Not a day before, once when it is due, and not again for as long."""
        self.pass_days(89)
        self.assertEqual((self.rotations, self.room.keyring.signer.kid), (0, self.first))
        self.pass_days(2)
        self.assertEqual(self.rotations, 1)
        self.assertNotEqual(self.room.keyring.signer.kid, self.first)
        self.pass_days(80)
        self.assertEqual(self.rotations, 1)

    def test_trouble(self) -> None:
        """What refuses a rotation is logged, the old key signs on, and an hour later it is tried again."""
        self.trouble = True
        self.pass_days(90)
        self.assertEqual(self.room.keyring.signer.kid, self.first)
        self.trouble = False
        self.clock.advance(LOOK_EVERY.total_seconds())
        self.assertNotEqual(self.room.keyring.signer.kid, self.first)

    def test_stopped(self) -> None:
        """Nothing is changed, and nothing waits, after the room has stopped."""
        self.successResultOf(Deferred.fromCoroutine(self.room.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never(self) -> None:
        """With 0s the clock changes no key."""
        self.successResultOf(Deferred.fromCoroutine(self.room.stop()))
        self.started(Path(self.mktemp()), timedelta(0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_z06_without_an_active_key(self) -> None:
        """A missing key is the operator's affair: the clock makes none."""
        self.successResultOf(Deferred.fromCoroutine(self.room.stop()))
        room = self.started(Path(self.mktemp()), timedelta(days=90))
        (room.keyring.folder / SIGNING).unlink()
        room.keyring.reload()
        self.pass_days(100)
        self.assertEqual(self.rotations, 0)
