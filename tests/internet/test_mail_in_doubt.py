"""The moment between the mailboxes' yes and ours (RFC 1047): the message comes again, and nobody gets it twice."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from twisted.internet.defer import Deferred

from rrsd.core.refusals import NoSpace
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.values.holds import Hold, Stand
from rrsd.drivers.store.sql.holds import Holds
from rrsd.roles.mail.flow.inbound import Inbound
from tests.support.dkims import Signer
from tests.support.incoming import FILE, QUEUE, WayInCase
from tests.support.mailservers import KEPT, Way, serve, start_mail

BOB, CAROL, TAGGED = "bob@bar.test", "carol@bar.test", "bob+tag@bar.test"
PLAIN = b"Received: from foo.test by bar.test\r\nFrom: a@foo.test\r\nSubject: x\r\n\r\nx\r\n"
MULTI = PLAIN.replace(b"\r\n\r\nx", b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--")
LATER = Reply(451, "4.3.0", ("later",))


class DoubtCase(WayInCase):
    """bar.test in front of mailboxes that know a message again."""

    def kill(self) -> None:
        """kill -9 of the daemon, which begins again with what was durable."""
        self.cut(2425)
        self.cut(2426)
        self.bar = self.world.restart("bar.test")
        start_mail(self.bar)

    def cut(self, port: int) -> None:
        """Every connection to the port is lost."""
        for wire in tuple(self.world.internet.wires):
            if wire.getHost().port == port:
                wire.cut()

    def once(self, step: Callable[[], object], reply: Reply = KEPT) -> None:
        """`step` happens in the moment before the mailboxes answer for the first time."""

        def says(envelope: Envelope) -> Sequence[Reply]:
            self.inbox.says = lambda envelope: [KEPT] * len(envelope.recipients)
            step()
            return [reply] * len(envelope.recipients)

        self.inbox.says = says

    def copies(self) -> list[str]:
        """Every recipient that has something, as often as that is so."""
        return sorted(each.path for envelope, _ in self.inbox.kept for each in envelope.recipients)

    def arrived(self, raw: bytes) -> None:
        """Its attachments are here, and it would be completed now."""
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)


class Killed(DoubtCase):
    """The daemon dies when the mailboxes have said yes."""

    def test_what_passes(self) -> None:
        """Known by the same field at each retry, whatever it is and however it is divided."""
        long = MULTI.replace(b"\r\nx\r\n", b"\r\n" + b"x\r\n" * 2_000_000)
        for number, raw in enumerate((PLAIN, MULTI, long, b"X: " + b"y" * 300_000 + b"\r\n" + PLAIN)):
            queue = f"4A{number}"
            self.inbox.kept.clear()
            self.once(self.kill)
            self.assertEqual(self.deliver(raw, queue=queue), [])
            self.world.internet.segment = 5000
            self.assertEqual(self.deliver(raw, queue=queue), [250])
            self.world.internet.segment = 65536
            self.assertEqual(self.copies(), [BOB])
            self.assertEqual(self.inbox.names[-1], self.inbox.names[-2])
            self.assertEqual(self.inbox.kept[0][1], raw)
        self.assertEqual(len(set(self.inbox.names)), 4)

    def test_complete_message(self) -> None:
        """The same name as the placeholder that it came as."""
        raw = self.signed()
        self.arrived(raw)
        self.once(self.kill)
        self.assertEqual(self.deliver(raw), [])
        self.assertEqual((self.stand(raw), self.copies()), (Stand.HELD, [BOB]))
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.stand(raw), self.copies()), (Stand.COMPLETED, [BOB]))
        self.assertIn(b"Authentication-Results: bar.test", self.inbox.kept[0][1])

    def test_before_their_yes(self) -> None:
        """They have not got it, and get it now."""
        raw = self.signed()
        self.arrived(raw)
        self.once(self.kill, LATER)
        self.assertEqual(self.deliver(raw), [])
        self.assertEqual(self.copies(), [])
        self.assertEqual((self.deliver(raw), self.copies()), ([250], [BOB]))

    def test_as_it_came(self) -> None:
        """A placeholder that may be in the mailbox goes there again as it came, although everything has arrived: else
        nobody would swap it."""
        raw = self.signed()
        for reply in (KEPT, LATER):
            self.inbox.kept.clear()
            raw = b"X-Number: 2\r\n" + raw
            self.take_away()
            self.assertEqual(self.deliver(raw), [450])
            self.world.advance(15 * 60, 60)
            self.once(self.kill, reply)
            self.assertEqual(self.deliver(raw), [])
            self.assertEqual((self.stand(raw), self.copies()), (Stand.OFFERED, [BOB] if reply is KEPT else []))
            self.come_back()
            self.world.advance(3600, 60)
            self.assertEqual(self.deliver(raw), [250])
            self.assertEqual((self.stand(raw), self.copies()), (Stand.PLACEHOLDER, [BOB]))
            self.assertEqual(self.inbox.kept[0][1], raw)
            self.assertIn("offered before", self.bar.trail.of("deliver")[-1]["evidence"])

    def test_not_proved(self) -> None:
        """The same for one whose author nobody had proved at the first try."""
        late = Signer(selector="late")
        raw = self.signed(signer=late)
        self.once(self.kill)
        self.assertEqual(self.deliver(raw), [])
        self.assertEqual(self.stand(raw), Stand.OFFERED)
        self.world.zones.publish(late.name, "TXT", late.record())
        self.world.advance(3600, 600)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.stand(raw), self.copies()), (Stand.PASSED, [BOB]))

    def come_back(self) -> None:
        """foo.test can be reached again."""
        self.world.internet.listeners.update(self.away)

    def take_away(self) -> None:
        """foo.test cannot be reached."""
        self.away = {at: it for at, it in self.world.internet.listeners.items() if at == ("20.0.0.1", 443)}
        super().take_away()


class Said(DoubtCase):
    """What the mailboxes say, and when they say nothing."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta(), "max_hold": timedelta()}

    def test_a_no_is_no_doubt(self) -> None:
        """Who was refused is not bound to the form, and gets the complete message later."""
        raw = self.signed()
        self.inbox.says = lambda _: [LATER]
        self.assertEqual(self.deliver(raw), [451])
        self.assertEqual(self.stand(raw), Stand.HELD)
        self.world.advance(5)
        self.inbox.says = lambda _: [KEPT]
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([250], Stand.COMPLETED))

    def test_nothing_was_sent(self) -> None:
        """Neither is who could not be reached."""
        raw = self.signed()
        del self.world.internet.listeners["127.0.0.1", 2426]
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([451], Stand.HELD))
        self.world.advance(5)
        self.inbox = serve(self.world, 2426, is_lmtp=True)
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([250], Stand.COMPLETED))

    def test_nobody_was_answered(self) -> None:
        """The connection is lost: they are in doubt, and get the same."""
        raw = self.signed(self.foo.send([BOB, CAROL], {"a.bin": FILE}))
        self.once(lambda: self.cut(2426))
        self.assertEqual(self.deliver(raw, BOB, CAROL), [451, 451])
        self.assertEqual((self.stand(raw), self.stand(raw, CAROL)), (Stand.OFFERED, Stand.OFFERED))
        self.assertEqual(self.deliver(raw, BOB, CAROL), [250, 250])
        self.assertEqual(self.copies(), [BOB, CAROL])
        self.assertEqual((self.stand(raw), self.stand(raw, CAROL)), (Stand.PLACEHOLDER, Stand.PLACEHOLDER))

    def test_full_disk(self) -> None:
        """What cannot be written down does not get its end."""
        raw, put = self.signed(), Holds.put

        async def refuse(holds: Holds, hold: Hold) -> None:
            if hold.stand is Stand.OFFERED:
                raise NoSpace("holds")
            await put(holds, hold)

        self.patch(Holds, "put", refuse)
        self.assertEqual((self.deliver(raw), self.copies()), ([452], []))

    def test_row_that_cannot_be_written(self) -> None:
        """A placeholder that was delivered and cannot be written down would never be swapped: it comes again, and is
        dropped as one that they have."""
        raw, put = self.signed(), Holds.put

        async def refuse(holds: Holds, hold: Hold) -> None:
            if hold.stand is Stand.PLACEHOLDER:
                raise NoSpace("holds")
            await put(holds, hold)

        self.patch(Holds, "put", refuse)
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([452], Stand.OFFERED))
        self.patch(Holds, "put", put)
        self.assertEqual((self.deliver(raw), self.stand(raw), self.copies()), ([250], Stand.PLACEHOLDER, [BOB]))

    def test_placeholder_without_a_name_at_the_same_time(self) -> None:
        """Its digest says that it is the same."""
        raw = self.signed()
        self.inbox.slow = slow = Deferred[None]()
        self.assertEqual(self.deliver(raw, queue="[UNAVAILABLE]"), [])
        self.assertEqual(self.deliver(raw, queue="[UNAVAILABLE]"), [450])
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual((self.last.heard(), self.copies()), ([], [BOB]))


