"""A connection to a mail server: commands go out, replies come back one by one, and neither side runs ahead."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from typing_extensions import override

from rrsd.core.refusals import Malformed, TooLarge, Unavailable
from rrsd.core.values.envelopes import Reply
from rrsd.core.wire import smtp
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.asking import Asking
from rrsd.runtime.timers import Timers

MOST_AT_ONCE = 64
"""Commands that are sent before their replies have come (RFC 2920)."""
GO_ON = 354


class Client(Asking[Reply]):
    """The connection. `early` is a reply that nobody had asked for."""

    def __init__(self) -> None:
        super().__init__("the mail server")
        self.early: Reply | None = None
        self._replies = smtp.Replies()
        self._owed = 1  # the greeting

    @property
    def is_clean(self) -> bool:
        """Whether every command has its one reply, and more may be said."""
        return self.trouble is None and self.early is None and not self._owed and not self.has_answers

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            # The end of a message goes out by itself, and must not wait until what was before it is acknowledged.
            with suppress(OSError):  # a unix socket has nothing to switch off
                cast(Any, self.transport).setTcpNoDelay(True)

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            self.put(reply for reply in self._replies.take(data) if self._is_owed(reply))
        except (Malformed, TooLarge):
            self.fail(Unavailable("the mail server speaks no SMTP"))

    @override
    def write(self, data: bytes, replies: int = 0) -> Deferred[None] | None:
        """Send what will have so many replies; for the rest as `Asking.write`."""
        self._owed += replies
        return super().write(data)

    def leave(self) -> None:
        """Say goodbye and close; nobody waits for the answer."""
        if self.trouble is None:
            cast(Any, self.transport).write(b"QUIT\r\n")
            cast(Any, self.transport).unregisterProducer()
            cast(Any, self.transport).loseConnection()
        self.fail(Unavailable("we have closed the connection"), is_aborted=False)

    def abort(self) -> None:
        """Break the connection: what was sent of a message does not become one."""
        self.fail(Unavailable("we have broken the connection"))

    def _is_owed(self, reply: Reply) -> bool:
        if self._owed:
            self._owed -= 1
            return True
        if self.early is None:
            self.early = reply
        else:
            self.fail(Unavailable("the mail server speaks without being asked"))
        return False


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
        reply = self.client.ready()
        if reply is None:
            reply = await self.timers.within(wait, self.client.answer(), lambda: Unavailable("the mail server is slow"))
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
