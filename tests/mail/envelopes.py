"""What travels beside the message: DSN parameters, reports, addresses in UTF-8."""

from tests.mail.case import ALICE, BOB, MailCase
from tests.mail.letters import Attachment, with_attachments

REPORT = b"Content-Type: multipart/report"


class Reports(MailCase):
    """Delivery status notifications to the sender (RFC 3461, RFC 3464)."""

    def test_failure(self) -> None:
        """A recipient that is not there: one report, with the sender's own name for the envelope."""
        message = self.message(b"x\r\n", to="nobody@bar.test")
        self.send(message, "nobody@bar.test", mail="RET=HDRS ENVID=number+2B7")
        report = self.report("Undelivered")
        self.assertIn(b"Original-Envelope-Id: number+7", report)
        self.assertIn(b"Action: failed", report)
        self.assertIn(self.word.encode(), report)
        self.did("DSN to the sender on permanent failure, ENVID and RET kept", 1, [report])

    def test_relayed(self) -> None:
        """Success is asked for: Dovecot cannot report it, and what it cannot is not promised."""
        message = self.message(b"x\r\n")
        self.send(message, mail="ENVID=seven", rcpt=f"NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;{BOB}")
        self.require_arrived({BOB: [message]})
        report = self.report("Successful")
        self.assertIn(b"Original-Envelope-Id: seven", report)
        self.assertIn(b"Action: relayed", report)
        self.assertIn(f"Original-Recipient: rfc822;{BOB}".encode(), report)
        self.did("DSN: NOTIFY and ORCPT reach the last server that knows them", 1, [report])

    def test_never(self) -> None:
        """Nobody is told."""
        self.send(self.message(b"x\r\n", to="nobody@bar.test"), "nobody@bar.test", rcpt="NOTIFY=NEVER")
        self.settle()
        self.assertEqual([each for each in self.inbox(ALICE, "Undelivered") if self.word.encode() in each], [])
        self.did("DSN: NOTIFY=NEVER is kept", 1, [])

    def report(self, subject: str) -> bytes:
        """The only report to the sender about this test's message."""
        self.settle()
        found = [each for each in self.inbox(ALICE, subject) if self.word.encode() in each]
        self.assertEqual(len(found), 1, found)
        self.assertIn(REPORT, found[0])
        return found[0]


class Unicode(MailCase):
    """Addresses and headers in UTF-8 (RFC 6531)."""

    def test_header(self) -> None:
        """Dovecot's LMTP has no SMTPUTF8, but its mailboxes keep octets: nothing bounces."""
        message = self.message(b"x\r\n", to="Bj\u00f6rn <bob@bar.test>")
        self.send(message, mail="SMTPUTF8")
        self.require_arrived({BOB: [message]}, "a header in UTF-8 reaches Dovecot, which offers no SMTPUTF8")

    def test_address(self) -> None:
        """An alias in UTF-8 of a mailbox."""
        self.addCleanup(self.bar.alias)
        self.bar.alias(**{"bj\u00f6rn": BOB})
        message = self.message(b"x\r\n", to="bj\u00f6rn@bar.test")
        self.send(message, "bj\u00f6rn@bar.test", mail="SMTPUTF8")
        self.require_arrived({BOB: [message]}, "an address in UTF-8, an alias of a mailbox")

    def test_address_with_attachment(self) -> None:
        """A grant names an address in ASCII: who has another gets the file by mail, beside one who has it pulled."""
        self.addCleanup(self.bar.alias)
        self.bar.alias(**{"bj\u00f6rn": "dave@bar.test"})
        to, before = "bj\u00f6rn@bar.test", self.bar.wire.sent
        head = self.message(b"", to=f"Bj\u00f6rn <{to}>")[:-2]
        message = b"".join(with_attachments(head, b"x\r\n", Attachment("a.bin", 2_000_000)))
        self.send(message, to, mail="SMTPUTF8")
        arrived = self.require_arrived({"dave@bar.test": [message]}, "2 MB to an address in UTF-8: whole, by mail")
        self.assertGreater(self.bar.wire.sent - before, len(message))
        self.assertIn(b"dkim=pass", arrived["dave@bar.test"][0])

    def test_header_with_attachment(self) -> None:
        """Names in UTF-8, of the recipient and of the file: taken out, pulled, put back to the byte."""
        head, before = self.message(b"", to=f"Bj\u00f6rn <{BOB}>")[:-2], self.bar.wire.sent
        film = Attachment("\u00dcbersicht \u65e5\u672c.bin", 2_000_000)
        message = b"".join(with_attachments(head, b"Gr\xc3\xbc\xc3\x9fe\r\n", film))
        self.send(message, mail="SMTPUTF8")
        self.require_arrived({BOB: [message]}, "2 MB with a file name and a recipient's name in UTF-8: pulled")
        self.assertLess(self.bar.wire.sent - before, 64 << 10)

    def test_unknown_address(self) -> None:
        """The report about it is in UTF-8 itself, and reaches the sender all the same."""
        self.send(self.message(b"x\r\n", to="bob@bar.test"), "bj\u00f8rn@bar.test", mail="SMTPUTF8")
        self.settle()
        reports = [each for each in self.inbox(ALICE, "Undelivered") if self.word.encode() in each]
        self.assertEqual(len(reports), 1)
        self.assertIn("bj\u00f8rn@bar.test".encode(), reports[0])
        self.did("an unknown address in UTF-8: the report in UTF-8 reaches the sender", 1, reports)

    def test_sender(self) -> None:
        """A sender in UTF-8 is more than Dovecot 2.3 takes: one 5.6.7, and nothing in the mailbox."""
        sender = "\u00e5sa@foo.test"
        self.addCleanup(self.foo.alias)
        self.foo.alias(**{"\u00e5sa": ALICE})
        self.send(self.message(b"x\r\n", sender=sender), sender=sender, mail="SMTPUTF8")
        self.settle()
        self.assertEqual(self.inbox(BOB), [])
        reports = [each for each in self.inbox(ALICE, "Undelivered") if self.word.encode() in each]
        self.assertEqual(len(reports), 1)
        self.assertIn(b"5.6.7", reports[0])
        self.did("a sender in UTF-8, which Dovecot cannot take: 5.6.7 to the sender", 1, reports)
