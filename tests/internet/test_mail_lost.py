"""The mailboxes were given a message and died before they had said yes: they are looked into before it comes again."""

from collections.abc import Sequence

from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.values.holds import Stand
from rrsd.roles.mail.flow import lost
from tests.internet.test_mail_swap import MailboxCase
from tests.support.imapserver import BOB
from tests.support.incoming import MOST
from tests.support.mailservers import KEPT

CAROL, TAGGED = "carol@bar.test", "bob+tag@bar.test"
PLAIN = b"Received: from foo.test by bar.test\r\nFrom: a@foo.test\r\nSubject: x\r\n\r\nx\r\n"
LATER = Reply(451, "4.3.0", ("never heard",))


class LostCase(MailboxCase):
    """bar.test in front of mailboxes that remember nothing of what they had when they died."""

    def lose(self, raw: bytes, *recipients: str, queue: str = "4A") -> None:
        """They have the whole message and answer nobody."""
        self.inbox.says = self.die
        self.assertEqual(set(self.deliver(raw, *recipients, queue=queue)), {451})
        self.inbox.says = lambda envelope: [KEPT] * len(envelope.recipients)
        self.assertEqual(self.inbox.kept, [])

    def die(self, envelope: Envelope) -> Sequence[Reply]:
        """Now."""
        for wire in tuple(self.world.internet.wires):
            if wire.getHost().port == 2426:
                wire.cut()
        return [LATER] * len(envelope.recipients)

    def store(self, raw: bytes, to: str = BOB) -> None:
        """This is in bob's mailbox nevertheless."""
        day = self.bar.whole.means.effects.timers.now().strftime("%d-%b-%Y %H:%M:%S +0000")
        top = f"Return-Path: <a@foo.test>\r\nDelivered-To: {to}\r\n".encode() + self.inbox.names[-1] + b"\r\n"
        self.imap.put(top + raw, set(), date=f'"{day}"')

    def told(self) -> list[tuple[str, str, str]]:
        """What the trail has of mailboxes that were asked."""
        lines = [line for line in self.bar.trail.of("deliver") if "the mailbox" in line["evidence"]]
        return [(line["outcome"], line["subject"], line["evidence"]) for line in lines]

    def copies(self) -> list[str]:
        """Who was given it again."""
        return [each.path for envelope, _ in self.inbox.kept for each in envelope.recipients]


class Lost(LostCase):
    """One message."""

    def test_it_has_it(self) -> None:
        """It is not given to it again, however often the mail server comes."""
        self.lose(PLAIN)
        self.store(PLAIN)
        for _ in range(3):
            self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], []))
            self.imap.before = lambda verb, line: b"* BYE that was known\r\n"
        self.assertEqual(self.told(), 3 * [("granted", BOB, "the mailbox has it")])

    def test_it_has_it_not(self) -> None:
        """It is given to it, once; nobody is asked about it after that, or about any other message."""
        self.lose(PLAIN)
        self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], [BOB]))
        asked = len(self.imap.heard)
        self.assertEqual(self.deliver(PLAIN, queue="4B"), [250])
        self.assertEqual((len(self.imap.heard), self.told()), (asked, []))

    def test_some_have_it(self) -> None:
        """Each address by itself: bob's second one, and carol, whose mailbox nobody may enter, are given it."""
        self.lose(PLAIN, BOB, TAGGED, CAROL)
        self.store(PLAIN)
        self.assertEqual(self.deliver(PLAIN, BOB, TAGGED, CAROL, queue="4A"), [250] * 3)
        self.assertEqual(self.copies(), [TAGGED, CAROL])

    def test_lost_again(self) -> None:
        """Once more in the same moment, and then it is there."""
        self.lose(PLAIN)
        self.lose(PLAIN)
        self.store(PLAIN)
        self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], []))

    def test_they_cannot_be_asked(self) -> None:
        """The mail server keeps it for so long, and then it is given to them: a double beats a loss."""
        self.lose(PLAIN)
        self.store(PLAIN)
        self.imap.before = lambda verb, line: b"* BYE gone\r\n"
        for _ in range(2):
            self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([451], []))
            self.world.advance(8 * 60, 60)
        self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], [BOB]))
        why = "the mailbox may have it: the IMAP server says goodbye"
        self.assertEqual(self.told(), 2 * [("held", BOB, why)])

    def test_many_who_cannot_be_asked(self) -> None:
        """One is enough to know."""
        addresses = [BOB, *(f"bob+{number}@bar.test" for number in range(50))]
        self.lose(PLAIN, *addresses)
        self.imap.before = lambda verb, line: b"* BYE gone\r\n"
        self.assertEqual(self.deliver(PLAIN, *addresses, queue="4A"), [451] * 51)
        self.assertEqual((len(self.imap.heard), len(self.told())), (1, 51))

    def test_password_is_wrong(self) -> None:
        """Nobody will ever be able to ask."""
        self.lose(PLAIN)
        self.password.write_text("wrong\n")
        self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], [BOB]))

    def test_not_more_than_so_many(self) -> None:
        """The oldest is forgotten first."""
        self.patch(lost, "MOST", 2)
        for queue in ("4A", "4B", "4C"):
            self.lose(PLAIN, queue=queue)
            self.store(PLAIN)
        for queue in ("4A", "4B", "4C"):
            self.assertEqual(self.deliver(PLAIN, queue=queue), [250])
        self.assertEqual(self.copies(), [BOB])

    def test_trail_is_full(self) -> None:
        """What cannot be written down is not said."""
        self.lose(PLAIN)
        self.store(PLAIN)
        self.bar.trail.broken = OSError(28, "full")
        self.assertEqual(self.deliver(PLAIN, queue="4A"), [451])
        self.bar.trail.broken = None
        self.assertEqual((self.deliver(PLAIN, queue="4A"), self.copies()), ([250], []))


class LostPlaceholder(LostCase):
    """One whose attachment has arrived, or has not."""

    def test_complete(self) -> None:
        """The mailbox has the complete message, and this counts as delivered."""
        raw = self.signed()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)
        self.inbox.says = self.die
        self.assertEqual(self.deliver(raw), [451])
        self.store(raw)
        self.inbox.says = lambda envelope: [KEPT]
        self.assertEqual((self.deliver(raw), self.copies(), self.stand(raw)), ([250], [], Stand.COMPLETED))

    def test_as_it_came(self) -> None:
        """The mailbox has the placeholder: it is swapped later. While that is not known it stays as it was."""
        raw = self.signed()
        self.take_away()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(MOST.total_seconds())
        self.inbox.says = self.die
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([451], Stand.OFFERED))
        self.store(raw)
        self.inbox.says = lambda envelope: [KEPT]
        self.imap.before = lambda verb, line: b"* BYE gone\r\n"
        self.assertEqual((self.deliver(raw), self.stand(raw)), ([451], Stand.OFFERED))
        self.imap.before = lambda verb, line: None
        self.assertEqual((self.deliver(raw), self.copies(), self.stand(raw)), ([250], [], Stand.PLACEHOLDER))
