"""The next server takes a message for some recipients and refuses others for good: each has a reply of their own."""

from collections.abc import Mapping
from datetime import timedelta

from rrsd.core.values.envelopes import ForwardPath, Reply, ReversePath
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.server import smtp_factory
from rrsd.drivers.smtp.settings import Settings as Waits
from rrsd.roles.mail.flow import partly
from rrsd.runtime.loops import Nursery
from tests.support.mailservers import HERE, Way, start_mail
from tests.support.outgoing import FILM, NEXT, OUT, OutCase, envelope_of, message, stuffed

BOB, CAROL, DAVE = "bob@bar.test", "carol@bar.test", "dave@bar.test"
PLAIN = b"From: stranger@elsewhere.test\r\nSubject: x\r\n\r\nx\r\n"
NO = Reply(550, "5.7.1", ("not carol",))


class PartlyCase(OutCase):
    """The signing server refuses carol at RCPT."""

    def setUp(self) -> None:
        """It does."""
        super().setUp()
        self.refused = {CAROL: NO}
        offer = Offer("mx.test", has_dsn=True, has_xforward=True, refuses=self.refuses)
        listener = smtp_factory(offer, self.next, Waits(), self.world.clock, Nursery().spawn)
        self.world.internet.listeners[HERE, NEXT] = listener

    def refuses(self, _: Mapping[str, str], __: ReversePath, recipient: ForwardPath) -> Reply | None:
        """Whom."""
        return self.refused.get(recipient.path)

    def attempt(self, raw: bytes, *recipients: str, ident: str = "4A", sender: str = "alice@foo.test") -> list[int]:
        """What the mail server hears: of each recipient, and at the end."""
        way = Way.to(self.world, OUT)
        said = way.say(envelope_of(*recipients, ident=ident, sender=sender) + stuffed(raw))
        return [*said[4:][: len(recipients)], said[-1]]

    def handed(self) -> list[str]:
        """Who was handed something, as often as that is so."""
        return sorted(each.path for envelope, _ in self.next.kept for each in envelope.recipients)


class Partly(PartlyCase):
    """Whatever form the message has."""

    def test_each_has_a_reply(self) -> None:
        """First: come again. Then carol is refused by herself, and for the others it is done."""
        for ident, raw in (("4A", message(FILM)), ("4B", message(b"small")), ("4C", PLAIN)):
            self.next.kept.clear()
            self.assertEqual(self.attempt(raw, BOB, CAROL, DAVE, ident=ident), [250, 250, 250, 451])
            self.assertEqual(self.handed(), [BOB, DAVE])
            self.assertEqual(self.attempt(raw, BOB, CAROL, DAVE, ident=ident), [250, 550, 250, 250])
            self.assertEqual(self.handed(), [BOB, DAVE])
        refused = [line for line in self.foo.trail.of("send") if line["outcome"] == "refused"]
        self.assertEqual([line["subject"] for line in refused], [CAROL] * 3)

    def test_words_of_the_next_server(self) -> None:
        """The report says what it said."""
        self.attempt(PLAIN, BOB, CAROL)
        way = Way.to(self.world, OUT)
        way.sender.transport.write(envelope_of(BOB, CAROL))  # type: ignore[union-attr]
        self.world.internet.pump()
        self.assertIn(b"\r\n550 5.7.1 not carol\r\n", bytes(way.sender.said))

    def test_all_are_refused(self) -> None:
        """One reply for all of them is right, and nothing is remembered."""
        self.refused[BOB] = NO
        for _ in range(2):
            self.assertEqual(self.attempt(PLAIN, BOB, CAROL), [250, 250, 550])
        self.assertEqual(self.attempt(PLAIN, CAROL, ident="4B"), [250, 550])
        self.assertEqual(self.handed(), [])

    def test_trouble_besides(self) -> None:
        """Others wait for something else: carol hears it at the next attempt all the same."""
        self.refused[BOB] = Reply(452, "4.2.2", ("full",))
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL, DAVE), [250, 250, 250, 452])
        del self.refused[BOB]
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL, DAVE), [250, 550, 250, 250])
        self.assertEqual(self.handed(), [BOB, DAVE])

    def test_daemon_ends_meanwhile(self) -> None:
        """The ledger knows who has it; of carol the next server is asked again."""
        raw = message(FILM)
        self.assertEqual(self.attempt(raw, BOB, CAROL), [250, 250, 451])
        self.foo = self.world.restart("foo.test")
        start_mail(self.foo)
        self.assertEqual(self.attempt(raw, BOB, CAROL), [250, 250, 451])
        self.assertEqual(self.attempt(raw, BOB, CAROL), [250, 550, 250])
        self.assertEqual(self.handed(), [BOB])


class Another(PartlyCase):
    """What was said of one message is not said of another."""

    def test_message_or_sender(self) -> None:
        """Another name in the queue, or another sender; and a name comes again some day."""
        self.attempt(PLAIN, BOB, CAROL)
        self.refused.clear()
        for ident, sender in (("4B", "alice@foo.test"), ("4A", "dave@foo.test")):
            self.assertEqual(self.attempt(PLAIN, BOB, CAROL, ident=ident, sender=sender), [250, 250, 250])
        self.world.advance((partly.LIFE + timedelta(minutes=1)).total_seconds(), 3600)
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL), [250, 250, 250])

    def test_once(self) -> None:
        """When the mail server has not heard it, the next server is asked again."""
        self.attempt(PLAIN, BOB, CAROL)
        Way.to(self.world, OUT).say(envelope_of(BOB, CAROL).removesuffix(b"DATA\r\n"))
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL), [250, 250, 451])

    def test_not_more_than_so_many(self) -> None:
        """The oldest is forgotten, and is asked about again."""
        self.patch(partly, "MOST", 1)
        for ident in ("4A", "4B"):
            self.attempt(PLAIN, BOB, CAROL, ident=ident)
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL, ident="4B"), [250, 550, 250])
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL, ident="4A"), [250, 250, 451])

    def test_mail_server_names_none(self) -> None:
        """Then there is one reply for all, as SMTP has it."""
        self.assertEqual(self.attempt(PLAIN, BOB, CAROL, ident=""), [250, 250, 550])
        self.assertEqual(self.handed(), [BOB])
