"""Postfix asks by milter before it accepts: what cannot be pulled is refused while its sender's server waits."""

import base64
import json
import os
import smtplib

from typing_extensions import override

from rrsd.cli.demo.daemons import free_ports
from tests.mail.case import ALICE, BOB, MailCase
from tests.processes.houses import set_key
from tests.support.mailhosts import MailHost
from tests.support.running import greets, run, until

PLACEHOLDER = b"""\
--b\r
\r
hello\r
--b\r
Content-Type: message/external-body; access-type=URL;\r
 URL="https://rs.foo.test/.well-known/ni/sha-256/%b"; size=4\r
\r
Content-Type: video/mp4\r
\r
--b--\r
"""
DIGEST = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=")
MULTIPART = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"


class Door(MailCase):
    """bar.test with `[mail] milter`, in the lines that `rrsctl mail setup` prints then."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.before = run("postconf", "-c", str(self.bar.etc), "-h", "smtpd_milters").strip()
        [self.port] = free_ports(1)
        self._configure(self.bar, f"tcp:{self.port}:interface=127.0.0.1")
        [line] = [each for each in self.bar.printed_lines() if each["name"] == "smtpd_milters"]
        self.bar.postconf("-e", f"smtpd_milters={line['value']}")
        self._reload()
        self.addCleanup(self._restore)

    def knock(self, message: bytes) -> tuple[int, bytes]:
        """What bar.test's Postfix says at the end of a message from outside."""
        with smtplib.SMTP("127.0.0.1", self.bar.ports["mx"]) as stranger:
            stranger.ehlo("foo.test")
            for code, text in (stranger.mail(ALICE), stranger.rcpt(BOB)):
                if code != 250:
                    return code, text
            return stranger.data(message)

    def test_unsigned(self) -> None:
        """550 5.7.1, and nothing is queued; ordinary mail comes in."""
        code, text = self.knock(self.message(PLACEHOLDER % DIGEST, more=MULTIPART))
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        self.assertIn(b"DKIM", text)
        message = self.message(b"hello\r\n")
        self.assertEqual(self.knock(message)[0], 250)
        odd = self.message(b"--b\r\n\r\nhello\r\n", more=MULTIPART)
        self.assertEqual(self.knock(odd)[0], 250)
        self.require_arrived({BOB: [message, odd]}, "unsigned placeholder refused by milter, other mail taken")

    def test_malformed(self) -> None:
        """The same, with other words."""
        code, text = self.knock(self.message(PLACEHOLDER % b"none", more=MULTIPART))
        self.assertEqual((code, text[:5]), (550, b"5.7.1"))
        self.assertIn(b"cannot be read", text)
        self.require_arrived({BOB: []})

    def test_milter_is_down(self) -> None:
        """Mail waits at its sender's until rrsd is there again, and comes once."""
        assert self.bar.daemon is not None
        message = self.message(b"hello\r\n")
        self.bar.daemon.stop()
        try:
            self.assertEqual(self.knock(self.message(b"hello\r\n"))[0] // 100, 4)
            self.send(message)
            self.until("the sender's mail server was told 451", lambda: "451" in str(self.foo.queue()))
        finally:
            self.bar.daemon.start()
            self.bar.daemon.wait_ready()
        self.require_arrived({BOB: [message]}, "our milter, and all of rrsd, down at the recipient's")

    def test_signed(self) -> None:
        """What foo.test sends, and signs, may come in."""
        body = base64.encodebytes(os.urandom(3 << 20)).replace(b"\n", b"\r\n")
        part = b"--b\r\nContent-Type: video/mp4; name=a.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        message = self.message(b"--b\r\n\r\nhello\r\n" + part + body + b"--b--\r\n", more=MULTIPART)
        self.send(message)
        self.until("the milter has let it in", self._is_let_in)
        self.until("it has come", lambda: self.inbox(BOB) or self.bar.queue())

    def _is_let_in(self) -> bool:
        assert self.bar.daemon is not None
        paths = [path for path in self.bar.daemon.plan.folder.rglob("audit*") if path.is_file()]
        lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        return any((line["what"], line["outcome"]) == ("screen", "granted") for line in lines)

    def _configure(self, host: MailHost, value: str) -> None:
        assert host.daemon is not None
        set_key(host.daemon, "mail", "milter", value)
        host.daemon.stop()
        host.daemon.start()
        host.daemon.wait_ready()
        until("the milter answers", lambda: greets(self.port), [])

    def _reload(self) -> None:
        run("postfix", "-c", str(self.bar.etc), "reload")
        self.pause(1)

    def _restore(self) -> None:
        self.bar.postconf("-e", f"smtpd_milters={self.before}")
        self._reload()
