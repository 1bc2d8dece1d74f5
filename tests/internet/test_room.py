"""Room for what comes, over real TLS: nobody is asked for what has none, and nothing is lost for want of it."""

from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from rrsd.core.values.settings import Size
from rrsd.drivers.store.memory import MemoryFiles
from rrsd.roles.rra.admission import LOOK_EVERY
from rrsd.roles.rra.explain import explain
from tests.support.world import MemoryDomain, World

KIB = 1024
FILM, LETTER, PICTURE = b"film" * 100 * KIB, b"letter" * 1000, b"picture" * 30 * KIB
SOON = LOOK_EVERY.total_seconds() + 2


def with_quota(settings: Settings) -> Settings:
    """Nobody holds more than 300 KiB."""
    return evolve(settings, rra=evolve(settings.rra, quota=Size(300 * KIB)))


class Room(SynchronousTestCase):
    """alice sends to bob, for whom there is little room."""

    def setUp(self) -> None:
        """Two domains."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test")

    def bar(self, *, is_strict: bool) -> MemoryDomain:
        """bob's domain, with a quota or without."""
        bar = self.world.domain("bar.test", with_quota if is_strict else lambda settings: settings)
        for name in ("bob", "carol"):
            bar.add_user(name)
        return bar

    def send(self, bar: MemoryDomain, *files: bytes, to: str = "bob@bar.test", number: int = 1) -> None:
        """A message with these files."""
        named = {f"{place}.bin": data for place, data in enumerate(files)}
        bar.deliver(self.foo.send([to], named, message_id=f"{number}@foo.test"), to)
        self.world.advance(2)

    def states(self, bar: MemoryDomain) -> list[State]:
        """Of all pulls."""
        return [each.state for each in bar.jobs()]

    def asked(self) -> int:
        """How often foo.test was asked for bytes."""
        return len(self.foo.trail.of("retrieve"))

    def test_quota(self) -> None:
        """What does not fit waits without a request or an attempt; what fits comes; more quota lets it come."""
        bar = self.bar(is_strict=True)
        self.send(bar, FILM, LETTER)
        self.assertEqual(self.states(bar), [State.NO_SPACE, State.RECEIPTED])
        waits = bar.job(1)
        self.assertEqual((waits.condition, waits.attempts, self.asked()), ("quota", 0, 1))
        self.assertIn("more than the whole quota of 300 KiB", waits.evidence)
        said = explain(waits, None, self.world.now)
        self.assertEqual((said.waits_for, said.next), (("quota",), None))
        self.assertIn("Its 400 KiB are more than the whole quota", said.sentence)
        self.assertIn("rrsctl users set-quota", said.sentence)
        self.world.result(bar.store.queue.set_quota(bar.address("bob"), 1 << 20))
        self.world.advance(SOON)
        self.assertEqual(self.states(bar), [State.RECEIPTED] * 2)
        self.assertEqual(bar.content(digest_of(FILM)), FILM)

    def test_another_user_has_their_own(self) -> None:
        """bob's quota is nobody else's; a resource that both get counts for both."""
        bar = self.bar(is_strict=True)
        self.send(bar, PICTURE)
        self.send(bar, PICTURE + b"2", number=2)
        self.send(bar, PICTURE, to="carol@bar.test", number=3)
        self.assertEqual(self.states(bar), [State.RECEIPTED, State.NO_SPACE, State.RECEIPTED])
        holdings = self.world.result(bar.store.queue.holdings())
        self.assertEqual([holdings[name].held for name in ("bob@bar.test", "carol@bar.test")], [len(PICTURE)] * 2)

    def test_the_same_again_needs_no_room(self) -> None:
        """A second message with what is here already comes through a full quota."""
        bar = self.bar(is_strict=True)
        self.send(bar, PICTURE)
        self.send(bar, PICTURE, number=2)
        self.assertEqual(self.states(bar), [State.RECEIPTED] * 2)

    def test_disk(self) -> None:
        """Before the first byte: nobody is connected to for what has no room; space that is freed is noticed."""
        bar = self.bar(is_strict=False)
        files = cast(MemoryFiles, bar.store._files)
        files.capacity = (1 << 40) - files.free("/") + 350 * KIB
        self.send(bar, FILM, LETTER)
        self.assertEqual(self.states(bar), [State.NO_SPACE, State.RECEIPTED])
        self.assertEqual((bar.job(1).condition, bar.job(1).attempts, self.asked()), ("space", 0, 1))
        self.world.advance(3600, 20)
        self.assertEqual((len(self.world.result(bar.store.queue.history(1, 99))), self.asked()), (1, 1))
        files.capacity += 1 << 20
        self.world.advance(SOON)
        self.assertEqual(self.states(bar), [State.RECEIPTED] * 2)

    def test_room_survives_a_crash(self) -> None:
        """What waits goes on waiting, what is held is held; nothing stays set apart by what is gone."""
        bar = self.bar(is_strict=True)
        self.send(bar, FILM, PICTURE)
        bar = self.world.restart("bar.test")
        self.world.advance(SOON)
        self.assertEqual(self.states(bar), [State.NO_SPACE, State.RECEIPTED])
        self.assertEqual(self.world.result(bar.store.queue.recount()), [])
        counts = self.world.result(bar.store.queue.counts())
        self.assertEqual((counts.held, counts.reserved), (len(PICTURE), 0))

    def test_a_pull_that_is_cancelled_gives_its_room_back(self) -> None:
        """At once, to who waits for it."""
        bar = self.bar(is_strict=True)
        self.world.hostile("foo.test", self.foo, _silent())
        self.send(bar, PICTURE)
        self.send(bar, PICTURE + b"2", number=2)
        self.assertEqual([each.condition for each in bar.jobs()][1], "quota")
        self.world.result(bar.whole.retrieving.operations.act("cancel", 1))
        self.world.advance(SOON)
        self.assertEqual(self.states(bar)[0], State.CANCELLED)
        self.assertNotEqual(bar.job(2).condition, "quota")


def _silent() -> Any:
    """A server that takes connections and says nothing."""
    from twisted.internet.protocol import Factory, Protocol

    return Factory.forProtocol(Protocol)
