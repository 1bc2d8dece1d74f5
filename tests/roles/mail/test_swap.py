"""Tests for rrsd.roles.mail.flow.swap and its loop: what is swapped, what ends, what is tried again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from attrs import define, field

from rrsd.core.refusals import NoSpace, Refusal, Unavailable, Unknown, Unsupported
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.drivers.store.memory import MemoryStore
from rrsd.drivers.store.sql.holds import Holds
from rrsd.roles.mail.flow import swap
from rrsd.roles.mail.flow.swap import LOOK_AGAIN, Swapper
from rrsd.roles.mail.service import AFTER_TROUBLE, Swapping
from rrsd.roles.rra.restore import Restoration
from rrsd.runtime.bell import Bell
from rrsd.runtime.loops import Nursery
from tests.support.domains import FlowCase, Journal, clock_at, now, timers_of

BOB = parse_address("bob@bar.test")
RAW = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\n\r\nx\r\n"
DIGEST = digest_of(RAW)
HOLD = Hold(BOB, DIGEST, "4ABC", "<1@foo.test>", "dkim foo.test s1 dnssec", now(), Stand.PLACEHOLDER)


@define(eq=False)
class Agent:
    """The pulls of one placeholder."""

    how: Progress | Refusal = field(factory=lambda: Progress(0, size=len(RAW)))

    async def accept(
        self, raw: bytes, recipient: Address, granted: Address | None = None, *, is_proved: bool = False
    ) -> None:
        """Nothing."""

    async def progress(self, recipient: Address, digest: Digest) -> Progress:
        """As it was told."""
        if isinstance(self.how, Refusal):
            raise self.how
        return self.how

    async def settled(self, recipient: Address, digest: Digest, within: timedelta) -> None:
        """Nothing."""

    async def restored(self, recipient: Address, digest: Digest) -> Restoration:
        """The whole."""
        return Restoration(len(RAW), _blocks())


async def _blocks() -> AsyncIterator[bytes]:
    yield RAW


@define(eq=False)
class Boxes:
    """The mailboxes: the placeholder is there `count` times, or was, when it `is_done`."""

    count: int = 1
    is_done: bool = False
    trouble: Refusal | None = None
    got: list[bytes] = field(factory=list)
    asked: int = 0

    async def swap(
        self,
        recipient: Address,
        message_id: str,
        placeholder: tuple[Digest, int],
        complete: Callable[[bytes], Awaitable[tuple[int, AsyncIterator[bytes]]]],
    ) -> int:
        """What it was told."""
        self.asked += 1
        assert (recipient, message_id, placeholder) == (BOB, HOLD.message_id, (DIGEST, len(RAW)))
        if self.trouble is not None:
            raise self.trouble
        for _ in range(0 if self.is_done else self.count):
            size, blocks = await complete(RAW)
            self.got.append(b"".join([block async for block in blocks]))
            assert len(self.got[-1]) == size
        return self.count


class SwapCase(FlowCase):
    """bob has one placeholder."""

    def setUp(self) -> None:
        """Its row stands."""
        self.clock, self.agent, self.boxes, self.journal = clock_at(), Agent(), Boxes(), Journal()
        self.timers = timers_of(self.clock)
        self.store = MemoryStore(self.timers.now)
        self.run_now(self.store.start())
        self.run_now(self.store.holds.put(HOLD))
        self.bell = Bell(self.clock)
        self.swapper = self.made()

    def made(self) -> Swapper:
        """After a start."""
        return Swapper(
            holds=self.store.holds, pulls=self.agent, mailboxes=self.boxes, timers=self.timers, audit=self.journal,
            service="bar.test", ring=self.bell.ring,
        )  # fmt: skip

    def look(self) -> timedelta:
        """One round."""
        return self.run_now(self.swapper.look())

    def stand(self) -> Stand:
        """How the row stands."""
        (hold,) = self.run_now(self.store.holds.of(BOB, DIGEST))
        return hold.stand

    def said(self) -> list[tuple[str, str]]:
        """Outcome and evidence."""
        return [(each.outcome, each.evidence) for each in self.journal.events]


class Rounds(SwapCase):
    """One round after the other."""

    def test_swapped_once(self) -> None:
        """With our results on top, and never again."""
        self.assertEqual(self.look(), LOOK_AGAIN)
        results = b"Authentication-Results: bar.test;\r\n dkim=pass header.d=foo.test header.s=s1\r\n"
        self.assertEqual(self.boxes.got, [results + RAW])
        self.assertEqual((self.stand(), self.said()), (Stand.SWAPPED, [("granted", "swapped 1")]))
        self.swapper.ended(BOB, DIGEST)
        self.look()
        self.assertEqual(self.boxes.asked, 1)

    def test_ends_without_swap(self) -> None:
        """Deleted by the user, pulls that failed for good or that nobody knows: the row ends, and the trail says so."""
        for how, count, said, refusal in (
            (Progress(0, size=len(RAW)), 0, "not in the mailbox any more", "unknown"),
            (Progress(1, 1, "gone"), 1, "1 will not arrive: gone", "withdrawn"),
            (Unknown("message"), 1, "its pulls are not known any more", "unknown"),
        ):
            self.run_now(self.store.holds.put(HOLD))
            self.agent.how, self.boxes.count, self.swapper = how, count, self.made()
            self.look()
            self.assertEqual((self.stand(), self.said()[-1]), (Stand.PASSED, ("refused", said)))
            self.assertEqual(self.journal.events[-1].refusal, refusal)
        self.assertEqual(self.boxes.got, [])

    def test_news(self) -> None:
        """What still waits is left alone until its last pull ends."""
        self.agent.how = Progress(1, size=len(RAW))
        self.look()
        self.assertEqual((self.boxes.asked, self.journal.events), (0, []))
        self.agent.how = Progress(0, size=len(RAW))
        self.look()
        self.assertEqual(self.boxes.asked, 0)
        self.swapper.ended(BOB, DIGEST)
        self.look()
        self.assertEqual(self.stand(), Stand.SWAPPED)

    def test_more_news_than_is_kept(self) -> None:
        """The next sweep finds it."""
        self.patch(swap, "MOST", 0)
        self.swapper.ended(BOB, DIGEST)
        self.patch(swap, "MOST", 10)
        self.look()
        self.assertEqual(self.stand(), Stand.SWAPPED)

    def test_tried_again(self) -> None:
        """Later and later, not at every piece of news; every failure is in the trail."""
        self.boxes.trouble = Unsupported("no UIDPLUS")
        self.assertEqual(self.look(), timedelta(seconds=30))
        self.swapper.ended(BOB, DIGEST)
        self.look()
        self.assertEqual((self.boxes.asked, self.said()), (1, [("failed", "no UIDPLUS")]))
        self.clock.advance(30)
        self.assertEqual(self.look(), timedelta(seconds=60))
        self.boxes.trouble = None
        self.clock.advance(60)
        self.look()
        self.assertEqual(self.stand(), Stand.SWAPPED)

    def test_killed_before_the_row(self) -> None:
        """The mailbox is done and the row is not: after the next start the row ends as what it is, and nothing comes
        twice."""
        full = self.patch(Holds, "put", _full)
        self.look()
        self.assertEqual((self.stand(), self.said()[-1][0]), (Stand.PLACEHOLDER, "failed"))
        full.restore()
        self.boxes.is_done, self.swapper = True, self.made()
        self.look()
        self.assertEqual((self.stand(), self.said()[-1]), (Stand.SWAPPED, ("granted", "swapped 1")))
        self.assertEqual(len(self.boxes.got), 1)

    def test_row_ended_before_the_line(self) -> None:
        """While the trail is full nothing ends: it is looked at again, and nothing comes twice."""
        self.swapper.audit = Full()
        self.refuse_now(self.swapper.look(), Unavailable)
        self.assertEqual(self.stand(), Stand.PLACEHOLDER)
        self.boxes.is_done, self.swapper.audit = True, self.journal
        self.clock.advance(30)
        self.look()
        self.assertEqual((self.stand(), self.said()), (Stand.SWAPPED, [("granted", "swapped 1")]))
        self.assertEqual(len(self.boxes.got), 1)


class Full:
    """A trail that cannot be written."""

    def record(self, event: Event) -> None:
        """It says so."""
        raise Unavailable("audit trail")


async def _full(*_: object) -> None:
    raise NoSpace("disk")


async def _broken(*_: object) -> list[Hold]:
    raise Unavailable("disk")


class Loop(SwapCase):
    """The loop."""

    def test_trouble_and_news(self) -> None:
        """A store that fails is asked again; a pull that ends wakes the loop."""
        broken = self.patch(Holds, "standing", _broken)
        work = Nursery()
        work.spawn(Swapping(self.swapper, self.bell).run(), "swap")
        self.assertEqual(self.stand(), Stand.PLACEHOLDER)
        broken.restore()
        self.agent.how = Progress(1, size=len(RAW))
        self.clock.advance(AFTER_TROUBLE.total_seconds())
        self.agent.how = Progress(0, size=len(RAW))
        self.swapper.ended(BOB, DIGEST)
        self.assertEqual(self.stand(), Stand.SWAPPED)
        self.run_now(work.stop())
