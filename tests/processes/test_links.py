"""kill -9 behind a personal link: the code still arrives, once, and a download goes on where it was."""

import base64
import http.client
import os
import re
import smtplib
import socket
import ssl
from urllib.parse import urlencode

from typing_extensions import override

from tests.processes.houses import MIB, HouseCase, set_key
from tests.processes.test_mail_out import HEADER, PART, NextServer

DAVE = "dave@plain.test"


class KilledBehindALink(HouseCase):
    """A film for dave, whose domain is not there at all."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.next = NextServer()
        self.addCleanup(self.next.close)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        told = {
            "outbound": f"tcp:{self.port}:interface=127.0.0.1",
            "outbound_next": f"tcp:127.0.0.1:{self.next.port}",
            "most_mail": "1MiB",
            "discovery_wait": "0s",
        }
        for name, value in told.items():
            set_key(self.foo, "mail", name, value)
        self.film = os.urandom(3 * MIB)
        self.start(self.foo)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> http.client.HTTPResponse:
        """What foo.test says to a browser that believes every certificate."""
        browser = http.client.HTTPSConnection(
            "127.0.0.1", self.foo.port, timeout=60, context=ssl._create_unverified_context()
        )
        self.addCleanup(browser.close)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}
        browser.request(method, path, body or None, {"Host": "foo.test", **form, **headers})
        return browser.getresponse()

    def link(self) -> str:
        """The path of the link in the message that dave gets."""
        text = base64.encodebytes(self.film).replace(b"\n", b"\r\n")
        way = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        way.sendmail("alice@foo.test", [DAVE], HEADER + b"--b\r\n\r\nLook.\r\n--b\r\n" + PART + text + b"--b--\r\n")
        ((to, message),) = self.next.kept
        self.assertEqual(to, [DAVE])
        (path,) = re.findall(r"https://[^/\s]+(/rrs/links/\S+)", message.decode())
        return str(path)

    def kill(self) -> None:
        """kill -9, and up again."""
        self.foo.kill()
        self.foo.start()
        self.foo.wait_ready()

    def test_code_and_download(self) -> None:
        """Neither the code that waits nor the cookie nor the grant is lost."""
        path = self.link()
        self.next.mute = lambda _: True
        self.assertEqual(self.ask("POST", path).status, 303)
        self.until("the code is on its way", lambda: self.next.muted)
        self.foo.kill()
        self.next.mute = lambda _: False
        self.foo.start()
        self.foo.wait_ready()
        self.until("the code has arrived", lambda: len(self.next.kept) > 1)
        to, message = self.next.kept[1]
        (code,) = re.findall(r"^    (\S{4}-\S{4})\r$", message.decode(), re.MULTILINE)
        self.assertEqual(to, [DAVE])
        self.kill()
        entered = self.ask("POST", f"{path}/code", urlencode({"code": code}))
        cookie = {"Cookie": str(entered.getheader("Set-Cookie")).partition(";")[0]}
        self.assertEqual(entered.status, 303)
        (file,) = re.findall(r'href="(\S+/files/\S+)"', self.ask("GET", path, **cookie).read().decode())
        begin = self.ask("GET", file, **cookie)
        data = begin.read(MIB)
        self.kill()
        rest = self.ask("GET", file, **cookie, **{"Range": f"bytes={MIB}-", "If-Range": str(begin.getheader("ETag"))})
        self.assertEqual(rest.status, 206)
        self.assertEqual(data + rest.read(), self.film)
        self.pause(1)
        self.assertEqual(len(self.next.kept), 2)
