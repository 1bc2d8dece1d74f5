"""The filter before the queue: at once what can be done at once, and everything else queued as it came."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from typing_extensions import override

from rrsd.core.refusals import NoSpace
from rrsd.core.values.envelopes import Fate, Notify, Reply, Return
from rrsd.core.values.settings import Size
from rrsd.core.wire.mime import parse_placeholder
from rrsd.drivers.store.sql.grants import Grants
from rrsd.roles.mail.flow.prequeue import Prequeue
from rrsd.roles.mail.flow.reinjection import Reinjection
from tests.internet.test_mail_doubt import Log
from tests.support.mailservers import HERE, Way, serve, start_mail
from tests.support.outgoing import FILM, HEADER, NEXT, PART, OutCase, encoded, message, stuffed
from tests.support.world import MemoryDomain

AHEAD, PLAIN, QUEUE = 10024, 10027, 10028
BOB, CAROL, DAVE = "bob@bar.test", "carol@bar.test", "dave@plain.test"
TEXT = HEADER.replace(b"multipart/mixed", b"text/plain") + b"\r\nLook.\r\n"
LATER = Reply(451, "4.7.1", ("no signer",))


def commands(*recipients: str, more: str = "", rcpt: str = "") -> bytes:
    """The commands before the message, as Postfix says them before it has queued it."""
    to = "".join(f"RCPT TO:<{each}>{rcpt}\r\n" for each in recipients)
    hello = "EHLO foo\r\nXFORWARD NAME=laptop ADDR=20.0.0.9 IDENT=[UNAVAILABLE]\r\n"
    return f"{hello}MAIL FROM:<alice@foo.test>{more}\r\n{to}DATA\r\n".encode()


class PrequeueCase(OutCase):
    """foo.test with both filters, and its mail server's three listeners behind them."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.plain = serve(self.world, PLAIN, has_dsn=True)
        self.queue = serve(self.world, QUEUE, has_dsn=True)

    @override
    def domain(self, name: str, **changes: Any) -> MemoryDomain:
        return super().domain(name, prequeue=f"tcp:{AHEAD}:interface={HERE}", **changes)

    def prequeue(self) -> Prequeue:
        """foo's filter before the queue."""
        factory: Any = self.foo.whole.mail.listeners.doors[1][1]
        receiver = factory.buildProtocol(None).receiver
        assert isinstance(receiver, Prequeue)
        return receiver

    def hand_in(self, raw: bytes, *recipients: str, more: str = "", rcpt: str = "") -> int:
        """The code that the client hears at the end, at once."""
        return Way.to(self.world, AHEAD).say(commands(*recipients, more=more, rcpt=rcpt) + stuffed(raw))[-1]

    def places(self) -> tuple[int, int, int]:
        """How many messages went on as placeholders, as they are, and into the queue."""
        return len(self.next.kept), len(self.plain.kept), len(self.queue.kept)

    def require_queued(self, raw: bytes, *recipients: str, code: int = 250) -> None:
        """The message goes into the queue as it came, and nowhere else."""
        before = self.places()
        self.assertEqual(self.hand_in(raw, *(recipients or (BOB,))), code)
        self.assertEqual(self.places(), (before[0], before[1], before[2] + 1))
        self.require_as_it_came(raw, *(recipients or (BOB,)))

    def require_as_it_came(self, raw: bytes, *recipients: str) -> None:
        """What the queue was handed last."""
        envelope, kept = self.queue.kept[-1]
        self.assertEqual(([each.path for each in envelope.recipients], kept), (list(recipients), raw))


