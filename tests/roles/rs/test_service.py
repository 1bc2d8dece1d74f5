"""What the Resource Server does without being asked."""

from datetime import timedelta

from rrsd.core.refusals import NoSpace
from rrsd.core.values.resources import Upload
from rrsd.roles.rs.service import Collection
from rrsd.roles.rs.settings import Settings
from rrsd.runtime.loops import Nursery
from tests.support.domains import Arrivals, Bytes, FlowCase, Ledger, Party, clock_at, now, timers_of

FOO = Party("foo.test")


class Collecting(FlowCase):
    """The collection of bytes that nobody needs."""

    def setUp(self) -> None:
        self.clock, self.blobs = clock_at(), Bytes()
        self.uploads = Arrivals(self.blobs)
        timers = timers_of(self.clock)
        settings = Settings(origin=FOO.origin)
        self.room = Collection(settings, self.blobs, self.uploads, timers, Nursery(), Ledger())
        self.run_now(self.room.start())
        self.addCleanup(lambda: self.run_now(self.room.stop()))

    def test_every_minute(self) -> None:
        """A round a minute, the first after one."""
        self.blobs.put(b"a")
        self.clock.advance(59)
        self.assertEqual(len(self.blobs.kept), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.blobs.kept), 0)
        self.blobs.put(b"b")
        self.clock.advance(60)
        self.assertEqual(len(self.blobs.kept), 0)

    def test_stale_uploads(self) -> None:
        """Uploads past their time go as well."""
        for name, life in (("old", 0), ("new", 1)):
            expires = now() + timedelta(days=life)
            self.run_now(self.uploads.begin(Upload(name, FOO.address("alice"), 3, 0, expires)))
        self.assertEqual(self.run_now(self.room.collect()), 1)
        self.assertEqual(set(self.uploads.kept), {"new"})

    def test_trouble(self) -> None:
        """A round that fails is followed by the next."""
        self.blobs.put(b"a")
        self.blobs.refusal = NoSpace("disk")
        self.clock.advance(60)
        self.blobs.refusal = None
        self.clock.advance(60)
        self.assertEqual(len(self.blobs.kept), 0)

    def test_stop(self) -> None:
        """After the stop there is no round."""
        self.run_now(self.room.stop())
        self.blobs.put(b"a")
        self.clock.advance(600)
        self.assertEqual(len(self.blobs.kept), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
