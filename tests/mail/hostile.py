"""Strangers at the recipient's door with real servers: what they send stays what it is, and nobody else hears of it."""

import smtplib

from typing_extensions import override

from tests.mail.case import ALICE, BAR, BOB, LATE
from tests.mail.door import DIGEST, MULTIPART, PLACEHOLDER
from tests.mail.letters import Attachment
from tests.mail.pulling import TroubleCase, blob_of, restart
from tests.support.dkims import Signer

PART = PLACEHOLDER[PLACEHOLDER.index(b"--b\r\nContent-Type") : PLACEHOLDER.index(b"--b--")]


class Strangers(TroubleCase):
    """Somebody who says to be carol@old.test, to a domain that would rather send a report than a placeholder."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.told(give_up="bounce", max_hold="3s")

    def knock(self, message: bytes, to: str = BOB) -> int:
        """What bar.test's Postfix says to a message from outside."""
        with smtplib.SMTP("127.0.0.1", self.bar.ports["mx"]) as stranger:
            stranger.ehlo("old.test")
            for code, _ in (stranger.mail(LATE), stranger.rcpt(to)):
                if code != 250:
                    return code
            return stranger.data(message)[0]

    def left(self) -> int:
        """Octets that mail servers sent to each other in this test: what strangers send comes another way."""
        return sum(self.wire(host) for host in self.hosts.hosts.values())

    def test_no_report(self) -> None:
        """Forged, malformed, too many parts, nested, a long header, somebody else's signature: into the mailbox as they
        came, and not one octet leaves bar.test."""
        one = PLACEHOLDER % DIGEST
        before, after = one[: one.index(b"--b\r\nContent-Type")], b"--b--\r\n"
        bodies = {
            "unsigned": (one, MULTIPART),
            "malformed": (PLACEHOLDER % b"none", MULTIPART),
            "a thousand parts": (before + (PART % DIGEST) * 1000 + after, MULTIPART),
            "a long header": (one, "".join(f"X-{n}: {'x' * 900}\r\n" for n in range(60)) + MULTIPART),
            "a name with a way": (one.replace(b"video/mp4", b'video/mp4; name="../../evil"'), MULTIPART),
        }
        messages = [self.message(body, sender=LATE, more=more) for body, more in bodies.values()]
        evil = Signer("evil.test")
        with (self.hosts.folder / "keys").open("a") as keys:
            keys.write(f"{evil.name} {evil.record()}\n")
        messages.append(evil.sign(self.message(one, sender=LATE, more=MULTIPART)))
        for message in messages:
            self.assertEqual(self.knock(message), 250)
        self.assertEqual(self.knock(messages[0], f"nobody@{BAR}"), 550)
        self.require_arrived({BOB: messages, LATE: []}, "forged and hostile placeholders: as they came, no report")
        self.assertEqual(self.left(), 0)

    def test_greetings(self) -> None:
        """What a stranger calls itself comes to us in xtext, three octets for one: no message stays in the queue for
        that, or keeps others there."""
        sent = []
        for name in (b"+" * 2000, "\u00e9".encode() * 900, b"a b\tc", b"[IPv6:::1]"):
            sent.append(self.message(b"x\r\n", sender=LATE))
            with smtplib.SMTP("127.0.0.1", self.bar.ports["mx"]) as stranger:
                stranger.send(b"EHLO " + name + b"\r\n")
                said = [stranger.getreply()[0], stranger.mail(LATE)[0], stranger.rcpt(BOB)[0]]
                self.assertEqual([*said, stranger.data(sent[-1])[0]], [250] * 4)
        sent.append(self.message(b"x\r\n"))
        with smtplib.SMTP("127.0.0.1", self.foo.ports["submission"]) as program:
            program.send(b"EHLO " + b"+" * 2000 + b"\r\n")
            said = [program.getreply()[0], program.mail(ALICE)[0], program.rcpt(BOB)[0]]
            self.assertEqual([*said, program.data(sent[-1])[0]], [250] * 4)
        self.require_arrived({BOB: sent}, "strangers with long and odd names: their messages arrive")
        self.assertNotIn("request longer", self.foo.log.read_text())

    def test_report_to_who_was_proved(self) -> None:
        """Whose domain has signed it hears, once, that its attachment will never arrive."""
        head, files = self.letter(Attachment("film.mp4", 2 << 20, 61))
        self.bar.stop_postfix()
        self.post(head, files)
        blob = blob_of(self.sender, files[0])
        self.until("the attachment was taken out", blob.exists)
        self.until("it waits", lambda: "lost connection" in str(self.foo.queue()))
        blob.unlink()
        restart(self.sender)
        self.bar.start_postfix()
        self.bar.wait_ready()
        self.settle()
        self.assertEqual((len(self.reported()) - self.reports, self.inbox(BOB)), (1, []))
        self.note("an attachment that will never arrive: one report, to the author who was proved", 1, 1, 0)
