"""G3: from a sender's recovery to the first byte, whole domains in memory and one virtual clock."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from tests.support.world import World, with_rs

HOUR = 3600.0


class Recovery(SynchronousTestCase):
    """foo.test's resource server was away, and bar.test has something to fetch there."""

    def setUp(self) -> None:
        """Three domains; foo.test's resource server has a host of its own, where nobody answers."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", with_rs("rs.foo.test"))
        self.bar = self.world.domain("bar.test")
        for domain, local in ((self.foo, "alice"), (self.bar, "bob")):
            domain.add_user(local)
        self.world.internet.host("rs.foo.test", "20.0.1.50")

    def outage(self, hours: float) -> None:
        """Mail came and its attachments did not; then the server is back."""
        files = {f"f{n}": b"%d" % n for n in range(5)}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(hours * HOUR, 600)
        self.foo.listen("rs.foo.test")

    def arrived_after(self, most: float, step: float = 1.0) -> float:
        """Seconds until the first byte was here, `most` at most."""
        passed = 0.0
        while passed <= most:
            if any(job.state in (State.STORED, State.RECEIPTED) for job in self.bar.jobs()):
                return passed
            self.world.advance(step, step)
            passed += step
        raise AssertionError(f"nothing came in {most} s")

    def test_g3_without_a_sign_of_life_a_quarter_of_an_hour(self) -> None:
        """After any outage of less than a day."""
        for hours in (0.2, 1, 8, 23):
            self.setUp()
            self.outage(hours)
            self.arrived_after(15 * 60, 10)

    def test_g3_mail_from_the_domain_ten_seconds(self) -> None:
        """A new message of foo.test says that foo.test is back."""
        self.outage(8)
        later = self.foo.send(["bob@bar.test"], {}, "2@foo.test")
        self.bar.deliver(later, "bob@bar.test")
        self.arrived_after(10)

    def test_g3_its_agent_at_our_server_ten_seconds(self) -> None:
        """foo.test's agent fetches something from bar.test: over mutual TLS, with a delegation of foo.test."""
        self.outage(8)
        raw = self.bar.send(["alice@foo.test"], {"back.bin": b"back"}, "3@bar.test")
        self.foo.deliver(raw, "alice@foo.test")
        self.assertLessEqual(self.arrived_after(10), 10)
        self.assertEqual(self.foo.content(digest_of(b"back")), b"back")

    def test_g3_the_sender_s_daemon_starts_again_ten_seconds(self) -> None:
        """It tells those who wait for something; the first byte follows."""
        self.outage(8)
        self.foo = self.world.restart("foo.test")
        self.foo.listen("rs.foo.test")
        self.assertLessEqual(self.arrived_after(10), 10)
        (line,) = self.foo.trail.of("greet")
        self.assertEqual((line["outcome"], line["peer"]), ("granted", "https://bar.test"))
        self.assertEqual(self.bar.trail.of("contact")[-1]["outcome"], "granted")
        self.world.advance(3600, 60)
        self.assertEqual(len(self.foo.trail.of("greet")), 1)

    def test_a_stranger_at_our_server_wakes_nobody_else(self) -> None:
        """evil.test proves to be evil.test; what waits for foo.test goes on waiting."""
        evil = self.world.domain("evil.test")
        evil.add_user("mallory")
        self.outage(8)
        asked = len(self.world.internet.connections)
        raw = self.bar.send(["mallory@evil.test"], {"e": b"e"}, "4@bar.test")
        evil.deliver(raw, "mallory@evil.test")
        self.world.advance(10)
        self.assertFalse(any(job.state is State.RECEIPTED for job in self.bar.jobs()))
        to_foo = [c for c in self.world.internet.connections[asked:] if c[1] == "20.0.1.50"]
        self.assertEqual(to_foo, [])

    def test_a_reload_asks_again_who_said_no(self) -> None:
        """The sender's server refuses bob; after a change of trust here it is asked again at once, not in six hours."""
        self.foo.listen("rs.foo.test")
        raw = self.foo.placeholder(["bob@bar.test"], {"f": b"x"})
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(2)
        (job,) = self.bar.jobs()
        self.assertEqual(job.state, State.NEEDS_AUTH)
        self.foo.grant(b"x", "bob@bar.test")
        self.world.advance(60, 5)
        self.assertEqual(self.bar.job().state, State.NEEDS_AUTH)
        self.bar.whole.means.doors.reload()
        self.world.advance(3)
        self.assertEqual(self.bar.job().state, State.RECEIPTED)