class Names(DoubtCase):
    """The field on top."""

    def test_extensions(self) -> None:
        """bob and bob+tag in one message each get their own copy, once."""
        for _ in range(2):
            self.assertEqual(self.deliver(PLAIN, BOB, TAGGED), [250, 250])
        self.assertEqual(self.copies(), [TAGGED, BOB])
        self.assertEqual(self.inbox.kept[0][0].sender.size, len(PLAIN))

    def test_one_that_came_along(self) -> None:
        """It stays where it was, and says nothing: ours is above it."""
        self.deliver(PLAIN)
        raw = self.inbox.names[0] + b"\r\n" + PLAIN
        self.assertEqual(self.deliver(raw, queue="4B"), [250])
        self.assertEqual((len(self.inbox.kept), self.inbox.kept[1][1]), (2, raw))

    def test_without_a_name(self) -> None:
        """Where the mail server names no message, or it has no header, nothing is put on top: two alike are two."""
        for raw, queue in ((PLAIN, "[UNAVAILABLE]"), (b"\r\nx\r\n", QUEUE)):
            self.inbox.kept.clear()
            for _ in range(2):
                self.assertEqual(self.deliver(raw, queue=queue), [250])
            self.assertEqual([sent for _, sent in self.inbox.kept], [raw, raw])
        self.assertEqual(self.inbox.names, [])

    def test_while_it_is_being_delivered(self) -> None:
        """The mail server's client was lost and the mailboxes take their time: its retry waits, for this recipient."""
        self.inbox.slow = slow = Deferred[None]()
        self.assertEqual(self.deliver(PLAIN), [])
        self.last.cut()
        self.inbox.slow = None
        self.assertEqual(self.deliver(PLAIN, CAROL, BOB), [250, 450])
        self.assertEqual(self.deliver(PLAIN), [450])
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual(self.deliver(PLAIN, CAROL, BOB), [250, 250])
        self.assertEqual(self.copies(), [BOB, CAROL])

    def test_way(self) -> None:
        """A connection after another one: the field is made anew for each."""
        way = Way.to(self.world, 2425)
        way.say(b"LHLO bar.test\r\n")
        for ident in (b"1", b"2"):
            way.say(b"XFORWARD IDENT=" + ident + b"\r\nMAIL FROM:<>\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\n")
            self.assertEqual(way.say(PLAIN + b".\r\n"), [250])
        self.assertEqual(len(set(self.inbox.names)), 2)

    def test_one_at_a_time(self) -> None:
        """Of two messages to one mailbox, by whichever of its names, the second gets its end when the first is there;
        a third for somebody else does not wait."""
        self.inbox.slow = slow = Deferred[None]()
        self.assertEqual(self.deliver(PLAIN, BOB, CAROL, queue="1"), [])
        first, self.inbox.slow = self.last, None
        self.assertEqual(self.deliver(PLAIN, "BOB+x@bar.test", queue="2"), [])
        second, begun = self.last, self.inbox.begun
        self.assertEqual(self.deliver(PLAIN, "dave@bar.test", "postmaster", queue="3"), [250, 250])
        self.assertEqual((begun, len(self.inbox.kept)), (2, 1))
        second.cut()
        self.assertEqual(self.deliver(PLAIN, BOB, queue="4"), [])
        fourth = self.last
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual((first.heard(), fourth.heard()), ([250, 250], [250]))
        mailboxes = self.inbound().mailboxes
        self.assertEqual((mailboxes.turns._lines, mailboxes._busy), ({}, set()))

    def test_server_goes_while_one_waits(self) -> None:
        """Who waits for a mailbox and loses the connection meanwhile gives its place back."""
        self.inbox.slow = slow = Deferred[None]()
        self.assertEqual(self.deliver(PLAIN, queue="1"), [])
        self.inbox.slow = None
        self.assertEqual(self.deliver(PLAIN, queue="2"), [])
        second = self.last
        self.cut(2426)
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual(second.heard(), [451])
        self.assertEqual(self.deliver(PLAIN, queue="2"), [250])
        self.assertEqual(self.inbound().mailboxes.turns._lines, {})

    def test_nobody_waits_for_ever(self) -> None:
        """A mailbox that is busy for long: the message comes again, and its connection is free for others."""
        self.inbox.slow = slow = Deferred[None]()
        self.assertEqual(self.deliver(PLAIN, queue="1"), [])
        first, self.inbox.slow = self.last, None
        self.assertEqual(self.deliver(PLAIN, queue="2"), [])
        self.world.advance(31, 1)
        self.assertEqual((self.last.heard(), len(self.inbox.kept)), ([451], 0))
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual((first.heard(), self.deliver(PLAIN, queue="2")), ([250], [250]))
        self.assertEqual((len(self.inbox.kept), self.inbound().mailboxes.turns._lines), (2, {}))

    def test_stop(self) -> None:
        """Neither does a daemon that ends wait for the mailbox."""
        turns, held = self.inbound().mailboxes.turns, list[str]()
        self.world.result(turns.enter((BOB, BOB), held))
        self.assertEqual((self.deliver(PLAIN, queue="2"), held), ([], [BOB]))
        self.assertEqual(turns._lines[BOB].count, 2)
        self.world.result(self.bar.whole.mail.stop())
        self.assertEqual(turns._lines[BOB].count, 1)
        turns.leave(held)
        self.assertEqual(turns._lines, {})

    def inbound(self) -> Inbound:
        """bar's proxy."""
        factory: Any = self.bar.whole.mail.listeners.doors[1][1]
        nobody = factory.buildProtocol(None)
        factory.open.discard(nobody)
        assert isinstance(nobody.receiver, Inbound)
        return nobody.receiver
