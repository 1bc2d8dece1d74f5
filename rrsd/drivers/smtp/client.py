"""A connection to a mail server: commands go out, replies come back one by one, and neither side runs ahead."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable
from rrsd.core.values.envelopes import Reply
from rrsd.core.wire import smtp
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.timers import Timers

MOST_AT_ONCE = 64
"""Commands that are sent before their replies have come (RFC 2920)."""
GO_ON = 354


@implementer(IPushProducer)
class Client(Protocol):
    """The connection. `early` is a reply that nobody had asked for; `trouble` is why there will be no more."""

    def __init__(self) -> None:
        self.early: Reply | None = None
        self.trouble: Refusal | None = None
        self._replies = smtp.Replies()
        self._owed = 1  # the greeting
        self._ready: deque[Reply] = deque()
        self._asked: Deferred[Reply] | None = None
        self._shut = False
        self._opened: Deferred[None] | None = None

    @property
    def is_clean(self) -> bool:
        """Whether every command has its one reply, and more may be said."""
        return self.trouble is None and self.early is None and not self._owed and not self._ready

    @override
    def connectionMade(self) -> None:
        cast(Any, self.transport).registerProducer(self, True)

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            for reply in self._replies.take(data):
                self._came(reply)
        except (Malformed, TooLarge):
            self._fail(Unavailable("the mail server speaks no SMTP"))
        self._hand_out()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fail(Unavailable("the mail server closed the connection"))

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer
        """The socket is full."""
        self._shut = True

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It takes more."""
        self._shut = False
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(None)

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It is gone; `connectionLost` says so."""

    def reply(self) -> Deferred[Reply]:
        """The next reply; fails with Unavailable when there will be none."""
        self._asked = asked = Deferred[Reply]()
        self._hand_out()
        return asked

    def write(self, data: bytes, replies: int = 0) -> Deferred[None] | None:
        """Send what will have so many replies; what comes back fires when more may be sent, None is now.

        Raises:
            Unavailable: the connection is gone.
        """
        self.require_up()
        self._owed += replies
        cast(Any, self.transport).write(data)
        self._opened = Deferred() if self._shut else None
        return self._opened

    def leave(self) -> None:
        """Say goodbye and close; nobody waits for the answer."""
        if self.trouble is None:
            cast(Any, self.transport).write(b"QUIT\r\n")
            cast(Any, self.transport).unregisterProducer()
            cast(Any, self.transport).loseConnection()
        self._fail(Unavailable("we have closed the connection"), is_aborted=False)

    def abort(self) -> None:
        """Break the connection: what was sent of a message does not become one."""
        self._fail(Unavailable("we have broken the connection"))

    def require_up(self) -> None:
        """Returns None while the connection is there; refuses with Unavailable."""
        if self.trouble is not None:
            raise self.trouble.with_traceback(None)

    def _came(self, reply: Reply) -> None:
        if self._owed:
            self._owed -= 1
            self._ready.append(reply)
        elif self.early is None:
            self.early = reply
        else:
            self._fail(Unavailable("the mail server speaks without being asked"))

    def _hand_out(self) -> None:
        if self._asked is None or not (self._ready or self.trouble):
            return
        asked, self._asked = self._asked, None
        if self._ready:
            asked.callback(self._ready.popleft())
        else:
            asked.errback(cast(Refusal, self.trouble))

    def _fail(self, refusal: Refusal, *, is_aborted: bool = True) -> None:
        if self.trouble is None:
            self.trouble = refusal
            if is_aborted:
                cast(Any, self.transport).abortConnection()
        self._hand_out()
        self.resumeProducing()


@define(eq=False)
class Talk:
    """One conversation with the next server. `uses` is how often it was kept for a further message,
    `has_forwarded` whether it has had an XFORWARD."""

    client: Client
    timers: Timers
    waits: Settings
    extensions: Mapping[str, str] = field(factory=dict)
    uses: int = 0
    has_forwarded: bool = False

    async def expect(self, wait: timedelta, *, is_data: bool = False) -> Reply:
        """The next reply, yes or no; to DATA, no or `GO_ON`.

        Raises:
            Unavailable: it does not come in time, says goodbye (421), or is no answer to what was asked.
        """
        reply = await self.timers.within(wait, self.client.reply(), lambda: Unavailable("the mail server is slow"))
        if reply.code == 421:
            raise Unavailable(f"the mail server says {reply.code} {' '.join(reply.lines)}")
        if reply.is_good and is_data is not (reply.code == GO_ON):
            raise Unavailable(f"the mail server says {reply.code} out of order")
        return reply

    async def send(self, data: bytes, replies: int = 0) -> None:
        """Send, and return when more may be sent; refuses with Unavailable."""
        full = self.client.write(data, replies)
        if full is not None:
            await self.timers.within(self.waits.block, full, lambda: Unavailable("the mail server takes no more"))
            self.client.require_up()

    async def say(self, *lines: bytes) -> list[Reply]:
        """The replies to the commands, sent together where the server can; the last may be DATA.

        Raises:
            Unavailable: as for `expect`.
        """
        most = MOST_AT_ONCE if "PIPELINING" in self.extensions else 1
        found: list[Reply] = []
        for at in range(0, len(lines), most):
            some: Sequence[bytes] = lines[at : at + most]
            await self.send(b"".join(some), len(some))
            found += [await self.expect(self.waits.command, is_data=line == b"DATA\r\n") for line in some]
        return found
