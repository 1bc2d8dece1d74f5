"""The queue between two domains: outages, restarts, readers, full disks."""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from tests.support.world import World, with_rs

ARRIVED = {State.STORED, State.RECEIPTED}


class Queues(SynchronousTestCase):
    """Mail from foo.test to bar.test."""

    def setUp(self) -> None:
        """Two domains; foo.test's resource server has a host of its own."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", with_rs("rs.foo.test"))
        self.bar = self.world.domain("bar.test")
        self.foo.add_user("alice")
        self.bar.add_user("bob")
        self.bar.add_user("carol")
        self.world.internet.host("rs.foo.test", "20.0.1.50")

    def open_rs(self) -> None:
        """foo.test's resource server answers from now on."""
        self.foo.listen("rs.foo.test")

    def states(self) -> set[State]:
        """Where the pulls are."""
        return {job.state for job in self.bar.jobs()}

    def test_an_outage_of_a_day_ends_by_itself(self) -> None:
        """When the server is back, everything arrives within the probe's time, without anybody's help."""
        files = {f"f{n}": b"%d" % n for n in range(10)}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(86_400, 120)
        self.assertFalse(self.states() & ARRIVED)
        self.open_rs()
        self.world.advance(1800, 30)
        self.assertEqual(self.states(), {State.RECEIPTED})

    def test_a_lifetime_ends_in_expiry(self) -> None:
        """What never came is said to have expired; nothing is asked for afterwards."""
        self.bar.deliver(self.foo.send(["bob@bar.test"], {"f": b"x"}), "bob@bar.test")
        self.world.advance(8 * 86_400, 3600)
        self.assertEqual(self.states(), {State.EXPIRED})
        tried = len(self.world.internet.connections)
        self.world.advance(86_400, 3600)
        self.assertEqual(len(self.world.internet.connections), tried)

    def test_two_recipients_share_the_bytes_and_not_the_right(self) -> None:
        """One transfer; the second proves its own right; a third that was not granted it gets nothing."""
        self.open_rs()
        self.bar.add_user("eve")
        raw = self.foo.send(["bob@bar.test", "carol@bar.test"], {"f": b"shared"})
        self.bar.deliver(raw, "bob@bar.test", "carol@bar.test", "eve@bar.test")
        self.world.advance(3)
        by_user = {job.recipient.local: job.state for job in self.bar.jobs()}
        self.assertEqual(by_user["bob"], State.RECEIPTED)
        self.assertEqual(by_user["carol"], State.RECEIPTED)
        self.assertEqual(by_user["eve"], State.NEEDS_AUTH)

    def suspend(self, suspended: bool) -> None:
        """bob may not do anything, or may again."""
        user = self.world.result(self.bar.store.users.find(self.bar.address("bob")))
        self.world.result(self.bar.store.users.save(evolve(user, suspended=suspended)))

    def test_a_suspended_user_pulls_nothing(self) -> None:
        """The STS says no, the job waits for that to change, and then goes on."""
        self.bar.deliver(self.foo.send(["bob@bar.test"], {"f": b"x"}), "bob@bar.test")
        self.suspend(True)
        self.world.advance(600, 10)
        self.open_rs()
        self.world.advance(1200, 10)
        self.assertEqual(self.states(), {State.NEEDS_AUTH})
        self.suspend(False)
        self.world.result(self.bar.whole.retrieving.operations.act("retry-now", 1))
        self.world.advance(3)
        self.assertEqual(self.states(), {State.RECEIPTED})

    def test_nothing_is_impersonated_twice_for_one_user_and_server(self) -> None:
        """One delegation serves a message of many parts and its receipts."""
        self.open_rs()
        files = {f"f{n}": b"%d" % n for n in range(40)}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(3)
        self.assertEqual(self.states(), {State.RECEIPTED})
        self.assertEqual(len(self.bar.trail.of("impersonate")), 1)
        self.assertEqual(self.bar.content(digest_of(b"7")), b"7")
