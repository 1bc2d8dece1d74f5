"""The driver and a server in memory: one placeholder in bob's mailbox, and what stands for it."""

from collections.abc import AsyncIterator
from typing import Any

from attrs import evolve
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.drivers.imap.mailboxes import Mailboxes
from rrsd.drivers.imap.settings import Settings
from rrsd.runtime.timers import Timers
from tests.support.imapserver import BOB, DATE, HERE, PASSWORD, Imap, Kept, serve_imap
from tests.support.internet import Internet

MOST = 1 << 20
RAW = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\nSubject: a\r\n\r\nplaceholder\r\n"
TRACE = b"Return-Path: <alice@foo.test>\r\nReceived: from x\r\n\tby y; now\r\n"
WHOLE = b"From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\nSubject: a\r\n\r\n" + b"file\r\n" * 20_000
FLAGS = {r"\Seen", "work", "$Label1"}


def mark(uid: int = 1) -> bytes:
    """The first line of what takes the place of the message with the UID."""
    return b"Rrs-Completed: %s %d\r\n" % (digest_of(RAW).b64.encode(), uid)


def done(uid: int = 1, trace: bytes = TRACE) -> bytes:
    """What takes its place."""
    return mark(uid) + trace + WHOLE


class ImapCase(SynchronousTestCase):
    """bob's mailbox, read by nobody else."""

    def setUp(self) -> None:
        """The server, with nothing in it."""
        self.internet = Internet(Clock())
        self.reactor: Any = self.internet.host("bar.test", "20.0.0.2").reactor
        self.settings = Settings()
        self.password = PASSWORD
        self.serve()

    def serve(self) -> Imap:
        """A new one, in place of the one before."""
        self.uploads = 0
        self.imap = serve_imap(self.internet)
        return self.imap

    def boxes(self, **changes: Any) -> Mailboxes:
        """The driver."""
        endpoint: Any = clientFromString(self.reactor, f"tcp:{HERE}:143")
        timers = Timers(self.reactor, self.reactor.seconds)
        return Mailboxes(endpoint, timers, evolve(self.settings, **changes), MOST, lambda: self.password)

    def start(self, *, size: int = len(WHOLE), trouble: Refusal | None = None, **changes: Any) -> Any:
        """Begin to swap; the content is said to have `size` bytes, and refuses after the first block."""

        async def complete(raw: bytes) -> tuple[int, AsyncIterator[bytes]]:
            assert raw == RAW
            return size, blocks()

        async def blocks() -> AsyncIterator[bytes]:
            self.uploads += 1
            for at in range(0, len(WHOLE), 65536):
                if trouble is not None and at:
                    raise trouble
                yield WHOLE[at : at + 65536]

        wanted = (digest_of(RAW), len(RAW))
        return self.internet.run(self.boxes(**changes).swap(parse_address(BOB), "<1@foo.test>", wanted, complete))

    def swap(self, **changes: Any) -> int:
        """How often it is done then."""
        found: int = self.successResultOf(self.start(**changes))
        return found

    def refusal(self, kind: type[Refusal] = Unavailable, wait: float = 0, **changes: Any) -> Refusal:
        """Why nothing came of it, after that many seconds; the connection is gone then."""
        result = self.start(**changes)
        if wait:
            self.assertNoResult(result)
            self.internet.advance(wait, wait / 20)
        found: Refusal = self.failureResultOf(result, kind).value
        self.internet.pump()
        self.assertEqual([each for each in self.imap.sessions if not each.is_over], [])
        return found

    def live(self) -> list[Kept]:
        """What a mail program shows."""
        return [each for each in self.imap.all() if each.is_live]

    def require_swapped(self, *raws: bytes, flags: set[str] = FLAGS) -> None:
        """Exactly these messages, and each has what the placeholder had."""
        self.assertEqual([each.raw for each in self.imap.all()], list(raws or (done(),)))
        for each in self.imap.all():
            self.assertEqual((each.flags, each.date), (flags, DATE))
