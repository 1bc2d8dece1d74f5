"""bob's mailbox in a Dovecot of its own, with a client of Python's own that looks, and the swap that is tried there."""

import imaplib
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase

from rrsd.cli.demo.daemons import free_ports
from rrsd.core.refusals import Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.drivers.imap.mailboxes import Mailboxes
from rrsd.drivers.imap.settings import Settings
from rrsd.runtime.timers import Timers
from tests.support.mailconf import DOVECOT, MAILBOXES
from tests.support.mailhosts import require_mail_servers

BOB = parse_address("bob@bar.test")
RAW = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\nSubject: a\r\n\r\nplaceholder\r\n"
TRACE = b"Return-Path: <alice@foo.test>\r\nReceived: from x\r\n\tby y; now\r\n"
WHOLE = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\nSubject: a\r\n\r\n" + b"file\r\n" * 50_000
MARK = f"Rrs-Completed: {digest_of(RAW).b64} 1\r\n".encode()
"""The first line of what takes the place of the message with the UID 1."""
DATE = '"01-Feb-2024 03:04:05 +0100"'


class DovecotCase(TestCase):
    """bob's mailbox at bar.test. `more` stands at the end of Dovecot's configuration."""

    timeout = 60
    more = ""

    def setUp(self) -> None:
        """A Dovecot of our own."""
        require_mail_servers()
        # The sockets of Dovecot have short names only.
        folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/rrsd-XXXXXX"], text=True).strip())
        self.addCleanup(subprocess.run, ["rm", "-r", str(folder)], check=True)
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        (folder / "mail").chmod(0o777)
        (folder / "users").write_text("bob@bar.test:{PLAIN}secret::::::\ncarol@bar.test:{PLAIN}secret::::::\n")
        (folder / "masters").write_text("rrsd:{PLAIN}master\n")
        self.port, lmtp = free_ports(2)
        words = {"folder": folder, "name": "bar.test", "imap": self.port, "lmtp": lmtp}
        (folder / "dovecot.conf").write_text((DOVECOT + MAILBOXES).format(**words) + self.more)
        dovecot = subprocess.Popen(["dovecot", "-F", "-c", folder / "dovecot.conf"])
        self.addCleanup(dovecot.wait)
        self.addCleanup(dovecot.terminate)
        self.view = self.enter()
        self.addCleanup(self.view.shutdown)
        self.tries = 0
        self.meanwhile: Callable[[], object] = lambda: None
        self.folders: tuple[str, ...] = ()

    def enter(self) -> imaplib.IMAP4:
        """A mail program of bob's."""
        until = time.monotonic() + 20
        while True:
            try:
                view = imaplib.IMAP4("127.0.0.1", self.port)
                view.login(str(BOB), "secret")
            except (OSError, imaplib.IMAP4.error):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return view

    def put(self, message: bytes, folder: str = "INBOX", flags: str = r"(\Seen \Flagged work)") -> None:
        """Deliver."""
        self.view.append(folder, flags, DATE, message)

    def kept(self, folder: str = "INBOX") -> list[tuple[bytes, bytes]]:
        """What is there: what the server says about each, and its bytes."""
        self.view.select(folder, readonly=True)
        _, found = self.view.search(None, "ALL")
        answers = [self.view.fetch(each, "(FLAGS INTERNALDATE BODY.PEEK[])")[1][0] for each in found[0].split()]
        self.view.close()
        return [(answer[0], answer[1]) for answer in answers if isinstance(answer, tuple)]

    async def swap(self, cut: int | None, password: str) -> int:
        """Do it; the complete message breaks off after `cut` bytes, or something happens `meanwhile`."""

        async def complete(raw: bytes) -> tuple[int, AsyncIterator[bytes]]:
            self.assertEqual(raw, RAW)
            self.tries += 1
            return len(WHOLE), blocks()

        async def blocks() -> AsyncIterator[bytes]:
            for at in range(0, len(WHOLE), 65536):
                if cut is not None and at >= cut:
                    raise Unavailable("cut")
                yield WHOLE[at : at + 65536]
            self.meanwhile()

        from twisted.internet import reactor

        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{self.port}")
        boxes = Mailboxes(
            endpoint, Timers(cast(IReactorTime, reactor)), Settings(folders=self.folders), 1 << 22, lambda: password
        )
        return await boxes.swap(BOB, "<1@foo.test>", (digest_of(RAW), len(RAW)), complete)

    def run_swap(self, cut: int | None = None, password: str = "master") -> Deferred[int]:
        """As a Deferred."""
        return Deferred.fromCoroutine(self.swap(cut, password))
