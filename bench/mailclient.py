"""What a user's mail program does, as fast as it can be done: both contestants meet the same one."""

import base64
import hashlib
import imaplib
import io
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import cast

from attrs import define, field, frozen

from rrsd.core.refusals import Damaged, Unavailable
from tests.support.mailhosts import PASSWORD, MailHost

BLOCK = 57 * 16384
"""Octets of a file that are encoded at a time: whole lines."""
PATIENCE = 120.0
"""Seconds that a server may be silent."""
_LOOK_AGAIN = 0.02
_HEAD = (
    "From: <{sender}>\r\nTo: <{to}>\r\nSubject: {number}\r\nDate: Fri, 01 Jan 2027 00:00:00 +0000\r\n"
    'Message-ID: <{id}@{domain}>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=-b"\r\n\r\n'
    "--=-b\r\nContent-Type: text/plain\r\n\r\nsee attached\r\n"
)
_PART = (
    b"--=-b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename=f.bin\r\n\r\n"
)
_END = b"--=-b--\r\n"


@frozen
class File:
    """Octets that nothing compresses, encoded in lines as they are sent."""

    size: int
    sha256: bytes
    lines: Sequence[bytes]


def new_file(size: int) -> File:
    """A file that nobody has seen before: nothing that is kept from earlier runs helps."""
    whole, lines = hashlib.sha256(), []
    for at in range(0, size, BLOCK):
        block = os.urandom(min(BLOCK, size - at))
        whole.update(block)
        lines.append(base64.encodebytes(block).replace(b"\n", b"\r\n"))
    return File(size, whole.digest(), lines)


def with_file(sender: str, to: str, number: int, file: File) -> list[bytes]:
    """The message in blocks."""
    return [_head(sender, to, number) + _PART, *file.lines, _END]


def small(sender: str, to: str, number: int, octets: int) -> list[bytes]:
    """A message without attachment, of so many octets and a little."""
    line = b"y" * 72 + b"\r\n"
    return [_head(sender, to, number) + line * (octets // len(line)) + _END]


def _head(sender: str, to: str, number: int) -> bytes:
    words = {"sender": sender, "to": to, "number": number, "id": os.urandom(9).hex()}
    return _HEAD.format(**words, domain=sender.partition("@")[2]).encode()


class Submission:
    """A connection to the submission service of this name."""

    def __init__(self, host: MailHost, door: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", host.ports[door]), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")
        self._reply(b"220")
        self._socket.sendall(b"EHLO there.test\r\n")
        self._reply(b"250")

    def send(self, sender: str, to: str, message: Sequence[bytes]) -> None:
        """Hand a message in whose lines never begin with a dot; refuses with Unavailable."""
        self._socket.sendall(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
        for want in (b"250", b"250", b"354"):
            self._reply(want)
        for block in message[:-1]:
            self._socket.sendall(block)
        self._socket.sendall(message[-1] + b".\r\n")
        self._reply(b"250")

    def close(self) -> None:
        """Say goodbye."""
        self._socket.sendall(b"QUIT\r\n")
        self._reply(b"221")
        self._lines.close()
        self._socket.close()

    def _reply(self, want: bytes) -> None:
        line = self._lines.readline()
        while line[3:4] == b"-":
            line = self._lines.readline()
        if not line.startswith(want):
            raise Unavailable(f"submission: {line.decode(errors='replace').strip()}")


class Inbox:
    """A mailbox, looked at by IMAP."""

    def __init__(self, host: MailHost, user: str) -> None:
        self._imap = imaplib.IMAP4("127.0.0.1", host.ports["imap"], PATIENCE)
        self._imap.login(f"{user}@{host.name}", PASSWORD)
        self._imap.select("INBOX")

    def count(self) -> int:
        """How many messages it has."""
        return int(self._imap.select("INBOX")[1][0] or b"0")

    def wait(self, number: int, within: float, why: Callable[[], object]) -> None:
        """Return when it has so many; Unavailable after so many seconds."""
        end = time.monotonic() + within
        while (found := self.count()) < number:
            if time.monotonic() > end:
                raise Unavailable(f"{found} of {number} messages within {within:.0f} s: {why()}")
            time.sleep(_LOOK_AGAIN)

    def require(self, file: File) -> None:
        """Fetch the second part of the first message, decode it and compare; refuses with Damaged."""
        sock, lines = self._imap.sock, cast(io.BufferedReader, self._imap.file)
        sock.sendall(b"f1 FETCH 1 (BODY.PEEK[2])\r\n")
        said = re.match(rb"\* 1 FETCH \(.*\{(\d+)\}\r\n", lines.readline())
        if said is None:
            raise Damaged("there is no second part")
        decoding, left = Decoding(), int(said[1])
        while left:
            block = lines.read1(min(left, 1 << 20))
            decoding.feed(block)
            left -= len(block)
        while not lines.readline().startswith(b"f1 OK"):
            continue
        if decoding.finish() != file.sha256:
            raise Damaged("the attachment is not the one that was sent")

    def clear(self) -> None:
        """Delete everything."""
        if self.count():
            self._imap.store("1:*", "+FLAGS.SILENT", "\\Deleted")
            self._imap.expunge()

    def close(self) -> None:
        """Say goodbye."""
        self._imap.logout()


@define(eq=False)
class Decoding:
    """The digest of what base64 in lines stands for, block by block."""

    _whole: "hashlib._Hash" = field(factory=hashlib.sha256)
    _rest: bytes = b""

    def feed(self, block: bytes) -> None:
        """The next characters."""
        text = (self._rest + block).translate(None, b"\r\n")
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        self._whole.update(base64.b64decode(text[:whole]))

    def finish(self) -> bytes:
        """The digest."""
        return self._whole.digest()
