"""The first pull: two domains that never met, over mutual TLS, byte for byte."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from tests.support.world import World


class Pulls(SynchronousTestCase):
    """alice@foo.test sends to bar.test."""

    def setUp(self) -> None:
        """Two domains."""
        self.world = World(Path(self.mktemp()))
        self.foo, self.bar = self.world.domain("foo.test"), self.world.domain("bar.test")
        self.foo.add_user("alice")
        self.bar.add_user("bob")
        self.bar.add_user("carol")

    def test_a_message_becomes_a_verified_copy_and_a_receipt(self) -> None:
        """The nine steps end with the same bytes here and a receipt there."""
        files = {"a.bin": b"a" * 100_000, "empty": b""}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(2)
        self.assertEqual([job.state for job in self.bar.jobs()], [State.RECEIPTED, State.RECEIPTED])
        for data in files.values():
            self.assertEqual(self.bar.content(digest_of(data)), data)
        grants = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 10))
        self.assertTrue(all(grant.receipted for grant in grants))
        self.assertEqual(len(self.bar.trail.of("impersonate")), 1, "one exchange serves them all")
