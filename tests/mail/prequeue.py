"""The filter before the queue: what passes, what is taken out, what travels beside it, and what breaks meanwhile."""

import smtplib
import threading
from collections import Counter

from typing_extensions import override

from tests.mail import attachments, envelopes, passage
from tests.mail.attachments import MIB, TEXT, AttachmentCase
from tests.mail.case import BOB, CAROL, LATE
from tests.mail.letters import Attachment, with_attachments
from tests.support.mailhosts import HASTY
from tests.support.mailprograms import Refused, submit

MANY, KILLS = 24, (5, 14)


class Passage(passage.Passage):
    """Bodies that break filters."""

    door = HASTY


class Recipients(passage.Recipients):
    """Who gets what."""

    door = HASTY


class Attachments(attachments.Attachments):
    """From the sender's mail program to the recipient's."""

    door = HASTY


class Reports(envelopes.Reports):
    """Delivery status notifications to the sender."""

    door = HASTY


class Unicode(envelopes.Unicode):
    """Addresses and headers in UTF-8."""

    door = HASTY


class Once(AttachmentCase):
    """Queued once where that can be, and as it came where something is away: the user sees nothing of it."""

    door = HASTY

    @override
    def setUp(self) -> None:
        super().setUp()
        self.logged = len(self.foo.log.read_text())

    def file(self, seed: int) -> tuple[bytes, list[Attachment]]:
        """A message with an attachment."""
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, seed))
        return head, list(files)

    def ways(self) -> tuple[int, int]:
        """How many messages went on at once, and how many through the filter behind the queue."""
        said = self.foo.log.read_text()[self.logged :]
        return said.count(", orig_queue_id=UNQUEUED-"), said.count(
            f"relay=127.0.0.1[127.0.0.1]:{self.foo.ports['out']},"
        )

    def test_queued_once(self) -> None:
        """A small one and one with an attachment: two queue files, and nothing for the filter behind the queue."""
        message = self.message(b"x\r\n")
        self.send(message)
        head, files = self.file(30)
        self.post(head, files)
        self.settle()
        octets = self.require_whole(BOB, head, files)
        self.assertEqual([each.endswith(message) for each in self.inbox(BOB)].count(True), 1)
        self.assertEqual(self.ways(), (2, 0))
        self.note("two messages, with an attachment and without, each queued once by the sender", 2, 2, octets)

    def test_nobody_collects(self) -> None:
        """An attachment for a domain without rrsd: one queue file too, where the size is announced."""
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 34), to=LATE)
        message = b"".join(with_attachments(head, TEXT, *files))
        self.send(message, LATE, mail=f"SIZE={len(message)}")
        self.settle()
        octets = self.require_whole(LATE, head, files)
        self.assertEqual(self.ways(), (1, 0))
        self.note("an attachment for a domain without rrsd, queued once by the sender", 1, 1, octets)

    def test_blind_copy_in_the_header(self) -> None:
        """A program that leaves Bcc in: what cleanup takes out behind the queue is taken out here too."""
        more = f"Bcc: {CAROL}\r\n"
        self.send(self.message(b"x\r\n", more=more), BOB, CAROL)
        self.post(self.message(b"", more=more)[:-2], [Attachment("film.mp4", 2 * MIB, 31)], BOB, CAROL)
        self.settle()
        arrived = [*self.inbox(BOB), *self.inbox(CAROL)]
        self.assertEqual((len(arrived), [each for each in arrived if b"Bcc:" in each]), (4, []))
        self.did("a Bcc field that the program left in is gone", 4, arrived)

    def test_chunks(self) -> None:
        """BDAT, as Postfix hands it on."""
        message = self.message(b".\r\n..\r\n" + b"x" * 70 + b"\r\n")
        with smtplib.SMTP("127.0.0.1", self.foo.ports[self.door]) as program:
            program.ehlo()
            program.docmd("MAIL FROM:<alice@foo.test>")
            program.docmd(f"RCPT TO:<{BOB}>")
            for chunk, last in ((message[:50], ""), (message[50:], " LAST")):
                program.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
                self.assertEqual(program.getreply()[0], 250)
        self.require_arrived({BOB: [message]}, "BDAT before the queue")

    def test_bare_carriage_return(self) -> None:
        """A program that breaks SMTP hears so, for good, however long its message is."""
        for rest in (b"x\r\n", b"x\r\n" * 700_000):
            with self.assertRaises(Refused) as caught:
                self.send(self.message(b"a\rb\r\n" + rest))
            self.assertTrue(str(caught.exception).startswith("554 "), str(caught.exception))

    def test_signer_is_away(self) -> None:
        """Nothing leaves unsigned, and nobody hears of it: it waits in the queue."""
        self.foo.running.stop("dkim-sign")
        message = self.message(b"x\r\n")
        self.send(message)
        head, files = self.file(32)
        self.post(head, files)
        waiting = self.until("both wait", lambda: len(self.foo.queue()) == 2)
        self.foo.start_dkim("sign")
        self.foo.wait_ready()
        self.settle()
        octets = self.require_whole(BOB, head, files)
        self.assertEqual((waiting, len(self.inbox(BOB))), (True, 2))
        self.note("the signer away: taken from the user, queued, sent when it was back", 2, 2, octets)

    def test_names_are_away(self) -> None:
        """No DNS: who collects is asked again behind the queue."""
        self.foo.tell()  # it knows nobody
        self.hosts.servers.stop("unbound")
        head, files = self.file(33)
        self.post(head, files)
        waiting = len(self.foo.queue())
        self.hosts.servers.start_resolver()
        self.settle()
        octets = self.require_whole(BOB, head, files)
        self.assertEqual((waiting, self.ways()[1] > 0), (1, True))
        self.note("DNS away: taken from the user, queued, pulled when it was back", 1, 1, octets)

    def test_rrsd_is_away(self) -> None:
        """Then the mail program hears that it shall come again, at once."""
        daemon = self.foo.daemon
        assert daemon is not None
        daemon.kill()
        with self.assertRaises(Refused) as caught:
            self.send(self.message(b"x\r\n"))
        self.assertTrue(str(caught.exception).startswith("451 "), str(caught.exception))
        daemon.start()
        daemon.wait_ready()
        message = self.message(b"y\r\n")
        self.send(message)
        self.require_arrived({BOB: [message]}, "rrsd away: 451 to the mail program, and nothing lost")


