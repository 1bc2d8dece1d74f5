"""An operator's hands on transfers between two domains, over real TLS."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Blame, State
from tests.internet.test_hostile import BODY, HALF, Answer, Hostile, broken, rest, status, whole
from tests.support.world import World, with_rs


def resumed(head: str) -> Answer:
    """The rest that the request asks for."""
    lines = [line for line in head.lower().split("\r\n") if line.startswith("range: ")]
    if not lines:
        return status("204 No Content")
    (line,) = lines
    return rest(int(line.removeprefix("range: bytes=").removesuffix("-")))


class Hands(SynchronousTestCase):
    """A transfer that stands still half-way."""

    def setUp(self) -> None:
        """rs.foo.test sends half of it and then nothing."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", with_rs("rs.foo.test"))
        self.bar = self.world.domain("bar.test")
        self.bar.add_user("bob")
        self.hostile = Hostile([broken(whole(), HALF, "hang")])
        self.world.hostile("rs.foo.test", self.foo, self.hostile)
        self.bar.deliver(self.foo.placeholder(["bob@bar.test"], {"f": BODY}), "bob@bar.test")
        self.world.advance(1)
        self.assertEqual(self.bar.job(1).state, State.LEASED)

    def act(self, verb: str) -> None:
        """The operator says so."""
        self.world.result(self.bar.whole.retrieving.operations.act(verb, 1))
        self.world.advance(1)

    def test_cancel_closes_the_connection_at_once(self) -> None:
        """The job is cancelled, nobody is blamed, and nothing is asked for again."""
        self.act("cancel")
        self.assertEqual(self.bar.job(1).state, State.CANCELLED)
        self.assertEqual(self.bar.whole.retrieving.operations.scheduler.health.ill(), ())
        self.world.advance(300, 10)
        self.assertEqual(len(self.hostile.heads), 1)

    def test_hold_and_release_resume(self) -> None:
        """Held as long as it is held; then only the rest is asked for."""
        self.act("hold")
        self.assertEqual((self.bar.job(1).state, self.bar.job(1).blame), (State.HELD, Blame.NOBODY))
        self.world.advance(600, 10)
        self.assertEqual(len(self.hostile.heads), 1)
        self.hostile.script.append(resumed)
        self.act("release")
        self.world.advance(2)
        first, second = self.hostile.ranges()[:2]
        self.assertEqual(first, "")
        offset = int(second.removeprefix("bytes=").removesuffix("-"))
        self.assertTrue(0 < offset <= HALF, "only the rest")
        self.assertEqual(self.bar.content(digest_of(BODY)), BODY)

    def test_release_and_retry_now_do_not_disturb_it(self) -> None:
        """The transfer goes on as if nobody had said anything."""
        self.act("release")
        self.act("retry-now")
        self.assertEqual((self.bar.job(1).state, len(self.hostile.heads)), (State.LEASED, 1))

    def test_a_stop_keeps_the_bytes(self) -> None:
        """The lease is given back, with what is durable."""
        self.bar.stop()
        self.assertEqual(self.bar.job(1).state, State.READY)
        fetch = self.world.result(self.bar.store.queue.fetch(self.bar.job(1).origin, digest_of(BODY)))
        self.assertTrue(HALF - 256 * 1024 < fetch.offset <= HALF, fetch.offset)
