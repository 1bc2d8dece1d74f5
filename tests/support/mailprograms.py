"""A user's mail program: hands messages in byte for byte, and reads the mailbox by IMAP, in pieces."""

import base64
import imaplib
import itertools
import re
import smtplib
from collections.abc import Iterable, Iterator, Sequence
from email import message_from_bytes
from email.message import Message

from tests.support.mailhosts import PASSWORD, SUBMISSION, MailHost

PIECE = 8 << 20
WAIT = 600.0


class Refused(AssertionError):
    """The mail server did not take it."""


def submit(
    host: MailHost, sender: str, recipients: Sequence[str], message: bytes | Iterable[bytes], **more: str
) -> str:
    """Hand a message in, in lines that end with CR LF; what the mail server says to it.

    `mail` and `rcpt` are parameters of those commands, `door` is the service that is handed it.

    Raises:
        Refused: it was not taken, or not for a recipient.
    """
    blocks = [message] if isinstance(message, bytes) else message
    port, mail, rcpt = host.ports[more.get("door", SUBMISSION)], more.get("mail"), more.get("rcpt")
    with smtplib.SMTP("127.0.0.1", port, local_hostname="there.test", timeout=WAIT) as smtp:
        smtp.command_encoding = "utf-8"
        smtp.ehlo()
        _require(smtp.docmd(f"MAIL FROM:<{sender}>{f' {mail}' if mail else ''}"))
        for each in recipients:
            _require(smtp.docmd(f"RCPT TO:<{each}>{f' {rcpt}' if rcpt else ''}"))
        _require(smtp.docmd("DATA"), 354)
        assert smtp.sock is not None
        for block in stuffed(blocks):
            smtp.sock.sendall(block)
        return _require(smtp.getreply())


def stuffed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks with dots doubled, and the end (RFC 5321 4.5.2). Written apart from rrsd's own on purpose."""
    tail = b"\r\n"
    for block in blocks:
        joined = tail + block
        dotted = joined.replace(b"\r\n.", b"\r\n..")
        yield dotted[len(tail) :]
        tail = joined[-2:]
    yield b".\r\n" if tail == b"\r\n" else b"\r\n.\r\n"


def _require(reply: tuple[int, bytes], code: int = 250) -> str:
    text = f"{reply[0]} {reply[1].decode(errors='replace')}"
    if reply[0] != code:
        raise Refused(text)
    return text


class Mailbox:
    """The inbox of one user, or another folder, for one look."""

    def __init__(self, host: MailHost, user: str, folder: str = "INBOX") -> None:
        self._imap = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=WAIT)
        self._imap.login(f"{user}@{host.name}", PASSWORD)
        self._imap.select(folder)

    def __enter__(self) -> "Mailbox":
        return self

    def __exit__(self, *_: object) -> None:
        self._imap.logout()

    def find(self, word: str = "") -> list[int]:
        """The UIDs of the messages whose subject has this word, or of all."""
        self._imap.noop()
        search = ("HEADER", "Subject", f'"{word}"') if word else ("ALL",)
        _, data = self._imap.uid("SEARCH", *search)
        return [int(uid) for uid in data[0].split()]

    def store(self, uid: int, flags: str) -> None:
        """Put flags on it, `(\\Seen)` for example."""
        self._imap.uid("STORE", str(uid), "+FLAGS", flags)

    def flags(self, uid: int) -> frozenset[str]:
        """What is on it, but for \\Recent."""
        _, data = self._imap.uid("FETCH", str(uid), "(FLAGS)")
        found = {each.decode() for each in imaplib.ParseFlags(data[0])}
        return frozenset(found - {r"\Recent"})

    def size(self, uid: int) -> int:
        """Octets of the message."""
        _, data = self._imap.uid("FETCH", str(uid), "(RFC822.SIZE)")
        return int(re.search(rb"RFC822\.SIZE (\d+)", data[0]).group(1))  # type: ignore[union-attr]

    def pieces(self, uid: int) -> Iterator[bytes]:
        """The message, in pieces that fit in memory."""
        at = 0
        while True:
            _, data = self._imap.uid("FETCH", str(uid), f"(BODY.PEEK[]<{at}.{PIECE}>)")
            piece = b"".join(each[1] for each in data if isinstance(each, tuple))
            if piece:
                yield piece
            at += len(piece)
            if len(piece) < PIECE:
                return

    def message(self, uid: int) -> bytes:
        """The whole message."""
        return b"".join(self.pieces(uid))

    def message_head(self, uid: int) -> Message:
        """Its header fields."""
        _, data = self._imap.uid("FETCH", str(uid), "(BODY.PEEK[HEADER])")
        return message_from_bytes(data[0][1])

    def decoded(self, uid: int, part: str) -> Iterator[bytes]:
        """What is attached as that part, out of its base64, in pieces."""
        size = PIECE // 78 * 78  # whole lines
        for at in itertools.count(0, size):
            _, data = self._imap.uid("FETCH", str(uid), f"(BODY.PEEK[{part}]<{at}.{size}>)")
            piece = b"".join(each[1] for each in data if isinstance(each, tuple))
            yield base64.b64decode(piece)
            if len(piece) < size:
                return

    def structure(self, uid: int) -> str:
        """What the server tells a mail program about the parts (RFC 9051 7.5.2)."""
        _, data = self._imap.uid("FETCH", str(uid), "(BODYSTRUCTURE)")
        return b" ".join(each if isinstance(each, bytes) else b"".join(each) for each in data).decode(errors="replace")


def read(host: MailHost, user: str, word: str = "") -> list[bytes]:
    """Every message of the inbox whose subject has this word."""
    with Mailbox(host, user) as box:
        return [box.message(uid) for uid in box.find(word)]