class AtOnce(PrequeueCase):
    """One pass through the queue."""

    def test_attachment(self) -> None:
        """A placeholder leaves; what it grants was durable before, and the ledger knows nothing of it."""
        granted: list[int] = []

        def says(_: object) -> Sequence[Reply]:
            granted.append(len(self.grants()))
            return [Reply(250, "2.0.0", ("queued as 4A",))]

        self.next.says = says
        self.assertEqual(self.hand_in(message(FILM), BOB, CAROL), 250)
        self.assertEqual((self.places(), granted), ((1, 0, 0), [1]))
        self.assertEqual(len(self.grants(who=CAROL)), 1)
        (attachment,) = parse_placeholder(self.kept()[1]).attachments
        self.assertEqual(attachment.size, len(FILM))
        self.assertEqual([line["outcome"] for line in self.foo.trail.of("send")], ["granted"])

    def test_small(self) -> None:
        """What is no larger than what stays goes straight through, whoever it is for; nobody is asked about it."""
        self.go_down("bar.test")
        self.assertEqual(self.hand_in(TEXT, BOB, "bob@foo.test", "postmaster"), 250)
        self.assertEqual(self.places(), (0, 1, 0))
        self.assertEqual(self.plain.kept[0][1], TEXT)
        self.assertEqual(
            [line["evidence"] for line in self.foo.trail.of("send")], ["whole, 0 parts taken, 3 recipients"]
        )

    def test_large_without_attachment(self) -> None:
        """A long text, and a part that is not reversible: as they are."""
        odd = message(FILM).replace(encoded(FILM)[-76:], encoded(FILM)[-76:].replace(b"\r\n", b"\r\n \r\nx", 1))
        for raw in (TEXT + b"x\r\n" * 900_000, odd):
            self.assertEqual(self.hand_in(raw, BOB), 250)
            self.assertEqual(self.plain.kept[-1][1], raw)
        self.assertEqual(self.places(), (0, 2, 0))

    def test_nobody_collects(self) -> None:
        """The message goes on whole; with a signer that is away it is queued as it came."""
        self.elsewhere("plain.test")
        raw = message(FILM * 300)
        self.assertEqual(self.hand_in(raw, DAVE, more=f" SIZE={len(raw)}"), 250)
        self.assertEqual((self.places(), self.plain.kept[0][1] == raw), ((0, 1, 0), True))
        self.plain.says = lambda _: [LATER]
        self.assertEqual(self.hand_in(raw, DAVE, more=f" SIZE={len(raw)}"), 250)
        self.assertEqual((self.places(), self.queue.kept[0][1] == raw), ((0, 1, 1), True))
        self.assertEqual(self.foo.store._files._open, {})  # type: ignore[attr-defined]

    def test_sender_of_another_domain(self) -> None:
        """Nobody would prove the author of its placeholder: it goes on whole."""
        raw = b"Sender: eve@evil.test\r\n" + message(FILM * 300)
        self.assertEqual(self.hand_in(raw, BOB, more=f" SIZE={len(raw)}"), 250)
        self.assertEqual((self.places(), self.plain.kept[0][1] == raw), ((0, 1, 0), True))

    def test_envelope(self) -> None:
        """DSN parameters, and who sent it first, travel along; the size is that of what is sent."""
        for raw, post in ((message(FILM), self.next), (TEXT, self.plain)):
            more = f" SIZE={len(raw) + 50} RET=HDRS ENVID=7"
            self.assertEqual(self.hand_in(raw, BOB, more=more, rcpt=" NOTIFY=DELAY"), 250)
            envelope, kept = post.kept[0]
            sender = envelope.sender
            self.assertEqual((sender.ret, sender.envelope_id, sender.size), (Return.HEADERS, "7", len(kept)))
            self.assertEqual(envelope.recipients[0].notify, {Notify.DELAY})
            self.assertEqual(envelope.forwarded["ADDR"], "20.0.0.9")
            self.assertRegex(envelope.forwarded["IDENT"], "^UNQUEUED-.{16}$")

    def test_a_no_is_the_senders(self) -> None:
        """A permanent no of the next server is heard at once, and what was granted is taken back, if that works."""
        self.next.says = self.plain.says = lambda _: [Reply(552, "5.3.4", ("too big",))]
        self.assertEqual((self.hand_in(message(FILM), BOB), self.hand_in(TEXT, BOB)), (552, 552))
        self.assertEqual((self.grants(), self.places()), ([], (0, 0, 0)))
        outcomes = [line["outcome"] for line in self.foo.trail.of("send")]
        self.assertEqual(outcomes, ["granted", "refused", "granted", "refused"])

        async def refuse(*_: object) -> None:
            raise NoSpace("grants")

        self.patch(Grants, "take_back", refuse)
        self.assertEqual(self.hand_in(message(FILM), BOB), 552)
        self.assertEqual(len(self.grants()), 1)


