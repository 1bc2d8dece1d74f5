"""Hands messages to the next mail server by SMTP or LMTP, streamed and byte for byte."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire import smtp
from rrsd.core.wire.smtp_data import Stuffing
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.timers import Timers

MOST_WAITING = 64
"""Replies that a server may send before anybody has asked."""


@implementer(IPushProducer)
class Client(Protocol):
    """The connection: replies come out one by one, and writing waits while the socket is full."""

    def __init__(self) -> None:
        self._replies = smtp.Replies()
        self._ready: list[Reply] = []
        self._asked: Deferred[Reply] | None = None
        self._shut = False
        self._opened: Deferred[None] | None = None
        self.trouble: Refusal | None = None

    @override
    def connectionMade(self) -> None:
        cast(Any, self.transport).registerProducer(self, True)

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            self._ready += self._replies.take(data)
        except (Malformed, TooLarge):
            self._fail(Unavailable("the mail server speaks no SMTP"))
            return
        if len(self._ready) > MOST_WAITING:
            self._fail(Unavailable("the mail server speaks without being asked"))
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

    async def write(self, data: bytes) -> None:
        """Send, and return when more may be sent."""
        self._require_up()
        cast(Any, self.transport).write(data)
        if self._shut:
            self._opened = Deferred()
            await self._opened
        self._require_up()

    def abort(self) -> None:
        """Break the connection: what was sent of a message does not become one."""
        cast(Any, self.transport).abortConnection()

    def _require_up(self) -> None:
        if self.trouble is not None:
            raise self.trouble.with_traceback(None)

    def _hand_out(self) -> None:
        if self._asked is None or not (self._ready or self.trouble):
            return
        asked, self._asked = self._asked, None
        if self._ready:
            asked.callback(self._ready.pop(0))
        else:
            asked.errback(cast(Refusal, self.trouble))

    def _fail(self, refusal: Refusal) -> None:
        if self.trouble is None:
            self.trouble = refusal
            cast(Any, self.transport).abortConnection()
        self._hand_out()
        self.resumeProducing()


@define(eq=False)
class Talk:
    """One conversation with the next server."""

    client: Client
    timers: Timers
    waits: Settings
    extensions: Mapping[str, str] = field(factory=dict)

    async def expect(self, wait: timedelta) -> Reply:
        """The next reply; refuses with Unavailable when it does not come in time, or says goodbye (421)."""
        reply = await self.timers.within(wait, self.client.reply(), lambda: Unavailable("the mail server is slow"))
        if reply.code == 421:
            raise Unavailable(f"the mail server says {reply.code} {' '.join(reply.lines)}")
        return reply

    async def say(self, line: bytes) -> Reply:
        """The reply to one command."""
        await self.client.write(line)
        return await self.expect(self.waits.command)


@frozen
class Relay:
    """The way to one mail server. `name` is what we call ourselves."""

    endpoint: IStreamClientEndpoint
    name: str
    timers: Timers
    waits: Settings
    is_lmtp: bool = False

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What the server said about each recipient, in their order; a yes means that it has the message.

        Raises:
            Unavailable: it cannot be reached, or stopped before it had answered; nobody knows whether it has the
                message when that happened after its end (RFC 1047).
            Malformed: the message has a bare CR or LF; Unsupported: the server cannot take such a message at all.
            Whatever `message` refuses.
        """
        talk = await self._open()
        try:
            replies = await self._transact(talk, envelope, message)
            await talk.client.write(b"QUIT\r\n")
            cast(Any, talk.client.transport).loseConnection()
        except BaseException:
            talk.client.abort()
            raise
        return replies

    async def offers(self) -> Mapping[str, str]:
        """The extensions that the server announces; refuses with Unavailable."""
        talk = await self._open()
        cast(Any, talk.client.transport).loseConnection()
        return talk.extensions

    async def _open(self) -> Talk:
        connected = connectProtocol(self.endpoint, Client())
        late = lambda: Unavailable("the mail server does not answer")  # noqa: E731
        try:
            client = await self.timers.within(self.waits.connect, connected, late)
        except Refusal:
            raise
        except Exception as problem:
            raise Unavailable(f"mail server: {type(problem).__name__}") from None
        talk = Talk(client, self.timers, self.waits)
        try:
            await self._greet(talk)
        except BaseException:
            client.abort()
            raise
        return talk

    async def _greet(self, talk: Talk) -> None:
        _require_yes(await talk.expect(self.waits.command), "greeting")
        hello = await talk.say(f"{'LHLO' if self.is_lmtp else 'EHLO'} {self.name}\r\n".encode())
        _require_yes(hello, "hello")
        talk.extensions = smtp.extensions_of(hello)

    async def _transact(self, talk: Talk, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        await self._forward(talk, envelope)
        sender = await talk.say(smtp.render_mail(envelope.sender, talk.extensions))
        if not sender.is_good:
            return (sender,) * len(envelope.recipients)
        replies = await self._recipients(talk, envelope)
        if not any(reply.is_good for reply in replies):
            return tuple(replies)
        go_on = await talk.say(b"DATA\r\n")
        if go_on.code != 354:
            return tuple(go_on if reply.is_good else reply for reply in replies)
        await _pour(talk, message)
        return await self._results(talk, replies)

    async def _forward(self, talk: Talk, envelope: Envelope) -> None:
        offered = talk.extensions.get("XFORWARD", "").upper().split()
        known = {name: value for name, value in envelope.forwarded.items() if name in offered}
        if known:
            words = " ".join(f"{name}={smtp.encode_xtext(value)}" for name, value in known.items())
            await talk.say(f"XFORWARD {words}\r\n".encode())

    async def _recipients(self, talk: Talk, envelope: Envelope) -> list[Reply]:
        lines = [smtp.render_rcpt(each, talk.extensions) for each in envelope.recipients]
        if "PIPELINING" not in talk.extensions:
            return [await talk.say(line) for line in lines]
        replies: list[Reply] = []
        for at in range(0, len(lines), MOST_WAITING):
            some = lines[at : at + MOST_WAITING]
            await talk.client.write(b"".join(some))
            replies += [await talk.expect(self.waits.command) for _ in some]
        return replies

    async def _results(self, talk: Talk, replies: Sequence[Reply]) -> tuple[Reply, ...]:
        if not self.is_lmtp:
            done = await talk.expect(self.waits.done)
            return tuple(done if reply.is_good else reply for reply in replies)
        return tuple([await talk.expect(self.waits.done) if reply.is_good else reply for reply in replies])


async def _pour(talk: Talk, message: AsyncIterator[bytes]) -> None:
    stuffing = Stuffing()
    async for block in message:
        wire = stuffing.put(block)
        late = lambda: Unavailable("the mail server takes no more")  # noqa: E731
        await talk.timers.within(talk.waits.block, talk.client.write(wire), late)
    await talk.client.write(stuffing.end())


def _require_yes(reply: Reply, what: str) -> None:
    if not reply.is_good:
        raise Unavailable(f"{what}: {reply.code} {' '.join(reply.lines)}")
