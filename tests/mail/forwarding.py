"""Sieve sends a user's mail on: behind the mailbox's own server, so that what goes on is the completed message."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from tests.mail.attachments import MIB, AttachmentCase
from tests.mail.case import BOB, LATE
from tests.mail.letters import Attachment

DAVE = "dave@foo.test"
"""His domain has rrsd, and it is the sender's."""
NOBODY = 65534
SIEVE = """
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
submission_host = 127.0.0.1:{submission}
"""


class Redirect(AttachmentCase):
    """bob@bar.test keeps his mail and has it sent on, to a domain without rrsd and to one with."""

    @override
    def setUp(self) -> None:
        super().setUp()
        config = self.bar.folder / "dovecot.conf"
        before = config.read_text()
        self.addCleanup(self.reopen)
        self.addCleanup(config.write_text, before)
        config.write_text(before + SIEVE.format(submission=self.bar.ports["submission"]))
        self.reopen()

    def reopen(self) -> None:
        """Dovecot reads its configuration."""
        self.bar.running.stop("dovecot")
        self.bar.start_dovecot()
        self.bar.wait_ready()

    @contextmanager
    def script(self, text: str) -> Iterator[None]:
        """What bob's server does with his mail."""
        home = self.bar.folder / "mail" / "bar.test" / "bob"
        home.mkdir(parents=True, exist_ok=True)
        for each in (home.parent, home):
            os.chown(each, NOBODY, NOBODY)
        path = Path(home, ".dovecot.sieve")
        path.write_text(text)
        os.chown(path, NOBODY, NOBODY)
        try:
            yield
        finally:
            path.unlink()

    def test_attachment(self) -> None:
        """Each gets the whole message once; what foo.test signed was the placeholder, and what goes on is not."""
        head, files = self.letter(Attachment("film.mp4", 3 * MIB, 51))
        with self.script(f'require ["copy"]; redirect :copy "{LATE}"; redirect :copy "{DAVE}";'):
            self.post(head, files)
            self.settle()
        sizes = [self.require_whole(each, head, files) for each in (BOB, LATE, DAVE)]
        (there,) = self.inbox(LATE)
        self.assertEqual(self.verdicts(there), {"mx.old.test": ["fail"], "bar.test": ["pass"], "mx.bar.test": ["pass"]})
        self.note("Sieve sends the completed message on, to a domain without rrsd and one with", 3, 3, sum(sizes))

    def test_nothing_kept(self) -> None:
        """Sent on and not kept: the mailbox stays empty, and nothing is lost."""
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 52))
        with self.script(f'redirect "{LATE}";'):
            self.post(head, files)
            self.settle()
        size = self.require_whole(LATE, head, files)
        self.assertEqual(self.inbox(BOB), [])
        self.note("Sieve sends on and keeps nothing", 1, 1, size)

    def test_without_attachment(self) -> None:
        """Untouched by us: foo.test's signature holds behind the redirection."""
        message = self.message(b"Look.\r\n")
        with self.script(f'require ["copy"]; redirect :copy "{LATE}";'):
            self.send(message)
            arrived = self.require_arrived({BOB: [message], LATE: [message]}, "Sieve sends on a message as it came")
        self.assertEqual(self.verdicts(arrived[LATE][0])["mx.old.test"], ["pass"])

    def verdicts(self, message: bytes) -> dict[str, list[str]]:
        """What each server says about the signatures."""
        found: dict[str, list[str]] = {}
        for name, text in re.findall(rb"(?m)^Authentication-Results: ([a-z.]+);((?:.*\r\n[ \t])*.*)", message):
            found.setdefault(name.decode(), []).extend(each.decode() for each in re.findall(rb"dkim=([a-z]+)", text))
        return found
