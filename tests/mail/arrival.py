"""Attachments through both filters and four mail servers: taken out, signed, proved, pulled, put back."""

import base64
import email
import email.policy
import json
import os
import time

from typing_extensions import override

from tests.mail.case import BOB, CAROL, MailCase
from tests.processes.houses import set_key

MIXED = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b0"\r\n'


def attached(data: bytes) -> bytes:
    """The body of a message with one attachment."""
    lines = base64.encodebytes(data).replace(b"\n", b"\r\n")
    head = b"Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n"
    named = b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n'
    return b"--b0\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b0\r\n" + head + named + lines + b"--b0--\r\n"


def attachment_of(message: bytes) -> bytes:
    """What a mail program would save, b"" where there is nothing."""
    read = email.message_from_bytes(message, policy=email.policy.default)
    found = [part for part in read.walk() if part.get_filename() == "a.bin"]
    return bytes(found[0].get_payload(decode=True) or b"") if found else b""


class Arrival(MailCase):
    """From submission to IMAP."""

    def arrives(self, size: int, *recipients: str) -> list[bytes]:
        """Send an attachment of that size; what is in the mailboxes once all queues are empty."""
        data = os.urandom(size)
        self.send(self.message(attached(data), more=MIXED), *recipients)
        begun = time.monotonic()
        self.settle(100)
        found = [each for address in recipients for each in self.inbox(address)]
        self.assertEqual([attachment_of(each) == data for each in found], [True] * len(recipients))
        self.did(f"attachment of {size} bytes, {time.monotonic() - begun:.1f} s", len(recipients), found)
        return found

    def test_complete(self) -> None:
        """One is taken out, pulled and put back; the proof is on top."""
        (message,) = self.arrives(2_000_000, BOB)
        self.assertIn(b"Authentication-Results: bar.test;", message)
        self.assertIn(b"dkim=pass header.d=foo.test header.s=s1", message)

    def test_large(self) -> None:
        """A hundred megabytes, of which Postfix sees two kilobytes."""
        self.arrives(100_000_000, BOB)

    def test_two(self) -> None:
        """Each recipient by their own right."""
        self.arrives(3_000_000, BOB, CAROL)


class Held(Arrival):
    """Nothing is waited for in the delivery, and Postfix tries again by itself only long after the test is over."""

    is_impatient = False

    @override
    def setUp(self) -> None:
        super().setUp()
        self.change("0s", 3600)
        self.addCleanup(self.change, "2s", 1)

    def change(self, linger: str, retry: int) -> None:
        """How long a delivery waits at bar.test, and how long Postfix does."""
        daemon = self.bar.daemon
        assert daemon is not None
        daemon.stop()
        set_key(daemon, "mail", "linger", linger)
        daemon.start()
        daemon.wait_ready()
        waits = ("minimal_backoff_time", "maximal_backoff_time", "queue_run_delay")
        self.bar.postconf("-e", *(f"{name}={retry}s" for name in waits))
        self.bar.stop_postfix()
        self.bar.start_postfix()
        self.bar.wait_ready()

    @override
    def arrives(self, size: int, *recipients: str) -> list[bytes]:
        before = len(self.deliveries())
        found = super().arrives(size, *recipients)
        for address in recipients:
            said = [line["outcome"] for line in self.deliveries()[before:] if line["subject"] == address]
            # One recipient's pull may end before the other's, and Postfix tries both.
            self.assertEqual((said[0], said[-1], said.count("granted")), ("held", "granted", 1), said)
        return found

    def deliveries(self) -> list[dict[str, str]]:
        """What the trail of bar.test says of placeholders that came in."""
        daemon = self.bar.daemon
        assert daemon is not None
        lines = [json.loads(line) for line in daemon.audit.read_text().splitlines()]
        return [line for line in lines if line["what"] == "deliver"]
