"""kill -9 on the way out: whatever the daemon was doing, the mail server's retry completes it and doubles nothing."""

import base64
import contextlib
import os
import re
import smtplib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from rrsd.cli.demo.daemons import free_ports
from tests.processes.houses import MIB, HouseCase, set_key

COLLECTS, DOES_NOT = "bob@bar.test", "postmaster"
HEADER = (
    b"From: alice@foo.test\r\nTo: bob@bar.test\r\nSubject: film\r\nMessage-ID: <1@foo.test>\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
)
PART = b'Content-Type: video/mp4; name="a.mp4"\r\nContent-Transfer-Encoding: base64\r\n\r\n'


class NextServer:
    """A mail server that keeps what it says yes to; it says nothing at all to messages that `mute` names."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[str], bytes]] = []
        self.mute: Callable[[list[str]], bool] = lambda _: False
        self.muted = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, _ = self._socket.accept()
                threading.Thread(target=self._talk, args=(wire,), daemon=True).start()

    def _talk(self, wire: socket.socket) -> None:
        with contextlib.suppress(OSError), wire, wire.makefile("rb") as lines:
            wire.sendall(b"220 next\r\n")
            to: list[str] = []
            for line in lines:
                verb = line[:4].upper()
                if verb == b"MAIL":
                    to = []
                if verb == b"RCPT":
                    to += re.findall(r"<(.*?)>", line.decode())
                if verb == b"DATA":
                    wire.sendall(b"354 go on\r\n")
                    data = b"".join(iter(lines.readline, b".\r\n"))
                    if self.mute(to):
                        self.muted += 1
                        wire.recv(1)
                        return
                    self.kept.append((to, re.sub(rb"(?m)^\.", b"", data)))
                wire.sendall(b"250-next\r\n250 XFORWARD IDENT\r\n" if verb == b"EHLO" else b"250 ok\r\n")


class KilledOnTheWayOut(HouseCase):
    """foo.test's filter between a mail server's client and the next one."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.next = NextServer()
        self.addCleanup(self.next.close)
        (self.port,) = free_ports(1)
        set_key(self.foo, "mail", "outbound", f"tcp:{self.port}:interface=127.0.0.1")
        set_key(self.foo, "mail", "outbound_next", f"tcp:127.0.0.1:{self.next.port}")
        self.film = os.urandom(3 * MIB)
        text = base64.encodebytes(self.film).replace(b"\n", b"\r\n")
        self.message = HEADER + b"--b\r\n\r\nLook.\r\n--b\r\n" + PART + text + b"--b--\r\n"
        self.start()

    def way(self) -> smtplib.SMTP:
        """A connection of the mail server's client."""
        way = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        way.ehlo("foo.test")
        way.docmd("XFORWARD", "IDENT=4A")
        way.docmd("MAIL", "FROM:<alice@foo.test>")
        for each in (COLLECTS, DOES_NOT):
            self.assertEqual(way.docmd("RCPT", f"TO:<{each}>")[0], 250)
        return way

    def test_between_the_groups(self) -> None:
        """The one who has the placeholder does not get it again; the other one gets the message, to the byte."""
        self.next.mute = lambda to: DOES_NOT in to
        way = self.way()
        way.putcmd("DATA")
        way.getreply()
        way.send(self.message + b".\r\n")
        self.until("the second group is on its way", lambda: self.next.muted)
        self.foo.kill()
        self.assertEqual([to for to, _ in self.next.kept], [[COLLECTS]])
        self.next.mute = lambda _: False
        self.foo.start()
        self.foo.wait_ready()
        for _ in range(2):
            self.assertEqual(self.way().data(self.message)[0], 250)
        self.assertEqual([to for to, _ in self.next.kept], [[COLLECTS], [DOES_NOT]])
        self.assertEqual(self.next.kept[1][1], self.message)
        self.assertLess(len(self.next.kept[0][1]), 2000)

    def test_in_the_middle_of_the_message(self) -> None:
        """Nothing has left, nothing is left behind, and the retry brings all of it."""
        way = self.way()
        way.putcmd("DATA")
        way.getreply()
        way.send(self.message[: 2 * MIB])
        self.pause(0.3)
        self.foo.kill()
        data = self.foo.plan.folder / "data"
        self.assertEqual(self.next.kept, [])
        self.foo.start()
        self.foo.wait_ready()
        self.assertEqual((names(data / "uploads"), names(data / "blobs")), ([], []))
        self.assertEqual(self.way().data(self.message)[0], 250)
        self.assertEqual(len(names(data / "blobs")), 1)
        self.assertEqual([to for to, _ in self.next.kept], [[COLLECTS], [DOES_NOT]])


def names(folder: Path) -> list[str]:
    """The files below it."""
    return [path.name for path in folder.rglob("*") if path.is_file()]
