"""Tests for rrsd.roles.mail.flow.notices and rrsd.roles.mail.service: to whom, how often, until when."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from attrs import define, evolve, field

from rrsd.core.refusals import Expired, Forbidden, Malformed, NoSpace, Refusal, TooMany, Unavailable, Unknown
from rrsd.core.values.addresses import Address, parse_address, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Envelope, Fate, Offer, Reply
from rrsd.core.values.notices import Notice
from rrsd.core.values.resources import Grant
from rrsd.drivers.store.memory import MemoryStore
from rrsd.roles.mail.flow.ledger import Ledger as Passing
from rrsd.roles.mail.flow.notices import Notices
from rrsd.roles.mail.flow.partly import Partly
from rrsd.roles.mail.service import Delivery
from rrsd.runtime.bell import Bell
from rrsd.runtime.loops import Nursery
from tests.support.domains import FlowCase, Journal, Ledger, clock_at, now, timers_of

ALICE, BOB, CAROL = (parse_address(f"{each}.test") for each in ("alice@foo", "bob@bar", "carol@post"))
DAVE = parse_address("dave@post.test")
YES = Reply(250, "2.0.0", ("kept",))


@define(eq=False)
class Server:
    """The next mail server."""

    says: Reply | Refusal = YES
    heard: list[tuple[Envelope, bytes]] = field(factory=list)

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What it was told to say."""
        self.heard.append((envelope, b"".join([block async for block in message])))
        if isinstance(self.says, Refusal):
            raise self.says
        return (self.says,)

    async def offers(self) -> Mapping[str, str]:
        """Nothing."""
        return {}


@define(eq=False)
class Known:
    """What the next server has."""

    fate: Fate = Fate.NOT_TAKEN
    asked: int = 0

    async def fate_of(self, offer: Offer) -> Fate:
        """As it is told."""
        self.asked += offer.delivery.startswith("NOTICE-")
        return self.fate


class Users:
    """alice is ours."""

    async def require_active(self, address: Address) -> None:
        """As the provider says it."""
        if address != ALICE:
            raise Unknown("user")


class Senders:
    """carol wrote message 7, and proved it."""

    async def answerable(self, number: int) -> Address | None:
        """As the store says it."""
        return CAROL if number == 7 else None


class NoticesCase(FlowCase):
    """foo.test's outbox."""

    def setUp(self) -> None:
        """A grant for bob."""
        self.clock, self.server, self.journal, self.rings = clock_at(), Server(), Journal(), 0
        timers = timers_of(self.clock)
        self.store = MemoryStore(timers.now)
        self.run_now(self.store.start())
        self.grant = Grant("1@foo.test", digest_of(b"x"), 1, ALICE, BOB, now() + timedelta(days=1))
        self.ledger = Ledger([self.grant])
        self.known = Known()
        passing = Passing(
            next=self.server, passages=self.store.passages, doubts=self.known, timers=timers, audit=self.journal,
            patience=timedelta(minutes=15), partly=Partly(timers),
        )  # fmt: skip
        self.notices = Notices(
            ours=parse_domain("foo.test"), outbox=self.store.outbox, grants=self.ledger, subjects=Users(),
            received=Senders(), ledger=passing, timers=timers, audit=self.journal, ring=self.ring, most=3,
            most_domain=5,
        )  # fmt: skip
        self.notice = Notice("k", BOB, "Code", "text", now() + timedelta(minutes=10), "1@foo.test", ALICE)

    def ring(self) -> None:
        """Count."""
        self.rings += 1

    def deliver(self) -> timedelta | None:
        """One round."""
        return self.run_now(self.notices.deliver())


