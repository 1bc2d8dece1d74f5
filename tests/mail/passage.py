"""What nobody has to touch arrives as it left: submission to IMAP, through both filters, byte for byte."""

import re

from tests.mail.case import ALICE, BOB, CAROL, LATE, MailCase
from tests.support.running import run

LINE = b"All the world's a stage.\r\n"


def filled(size: int) -> bytes:
    """So many octets in whole lines."""
    lines, rest = divmod(size, 64)
    return (b"x" * 62 + b"\r\n") * (lines - 1) + b"x" * (62 + rest) + b"\r\n"


class Passage(MailCase):
    """Bodies that break filters."""

    def test_plain(self) -> None:
        """A short text; the signature holds."""
        message = self.message(LINE)
        self.send(message)
        arrived = self.require_arrived({BOB: [message]}, "plain text, signed and verified")[BOB]
        self.assertIn(b"dkim=pass", arrived[0])

    def test_eight_bit(self) -> None:
        """Every octet that a line may have."""
        octets = bytes(each for each in range(1, 256) if each not in b"\r\n")
        message = self.message(
            (octets + b"\r\n") * 300, more="Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n"
        )
        self.send(message, mail="BODY=8BITMIME")
        self.require_arrived({BOB: [message]}, "8-bit body, every octet")

    def test_dots(self) -> None:
        """Dots at the beginning of lines, around the ends of blocks of 16 KiB and 64 KiB, on the wire and in files."""
        messages = []
        for edge in (16384, 65536):
            for shift in range(-4, 4):
                body = filled(edge + shift - len(self.message(b""))) + b".\r\n..\r\n.x\r\n" * 3 + LINE
                messages.append(self.message(body))
                self.send(messages[-1])
        self.require_arrived({BOB: messages}, "dots around the ends of 16 KiB and 64 KiB blocks")

    def test_nothing_but_dots(self) -> None:
        """A megabyte of them."""
        message = self.message(b".\r\n" * 350_000)
        self.send(message)
        self.require_arrived({BOB: [message]}, "a megabyte of dots")

    def test_long_lines(self) -> None:
        """990 octets, the last one a dot now and then."""
        message = self.message(b"".join(b"x" * 989 + bytes([46 + each % 2]) + b"\r\n" for each in range(500)))
        self.send(message)
        self.require_arrived({BOB: [message]}, "lines of 990 octets")

    def test_empty(self) -> None:
        """No body at all."""
        message = self.message(b"")
        self.send(message)
        self.require_arrived({BOB: [message]}, "empty body")

    def test_larger_than_postfix_takes(self) -> None:
        """The limit of main.cf is for strangers: a message above it goes out, and is refused where it is not ours."""
        message = self.message(LINE * 420_000)
        self.send(message, ALICE)
        self.require_arrived({ALICE: [message]}, "a message above message_size_limit, among our own users")


class Recipients(MailCase):
    """Who gets what."""

    def test_several(self) -> None:
        """Two domains, one of them without rrsd: each recipient once."""
        message = self.message(LINE, to=f"{BOB}, {CAROL}, {LATE}")
        self.send(message, BOB, CAROL, LATE)
        self.require_arrived({each: [message] for each in (BOB, CAROL, LATE)}, "several recipients in two domains")

    def test_same_domain(self) -> None:
        """Out and in again at once."""
        message = self.message(LINE, to="bob@foo.test")
        self.send(message, "bob@foo.test")
        self.require_arrived({"bob@foo.test": [message]}, "from user to user of one domain")

    def test_program(self) -> None:
        """sendmail(1): what programs of the host send goes the same way."""
        message = self.message(LINE)
        text = message.decode().replace("\r\n", "\n")
        run("sendmail", "-C", str(self.foo.etc), "-i", "-f", ALICE, BOB, given=text)
        self.require_arrived({BOB: [message]}, "handed in by sendmail(1)")

    def test_aliases(self) -> None:
        """A list of the sender's domain, one of the recipient's, and one that names itself: nobody twice."""
        self.addCleanup(self.foo.alias)
        self.addCleanup(self.bar.alias)
        self.foo.alias(team=f"{BOB},{CAROL},alice@foo.test")
        self.bar.alias(all=f"{BOB},{CAROL}", bob=f"{BOB},dave@bar.test")
        team, everybody = self.message(LINE, to="team@foo.test"), self.message(LINE, to="all@bar.test")
        self.send(team, "team@foo.test")
        self.send(everybody, "all@bar.test")
        both = [team, everybody]
        self.require_arrived({BOB: both, CAROL: both, ALICE: [team], "dave@bar.test": both}, "aliases and lists")

    def test_forwarding(self) -> None:
        """To another site before the mailboxes: untouched, the signature holds there."""
        self.addCleanup(self.bar.alias)
        self.bar.alias(dave=LATE)
        message = self.message(LINE, to="dave@bar.test")
        self.send(message, "dave@bar.test")
        arrived = self.require_arrived(
            {LATE: [message], "dave@bar.test": []}, "forwarded to another site, still signed"
        )
        self.assertIn(b"mx.old.test;\r\n\tdkim=pass", arrived[LATE][0])

    def test_blind_copy(self) -> None:
        """Nothing in the other's message tells of it."""
        message = self.message(LINE)
        self.send(message, BOB, CAROL)
        arrived = self.require_arrived({BOB: [message], CAROL: [message]}, "blind copy, invisible to the other")
        self.assertNotIn(CAROL.encode(), arrived[BOB][0])
        self.assertNotIn(BOB.encode(), arrived[CAROL][0].replace(message, b""))

    def test_forged_results(self) -> None:
        """What somebody else says in the name of bar.test's verifier is gone."""
        message = self.message(LINE, more="Authentication-Results: mx.bar.test; dkim=pass header.d=evil.test\r\n")
        self.send(message)
        self.settle()
        (arrived,) = self.inbox(BOB)
        self.assertEqual(len(re.findall(rb"(?m)^Authentication-Results:", arrived)), 1)
        self.assertNotIn(b"evil", arrived)
        self.did("forged Authentication-Results are removed", 1, [arrived])