class Killed(AttachmentCase):
    """kill -9 of the sender's rrsd while a mail program sends, and sends again what it heard no yes to."""

    door = HASTY

    def test_rrsd_is_killed(self) -> None:
        """Nothing is lost; what comes twice is what the program sent twice, at most one for each kill."""
        sent: list[bytes] = []
        again: list[bytes] = []

        def work() -> None:
            for number in range(MANY):
                message = self._letter(number)
                while not self._is_taken(message):
                    again.append(message)
                    self.pause(0.2)
                sent.append(message)

        sending = threading.Thread(target=work, daemon=True)
        sending.start()
        for count in KILLS:
            self.until(f"{count} were sent", lambda count=count: len(sent) >= count)  # type: ignore[misc]
            assert self.foo.daemon is not None
            self.foo.daemon.kill()
            self.pause(0.2)
            self.foo.daemon.start()
            self.foo.daemon.wait_ready()
        sending.join(60)
        self.settle()
        self.assertEqual(len(sent), MANY)
        for address in (BOB, CAROL):
            arrived = self.inbox(address)
            copies = Counter(message for message in sent for each in arrived if each.endswith(message))
            self.assertEqual((set(copies), sum(copies.values())), (set(sent), len(arrived)))
            twice = {message: count for message, count in copies.items() if count > 1}
            self.assertLessEqual(set(twice), set(again))
            self.assertLessEqual(sum(twice.values()) - len(twice), len(KILLS))
        self.did(f"kill -9 of the sender's rrsd, twice: {len(twice)} came twice, of {len(set(again))} sent again",
                 2 * MANY, [*self.inbox(BOB), *arrived])  # fmt: skip

    def _letter(self, number: int) -> bytes:
        if number % 4:
            return self.message(b"%d.\r\n" % number + b"line\r\n" * (number * 400))
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 40 + number))
        return b"".join(with_attachments(head, TEXT, *files))

    def _is_taken(self, message: bytes) -> bool:
        try:
            submit(self.foo, "alice@foo.test", (BOB, CAROL), message, door=self.door)
        except (OSError, Refused, smtplib.SMTPException):
            return False
        return True