class Sending(NoticesCase):
    """Once, and to whom we know."""

    def test_once(self) -> None:
        """However often it is asked for."""
        for _ in range(2):
            self.run_now(self.notices.send(self.notice))
            self.assertIsNone(self.deliver())
        self.assertEqual((len(self.server.heard), self.rings), (1, 1))
        (event,) = self.journal.events
        self.assertEqual((event.what, event.outcome, event.subject), ("notice", "granted", str(BOB)))

    def test_in_doubt(self) -> None:
        """A reply that never came: it is not sent again before it is known that the next server has it not."""
        self.run_now(self.notices.send(self.notice))
        self.server.says = Unavailable("it stopped")
        self.deliver()
        for self.known.fate in (Fate.UNKNOWN, Fate.TAKEN):
            self.clock.advance(61)
            self.deliver()
        self.assertEqual((len(self.server.heard), self.known.asked), (1, 2))
        self.assertEqual(self.journal.events[-1].outcome, "granted")
        self.assertIn("handed on before", self.journal.events[-1].evidence)

    def test_only_to_whom_we_know(self) -> None:
        """A grant that lives, or a user of ours; never an address that somebody made up."""
        self.run_now(self.notices.send(evolve(self.notice, recipient=ALICE, message_id="", sender=None)))
        for changes in (
            {"recipient": parse_address("eve@evil.test")},
            {"recipient": parse_address("eve@foo.test")},
            {"message_id": "2@foo.test"},
            {"sender": None},
        ):
            self.refuse_now(self.notices.send(evolve(self.notice, key="l", **changes)), Forbidden)
        for dead in (evolve(self.grant, withdrawn=True), evolve(self.grant, not_after=now())):
            self.ledger.kept = [dead]
            self.refuse_now(self.notices.send(evolve(self.notice, key="l")), Forbidden)
        self.assertEqual(self.rings, 1)

    def test_sender_of_a_message_that_came(self) -> None:
        """Only the one that proved to have sent it."""
        notice = evolve(self.notice, recipient=CAROL, about=7, kind="failed")
        self.run_now(self.notices.send(notice))
        for changes in ({"about": 8}, {"recipient": BOB}):
            self.refuse_now(self.notices.send(evolve(notice, key="l", **changes)), Forbidden)
        self.assertEqual(self.rings, 1)

    def test_no_more_than_so_many(self) -> None:
        """Three a day for one address, five for one domain elsewhere; what was taken already is no other one."""
        notice = evolve(self.notice, recipient=CAROL, about=7, kind="failed")
        for number in (1, 2, 3):
            self.run_now(self.notices.send(evolve(notice, key=f"{number}")))
        self.run_now(self.notices.send(evolve(notice, key="3")))
        self.refuse_now(self.notices.send(evolve(notice, key="4")), TooMany)
        for number in (5, 6):
            self.run_now(self.store.outbox.add(evolve(notice, key=f"{number}", recipient=DAVE), now()))
        self.clock.advance(86401)
        for number in (7, 8):
            self.run_now(self.notices.send(evolve(notice, key=f"{number}")))
        for number in (9, 10, 11):
            self.run_now(
                self.store.outbox.add(evolve(notice, key=f"{number}", recipient=DAVE), self.notices.timers.now())
            )
        self.refuse_now(self.notices.send(evolve(notice, key="12")), TooMany)
        own = evolve(notice, recipient=ALICE)
        for number in (13, 14, 15):
            self.run_now(self.notices.send(evolve(own, key=f"{number}")))
        self.refuse_now(self.notices.send(evolve(own, key="16")), TooMany)
        self.run_now(self.notices.send(evolve(own, key="17", kind="")))

    def test_unfit(self) -> None:
        """What cannot be written is not kept."""
        self.refuse_now(self.notices.send(evolve(self.notice, subject="a\r\nBcc: b")), Malformed)
        self.assertIsNone(self.deliver())

    def test_tries_until_its_end(self) -> None:
        """Ever more seldom, and not a moment longer."""
        self.server.says = Unavailable("away")
        self.run_now(self.notices.send(self.notice))
        waits = []
        while (wait := self.deliver()) is not None:
            waits.append(wait.total_seconds())
            self.clock.advance(wait.total_seconds())
        self.assertEqual(waits, [15, 30, 60, 120, 240, 135])
        (event,) = [each for each in self.journal.events if each.what == "notice"]
        self.assertEqual((event.outcome, event.refusal), ("failed", Expired.reason))

    def test_mail_server_is_away_and_many_wait(self) -> None:
        """Ten of them find that out, and then the next ten, until it is back: then all go out."""
        self.server.says = Unavailable("away")
        for number in range(40):
            self.run_now(self.store.outbox.add(evolve(self.notice, key=f"{number}"), now()))
        self.assertEqual(self.deliver(), timedelta(seconds=15))
        self.assertEqual(len(self.server.heard), 10)
        self.clock.advance(1)
        self.deliver()
        self.assertEqual(len(self.server.heard), 20)
        self.server.says = YES
        self.clock.advance(60)
        self.assertIsNone(self.deliver())
        self.assertEqual(len(self.server.heard), 60)

    def test_refused_for_good(self) -> None:
        """It is over."""
        self.server.says = Reply(550, "5.1.1", ("no",))
        self.run_now(self.notices.send(self.notice))
        self.assertIsNone(self.deliver())
        self.assertEqual(self.journal.events[0].evidence, "the mail server: 550 5.1.1 no")

    def test_row_that_nobody_can_write(self) -> None:
        """It ends as one that was refused."""
        self.run_now(self.store.outbox.add(evolve(self.notice, subject="\0"), now()))
        self.assertIsNone(self.deliver())
        self.assertEqual(self.journal.events[0].outcome, "failed")
        self.assertEqual((self.journal.events[0].who, self.journal.events[0].subject), (str(ALICE), str(BOB)))


class Rounds(NoticesCase):
    """The loop."""

    def test_goes_on(self) -> None:
        """Rung, by time, after trouble, and after a restart."""
        bell = Bell(self.clock)
        self.notices.ring = bell.ring
        self.run_now(self.store.outbox.add(self.notice, now()))
        nursery = Nursery()
        nursery.spawn(Delivery(self.notices, bell).run(), "notices")
        self.assertEqual(len(self.server.heard), 1)
        self.server.says = Reply(451)
        self.run_now(self.notices.send(evolve(self.notice, key="l")))
        self.assertEqual(len(self.server.heard), 2)
        outbox, self.notices.outbox = self.notices.outbox, Broken()  # type: ignore[assignment]
        self.clock.advance(15)
        self.notices.outbox = outbox
        self.server.says = YES
        self.clock.advance(30)
        self.assertEqual(len(self.server.heard), 3)
        self.run_now(nursery.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Broken:
    """A disk that is full."""

    async def due(self, *_: object) -> None:
        """Refuse."""
        raise NoSpace("disk")
