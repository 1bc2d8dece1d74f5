"""How placeholders go on when something is wrong with them, or with the next server."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Damaged, Refusal, Unknown, Unsupported
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply, ReversePath
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.core.values.instants import instant
from rrsd.core.wire.mime import parse_placeholder, render_placeholder
from rrsd.roles.mail.flow.handover import Arrived, Case, Handover
from rrsd.roles.mail.flow.mailboxes import ToMailboxes, Turns
from rrsd.roles.mail.flushing import MOST_WAITING, Flusher
from rrsd.roles.mail.holding import Way
from rrsd.runtime.bell import Bell
from rrsd.runtime.timers import Timers
from tests.core.wire.mime_cases import OUTGOING

BOB = parse_address("bob@bar.test")
RAW = render_placeholder(OUTGOING)
NOW = instant(1_800_000_000)
HOLD = Hold(BOB, digest_of(RAW), "4A", "1@foo.test", "dkim foo.test s1 dnssec", NOW, Stand.HELD)


@frozen
class Whole:
    """A complete message."""

    blocks: AsyncIterator[bytes]
    size: int = 3


@define
class Agent:
    """Pulls that are as they are told to be."""

    refusal: Refusal | None = None

    async def accept(
        self, raw: bytes, recipient: Address, granted: Address | None = None, *, is_proved: bool = False
    ) -> None:
        """Nothing to do."""

    async def progress(self, recipient: Address, digest: Digest) -> Progress:
        """All is here."""
        return Progress(0)

    async def settled(self, recipient: Address, digest: Digest, within: timedelta) -> None:
        """At once."""

    async def restored(self, recipient: Address, digest: Digest) -> Whole:
        """Three bytes."""
        if self.refusal is not None:
            raise self.refusal

        async def blocks() -> AsyncIterator[bytes]:
            yield b"abc"

        return Whole(blocks())


@define
class Next:
    """The next server."""

    refusal: Refusal | None = None
    taken: list[bytes] = field(factory=list)

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """Takes everything, or refuses."""
        if self.refusal is not None:
            raise self.refusal
        self.taken.append(b"".join([block async for block in message]))
        return (Reply(250),) * len(envelope.recipients)

    async def offers(self) -> dict[str, str]:
        """Nothing."""
        return {}


@define
class Rows:
    """Rows in a list."""

    rows: list[Hold] = field(factory=list)

    async def find(self, recipient: Address, digest: Digest, queue: str) -> Hold | None:
        """None."""
        return None

    async def of(self, recipient: Address, digest: Digest) -> list[Hold]:
        """All."""
        return self.rows

    async def standing(self, stand: Stand, most: int) -> list[Hold]:
        """None."""
        return []

    async def put(self, hold: Hold) -> None:
        """One more."""
        self.rows.append(hold)


class HandoverCase(SynchronousTestCase):
    """One complete message for bob."""

    def setUp(self) -> None:
        """Everything is in order."""
        self.agent, self.next, self.rows = Agent(), Next(), Rows()
        self.case = Case(0, str(BOB), BOB, HOLD, Way.COMPLETE)
        self.told: list[Case] = []

    def deliver(self, *, may_wait: bool) -> Reply | None:
        """The reply."""
        timers = Timers(Clock(), lambda: NOW.timestamp())
        journal: Any = None
        mailboxes = ToMailboxes(self.next, journal, Turns(DeferredLock), journal, "+")
        handover = Handover(next=mailboxes, pulls=self.agent, holds=self.rows, timers=timers, service="bar.test")
        envelope = Envelope("bar.test", ReversePath("alice@foo.test"), (ForwardPath(str(BOB)),))
        message = Arrived(envelope, RAW, parse_placeholder(RAW), digest_of(RAW), "4A", None)
        work = handover.deliver(message, [self.case], self.told.append, may_wait=may_wait)
        self.successResultOf(Deferred.fromCoroutine(work))
        return self.case.reply

    def test_complete(self) -> None:
        """With our results on top, and a row."""
        self.assertEqual(self.deliver(may_wait=True), Reply(250))
        self.assertTrue(self.next.taken[0].startswith(b"Authentication-Results: bar.test;"))
        self.assertEqual([row.stand for row in self.rows.rows], [Stand.COMPLETED])

    def test_cannot_be_completed(self) -> None:
        """Later while there is time, then as a placeholder; never a bounce, whatever the refusal."""
        for refusal in (Damaged("blob"), Unknown("message")):
            self.agent.refusal = refusal
            reply = self.deliver(may_wait=True)
            assert reply is not None
            self.assertEqual((reply.code, self.case.way, self.case.refusal), (451, Way.HOLD, refusal.reason))
            self.case = evolve(self.case, way=Way.COMPLETE, reply=None)
        self.assertEqual(self.deliver(may_wait=False), Reply(250))
        self.assertEqual((self.next.taken, self.rows.rows[-1].stand), ([RAW], Stand.PLACEHOLDER))

    def test_next_server_cannot_take_it(self) -> None:
        """What it never can is for good."""
        self.next.refusal = Unsupported("SMTPUTF8")
        reply = self.deliver(may_wait=True)
        assert reply is not None
        self.assertEqual((reply.code, self.rows.rows), (550, []))


class Hurry(SynchronousTestCase):
    """The flusher where it has nothing to do."""

    def flusher(self, *command: str) -> Any:
        """One on a clock of its own."""
        clock = Clock()
        timers = Timers(clock)

        async def run(_: object) -> int:
            raise AssertionError("no command is wanted")

        return Flusher(
            command=command, holds=Rows(), pulls=Agent(), run_command=run, is_busy=lambda *_: False, timers=timers,
            bell=Bell(clock),
        )  # fmt: skip

    def test_no_command(self) -> None:
        """Where none is configured, nothing is remembered."""
        flusher = self.flusher()
        flusher.ended(BOB, HOLD.digest)
        self.assertEqual(len(flusher._waiting), 0)

    def test_bound(self) -> None:
        """No more than so many are remembered, and looked at one after the other."""
        flusher = self.flusher("postqueue")
        for number in range(MOST_WAITING + 1):
            flusher.ended(BOB, digest_of(str(number).encode()))
        self.assertEqual(len(flusher._waiting), MOST_WAITING)