class Queued(PrequeueCase):
    """Everything else waits in the queue, and the client hears yes."""

    def test_whom_aliases_could_stand_for(self) -> None:
        """Our own domain, others of this host, and what is no address: who gets it is known behind the queue."""
        prequeue = self.prequeue()
        prequeue.settings = evolve(prequeue.settings, aliased=(self.bar.address(BOB).domain,))
        for whom in (("bob@foo.test",), ("carol@old.test", BOB), ("postmaster",)):
            self.require_queued(message(FILM), *whom)
        self.assertEqual(self.grants(), [])

    def test_whose(self) -> None:
        """A message of somebody else, or without a header: the filter behind the queue knows what to do."""
        for raw in (TEXT.replace(b"alice@foo.test", b"eve@evil.test"), b"x\r\n", b""):
            self.require_queued(raw)

    def test_domains(self) -> None:
        """One that collects nothing beside one that does: two forms need the ledger."""
        self.elsewhere("plain.test")
        self.require_queued(message(FILM), BOB, DAVE)

    def test_larger_than_mail(self) -> None:
        """Where nobody collects, links need the ledger too. Who says nothing of the size may have so much; who said
        less had no right to."""
        self.elsewhere("plain.test")
        prequeue = self.prequeue()
        prequeue.settings = evolve(prequeue.settings, most_mail=Size(10_000))
        raw = message(FILM)
        for more in ("", f" SIZE={len(raw)}", " SIZE=5000"):
            self.assertEqual(self.hand_in(raw, DAVE, more=more), 250)
            self.require_as_it_came(raw, DAVE)
        self.assertEqual(self.places(), (0, 0, 3))

    def test_domain_in_trouble(self) -> None:
        """It cannot be asked: the user sees nothing of it."""
        self.publish("bar.test")
        site = self.go_down("bar.test")
        self.require_queued(message(FILM))
        self.world.internet.listen("bar.test", 443, site)
        self.world.advance(60, 10)
        self.assertEqual(self.hand_in(message(FILM), BOB), 250)
        self.assertEqual(self.places(), (1, 0, 1))

    def test_domain_is_silent(self) -> None:
        """Nobody answers at its host: the queue waits, not the client."""
        self.world.internet.silent.add(self.world.internet.hosts["bar.test"].address)
        way = Way.to(self.world, AHEAD)
        self.assertNotIn(250, way.say(commands(BOB) + stuffed(message(FILM)))[-1:])
        self.world.advance(2.1)
        self.assertEqual((way.heard()[-1:], self.places()), ([250], (0, 0, 1)))
        self.require_as_it_came(message(FILM), BOB)

    def test_full_disk(self) -> None:
        """There is no room for what would be taken out; who announces no size is believed to need little."""
        self.foo.store._space._keep_free = 1 << 62
        self.require_queued(message(FILM))

    def test_disk_that_fills(self) -> None:
        """In the middle of an attachment there is no way back: 452, as of any mail server, and nothing is left."""
        room = type(self.prequeue().deposits).require_room

        async def enough(*_: object) -> None:
            self.foo.store._space._keep_free = 1 << 62

        self.patch(type(self.prequeue().deposits), "require_room", enough)
        self.assertEqual(self.hand_in(message(FILM), BOB), 452)
        self.assertEqual(self.places(), (0, 0, 0))
        self.patch(type(self.prequeue().deposits), "require_room", room)
        self.foo.store._space._keep_free = 0
        self.assertEqual(self.hand_in(message(FILM), BOB), 250)

    def test_full_store(self) -> None:
        """What the placeholder would promise cannot be written down."""

        async def refuse(*_: object) -> None:
            raise NoSpace("grants")

        self.patch(Grants, "add", refuse)
        self.require_queued(message(FILM))

    def test_no_trail(self) -> None:
        """What cannot be written down does not leave from here."""
        self.foo.trail.broken = OSError(28, "full")
        self.require_queued(message(FILM))
        self.require_queued(TEXT)

    def test_no_signer(self) -> None:
        """The listeners that sign are in trouble, or nobody listens there: to the byte, in the queue."""
        self.next.says = self.plain.says = lambda _: [LATER]
        long = TEXT + b".\r\n" * 400_000
        for raw in (message(FILM), TEXT, long):
            self.require_queued(raw)
        for port in (NEXT, PLAIN):
            self.world.internet.listeners.pop((HERE, port))
        for raw in (message(FILM, b"other" * 999), TEXT):
            self.require_queued(raw)
        outcomes = {line["outcome"] for line in self.foo.trail.of("send")}
        self.assertEqual(outcomes, {"granted", "failed"})

    def test_no_queue_either(self) -> None:
        """Then it is the client's to come again, and there is a line about it."""
        for port in (NEXT, PLAIN, QUEUE):
            self.world.internet.listeners.pop((HERE, port))
        for raw in (message(FILM), TEXT, b"x\r\n"):
            self.assertEqual(self.hand_in(raw, BOB), 451)
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.hand_in(TEXT, BOB), 451)


