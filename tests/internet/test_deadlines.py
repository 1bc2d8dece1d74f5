"""Deadlines between two domains: more time from the sender, the final attempt, and a long stop."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State
from tests.support.world import MemoryDomain, World, with_rs

HOUR, DAY = 3600, 86_400
RS = "20.0.1.50"
FILM = bytes(range(256)) * 256 * 300
"""20 MB."""
ARRIVED = (State.STORED, State.RECEIPTED)


def for_days(days: int) -> Callable[[Settings], Settings]:
    """Pulls are tried for so long."""
    return lambda settings: evolve(settings, rra=evolve(settings.rra, lifetime=timedelta(days=days)))


class Deadlines(SynchronousTestCase):
    """Mail from foo.test to bar.test; foo.test's resource server has a host of its own."""

    def begin(self, life: int = 7, longest: timedelta = timedelta(days=14)) -> None:
        """The two domains."""

        def sender(settings: Settings) -> Settings:
            given = with_rs("rs.foo.test")(settings)
            return evolve(given, rs=evolve(given.rs, renewal_longest=longest))

        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", sender)
        self.bar = self.world.domain("bar.test", for_days(life))
        self.foo.add_user("alice")
        self.bar.add_user("bob")
        self.world.internet.host("rs.foo.test", RS)
        self.began: Instant = self.world.now

    def send(self, data: bytes, hours: float) -> None:
        """Alice lets bob fetch it for so many hours."""
        self.foo.grant(data, "bob@bar.test", days=hours / 24)
        raw = self.foo.placeholder(["bob@bar.test"], {"film": data}, days=hours / 24)
        self.bar.deliver(raw, "bob@bar.test")

    def until(self, hours: float, step: float = 10) -> None:
        """Let time pass until so long after the beginning."""
        self.world.advance((self.began - self.world.now).total_seconds() + hours * HOUR, step)

    def job(self) -> Job:
        """The pull."""
        return self.bar.job()

    def events(self) -> list[str]:
        """What happened to it."""
        return [row.event for row in self.world.result(self.bar.store.queue.history(1, 500))]

    def film(self, domain_listens: bool = True) -> None:
        """20 MB by a link of 8 KiB/s, which take longer than the half hour that alice gave."""
        if domain_listens:
            self.foo.listen("rs.foo.test")
        self.world.internet.slow[RS] = 8192.0
        self.send(FILM, 0.5)
        self.world.advance(120, 1)

    def cut(self) -> None:
        """The connections to the resource server break, so that it has to be asked again."""
        for wire in self.world.internet.wires:
            if RS in (wire.getHost().host, wire.getPeer().host):
                wire.cut()
        self.world.internet.pump()

    def trail(self, domain: MemoryDomain, what: str) -> list[tuple[str, str]]:
        """What the domain wrote down about it."""
        return [(line["outcome"], line["resource"]) for line in domain.trail.of(what)]

    def test_g11_a_slow_sender_gives_more_time(self) -> None:
        """At risk long before the end, asked for once, granted; what is fetched after the original end arrives."""
        self.begin()
        self.film()
        self.until(0.4)
        self.assertIn("at_risk", self.events())
        self.assertIn("extended", self.events())
        found = self.job()
        self.assertEqual((found.state, found.at_risk), (State.LEASED, None))
        assert found.not_after is not None
        self.assertGreater(found.not_after, self.began + timedelta(days=7))
        self.assertEqual(found.deadline, found.accepted + timedelta(days=7), "our own lifetime, and no more")
        self.assertEqual(self.trail(self.bar, "extend"), [("granted", "1 of 1 pulls")])
        self.assertEqual(self.trail(self.foo, "renew"), [("granted", "1 of 1 grants")])
        self.until(0.55)
        self.assertNotIn(self.job().state, ARRIVED)
        self.cut()
        self.world.advance(300, 1)
        self.until(1)
        self.assertIn(self.job().state, ARRIVED)
        self.assertEqual(self.bar.content(digest_of(FILM)), FILM)

    def test_a_sender_who_gives_no_more_time(self) -> None:
        """The risk is known and said; the end stays where it was, and nothing is asked for again and again."""
        self.begin(longest=timedelta())
        self.film()
        before = self.job()
        self.until(0.4)
        found = self.job()
        self.assertEqual((found.deadline, found.not_after), (before.deadline, before.not_after))
        self.assertIsNotNone(found.at_risk)
        self.assertEqual({outcome for outcome, _ in self.trail(self.foo, "renew")}, {"refused"})
        self.assertLessEqual(len(self.trail(self.foo, "renew")), 3)
        self.assertEqual(self.trail(self.bar, "at_risk"), [("failed", "pull 1")])
        self.until(0.55)
        self.cut()
        self.world.advance(300, 1)
        self.until(0.7)
        self.assertEqual(self.job().state, State.FAILED, "what has ended at the sender's is gone")

    def test_the_final_attempt_comes_at_the_last_moment(self) -> None:
        """A server that was away for twelve days and is back a minute before the end is asked, and not hours later."""
        self.begin(life=14)
        self.send(b"a letter", 14 * 24)
        deadline = self.job().deadline
        self.until((deadline - self.began).total_seconds() / HOUR - 1, 3 * HOUR)
        self.until((deadline - self.began).total_seconds() / HOUR - 1 / 60, 60)
        self.assertNotIn(self.job().state, (*ARRIVED, State.EXPIRED))
        self.foo.listen("rs.foo.test")
        self.world.advance(35 * 60, 15)
        self.assertIn(self.job().state, ARRIVED)

    def test_r5_what_ends_at_a_dead_server_ends_with_one_attempt(self) -> None:
        """Forty letters to a server that is gone: each has its evidence, and the server a few connections."""
        self.begin()
        files = {f"f{number}": b"%d" % number for number in range(40)}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        deadline = self.job().deadline
        self.until((deadline - self.began).total_seconds() / HOUR - 0.1, 2 * HOUR)
        before = len(self.world.internet.connections)
        self.world.advance(2 * HOUR, 30)
        jobs = self.bar.jobs()
        self.assertEqual({job.state for job in jobs}, {State.EXPIRED})
        self.assertTrue(all(job.evidence for job in jobs))
        self.assertLessEqual(len(self.world.internet.connections) - before, 8)
        line = self.bar.trail.of("expire")[-1]
        self.assertIn("https://rs.foo.test", line["evidence"])

    def test_r10_after_a_stop_of_three_weeks(self) -> None:
        """The lifetime was over while nobody could try; the sender's server comes back after the daemon."""
        self.begin()
        self.send(b"a letter", 40 * 24)
        self.bar.stop()
        self.world.advance(21 * DAY, DAY)
        self.bar = self.world.restart("bar.test")
        self.world.advance(30 * 60, 5)
        self.assertNotIn(self.job().state, (*ARRIVED, State.EXPIRED))
        self.foo.listen("rs.foo.test")
        self.world.advance(30 * 60, 5)
        self.assertIn(self.job().state, ARRIVED)
