"""kill -9 while attachments are on their way: every message arrives, and each that arrives is whole."""

import threading

from tests.mail.attachments import MIB, TEXT, AttachmentCase
from tests.mail.case import BOB
from tests.mail.letters import Attachment, after, digest_of, with_attachments
from tests.support.mailhosts import MailHost
from tests.support.mailprograms import Mailbox

MANY = 6
KILLS = 3


class Crashes(AttachmentCase):
    """Six messages with 4 MiB each, and a daemon that dies three times meanwhile."""

    def sent_while_dying(self, host: MailHost) -> list[bytes]:
        """The header fields of what was sent."""
        heads: list[bytes] = []

        def work() -> None:
            for number in range(MANY):
                head, files = self.letter(self.attachment(number))
                self.post(head, files)
                heads.append(head)

        sending = threading.Thread(target=work, daemon=True)
        sending.start()
        for pause in (0.3, 0.8, 0.5):
            self.pause(pause)
            assert host.daemon is not None
            host.daemon.kill()
            host.daemon.start()
            host.daemon.wait_ready()
        sending.join(60)
        self.assertEqual(len(heads), MANY)
        self.settle(90)
        return heads

    def attachment(self, number: int) -> Attachment:
        """The file of one of them."""
        return Attachment(f"film{number}.mp4", 4 * MIB, 100 + number)

    def copies(self, head: bytes, number: int) -> tuple[int, int]:
        """How often a message has arrived, and its octets; each copy is what was sent to the byte."""
        sent = digest_of(with_attachments(head, TEXT, self.attachment(number)))
        with Mailbox(self.bar, "bob") as box:
            uids = box.find(head.split(b"Subject: ")[1].split(b"\r\n")[0].decode())
            for uid in uids:
                self.assertEqual(digest_of(after(box.pieces(uid), head[: head.index(b"\r\n") + 2])), sent)
        return len(uids), sent[1]

    def require_all(self, heads: list[bytes], what: str, most: int) -> None:
        """Each has arrived, and at most so often."""
        found = [self.copies(head, number) for number, head in enumerate(heads)]
        counts = [count for count, _ in found]
        self.assertEqual([count for count in counts if not 1 <= count <= most], [], f"{BOB}: {counts}")
        self.note(what, MANY, sum(counts), sum(count * octets for count, octets in found))

    def test_recipient(self) -> None:
        """The daemon that pulls: its next server may have said yes in the moment of its death (RFC 1047)."""
        heads = self.sent_while_dying(self.bar)
        self.require_all(heads, "kill -9 of the pulling rrsd, three times, 4 MiB each", KILLS + 1)

    def test_sender(self) -> None:
        """The daemon that takes attachments out and serves them; a reply that is lost may double (RFC 1047)."""
        heads = self.sent_while_dying(self.foo)
        self.require_all(heads, "kill -9 of the serving rrsd, three times, 4 MiB each", KILLS + 1)