class Together(PrequeueCase):
    """One reply for all recipients: all have it or nobody."""

    def test_one_is_refused(self) -> None:
        """Before the message is sent: the queue has it for both, and the ledger."""
        self.world.internet.listeners.pop((HERE, PLAIN))
        plain = serve(self.world, PLAIN, has_dsn=True)
        factory = self.world.internet.listeners[HERE, PLAIN]
        build = factory.buildProtocol

        def few(addr: Any) -> Any:
            made = build(addr)
            made.session.offer = evolve(made.session.offer, most_recipients=1)
            return made

        self.patch(factory, "buildProtocol", few)
        self.assertEqual(self.hand_in(TEXT, BOB, CAROL), 250)
        self.assertEqual((plain.kept, plain.broken), ([], 1))
        self.require_as_it_came(TEXT, BOB, CAROL)


class InDoubt(PrequeueCase):
    """The moment between the next server's yes and ours (RFC 1047)."""

    def ways(self) -> tuple[Reinjection, ...]:
        """The three listeners."""
        ways = self.prequeue().ways
        return ways.placeholders, ways.plain, ways.queue

    def say_of_all(self, fate: Fate) -> None:
        """The log of the next server says so of what it never answered for."""
        for way in self.ways():
            way.doubts = Log(self.next, fate)

    def lose(self, _: object) -> Sequence[Reply]:
        """It has the message, and its answer is lost."""
        for wire in tuple(self.world.internet.wires):
            if wire.getHost().port in (NEXT, PLAIN, QUEUE):
                wire.cut()
        return [Reply(250)]

    def test_answer_is_lost(self) -> None:
        """It has the message: yes. It has not: the queue. Nobody knows: the client hears so, and nothing is doubled."""
        for fate, code, queued in ((Fate.TAKEN, 250, 0), (Fate.NOT_TAKEN, 250, 1), (Fate.UNKNOWN, 451, 0)):
            for raw in (message(FILM), TEXT):
                self.say_of_all(fate)
                self.queue.kept.clear()
                self.next.says = self.plain.says = self.lose
                self.assertEqual((self.hand_in(raw, BOB), len(self.queue.kept)), (code, queued))
        self.assertEqual(self.foo.trail.of("send")[-1]["outcome"], "failed")

    def test_client_leaves(self) -> None:
        """In the middle, or while we are at work: who hears no yes has not sent it, and nothing is handed on."""
        way = Way.to(self.world, AHEAD)
        way.say(commands(BOB) + stuffed(message(FILM))[:9000])
        way.cut()
        begin = Grants.add
        ways: list[Way] = []

        async def leave(grants: Grants, given: Any) -> None:
            await begin(grants, given)
            ways[0].cut()

        self.patch(Grants, "add", leave)
        ways.append(Way.to(self.world, AHEAD))
        ways[0].say(commands(BOB) + stuffed(message(FILM)))
        self.assertEqual(self.places(), (0, 0, 0))

    def test_orderly_end(self) -> None:
        """Who has handed a message to the end hears what became of it before the daemon ends, if that is soon."""
        for says_in_time in (True, False):
            for post, raw in ((self.next, message(FILM)), (self.plain, TEXT)):
                post.kept.clear()
                post.slow = Deferred()
                way = Way.to(self.world, AHEAD)
                way.say(commands(BOB) + stuffed(raw))
                stopping = self.world.internet.run(self.foo.whole.mail.stop())
                self.world.advance(1)
                self.assertEqual((way.heard(), stopping.called), ([], False))
                if not says_in_time:
                    self.world.advance(5)
                post.slow.callback(None)
                self.world.advance(1)
                self.assertEqual((way.heard()[0], stopping.called), (250 if says_in_time else 421, True))
                self.foo = self.world.restart("foo.test")
                start_mail(self.foo)


class Thresholds(PrequeueCase):
    """How large a message is that waits whole."""

    def test_high(self) -> None:
        """Beyond a mebibyte the domains are asked, and what is below the sender's threshold stays."""
        prequeue = self.prequeue()
        prequeue.settings = evolve(prequeue.settings, threshold=Size(1 << 22))
        raw = HEADER + b"\r\n--b\r\n" + PART + encoded(FILM * 120) + b"--b--\r\n"
        self.assertEqual(self.hand_in(raw, BOB), 250)
        self.assertEqual((self.places(), self.plain.kept[0][1] == raw), ((0, 1, 0), True))
