"""Hands messages to the next mail server by SMTP or LMTP, streamed and byte for byte."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.envelopes import LOST, Envelope, Reply
from rrsd.core.wire import smtp
from rrsd.core.wire.smtp_data import Stuffing
from rrsd.drivers.smtp.client import GO_ON, Client, Talk
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.timers import Timers

T = TypeVar("T")
UNKNOWN = "[UNAVAILABLE]"
MOST_ATTRIBUTE = 255
"""Characters of one attribute of XFORWARD."""
MOST_KEPT = 8
"""Connections that wait for the next message; a mail server gives us a few messages at a time."""
MOST_USES = 100
"""Messages over one connection, which then begins anew."""


@frozen
class _Begun:
    """What was said about each recipient, and whether the server waits for the message."""

    replies: tuple[Reply, ...]
    goes_on: bool


@define(eq=False)
class Relay:
    """The way to one mail server. `name` is what we call ourselves.

    A connection that has served its message waits `[smtp] idle` for the next one.
    """

    endpoint: IStreamClientEndpoint
    name: str
    timers: Timers
    waits: Settings
    is_lmtp: bool = False
    _idle: list[Talk] = field(factory=list, init=False)

    async def send(
        self, envelope: Envelope, message: AsyncIterator[bytes], *, together: bool = False
    ) -> tuple[Reply, ...]:
        """What the server said about each recipient, in their order; a yes means that it has the message. With
        `together` nothing is sent unless it takes every recipient: a yes beside a no is none.

        Raises:
            Unavailable: it cannot be reached, or stopped before it had answered; nobody knows whether it has the
                message when that happened after its end (RFC 1047).
            Malformed: the message has a bare CR or LF; Unsupported: the server cannot take such a message at all.
            Whatever `message` refuses.
        """
        talk, begun = await self._begin(envelope)
        if not begun.goes_on:
            talk.client.leave()
            return begun.replies
        if together and not all(reply.is_good for reply in begun.replies):
            talk.client.abort()
            return begun.replies
        replies = await _or_break(talk, self._transfer(talk, begun, message))
        if any(after.code >= 400 for before, after in zip(begun.replies, replies, strict=True) if before.is_good):
            # A server may stay in trouble for as long as the connection lives (Postfix, when a milter was away).
            talk.client.leave()
        else:
            self._keep(talk)
        return replies

    async def offers(self) -> Mapping[str, str]:
        """The extensions that the server announces; refuses with Unavailable."""
        talk = self._kept() or await self._open()
        self._keep(talk)
        return talk.extensions

    async def _begin(self, envelope: Envelope) -> tuple[Talk, _Begun]:
        """A conversation in which the transaction has begun. A kept one may have ended meanwhile; nothing of the
        message was sent then, so that it can begin anew."""
        talk = self._kept()
        if talk is not None:
            try:
                return talk, await _or_break(talk, self._introduce(talk, envelope))
            except Unavailable:
                pass
        talk = await self._open()
        return talk, await _or_break(talk, self._introduce(talk, envelope))

    def _kept(self) -> Talk | None:
        """The connection that was used last, if it is still there."""
        while self._idle:
            talk = self._idle.pop()
            if talk.client.is_clean:
                return talk
            talk.client.abort()
        return None

    def _keep(self, talk: Talk) -> None:
        if not talk.client.is_clean or len(self._idle) >= MOST_KEPT or talk.uses >= MOST_USES or not self.waits.idle:
            talk.client.leave()
            return
        talk.uses += 1
        self._idle.append(talk)
        self.timers.clock.callLater(self.waits.idle.total_seconds(), self._expire, talk, talk.uses)

    def _expire(self, talk: Talk, uses: int) -> None:
        if talk in self._idle and talk.uses == uses:
            self._idle.remove(talk)
            talk.client.leave()

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
        await _or_break(talk, self._greet(talk))
        return talk

    async def _greet(self, talk: Talk) -> None:
        _require_yes(await talk.expect(self.waits.command), "greeting")
        [hello] = await talk.say(f"{'LHLO' if self.is_lmtp else 'EHLO'} {self.name}\r\n".encode())
        _require_yes(hello, "hello")
        talk.extensions = smtp.extensions_of(hello)

    async def _introduce(self, talk: Talk, envelope: Envelope) -> _Begun:
        """Everything before the message, in as few turns as the server allows."""
        if self.is_lmtp:
            envelope = smtp.for_mailboxes(envelope, talk.extensions)
        first = [*_forward(talk, envelope), smtp.render_mail(envelope.sender, talk.extensions)]
        lines = [*first, *(smtp.render_rcpt(each, talk.extensions) for each in envelope.recipients), b"DATA\r\n"]
        if "PIPELINING" not in talk.extensions:
            return await self._step_by_step(talk, lines, len(first))
        said = await talk.say(*lines)
        return _begun(said[len(first) - 1], said[len(first) : -1], said[-1])

    async def _step_by_step(self, talk: Talk, lines: Sequence[bytes], first: int) -> _Begun:
        sender = (await talk.say(*lines[:first]))[-1]
        if not sender.is_good:
            return _Begun((sender,) * (len(lines) - first - 1), False)
        replies = await talk.say(*lines[first:-1])
        if not any(reply.is_good for reply in replies):
            return _Begun(tuple(replies), False)
        return _begun(sender, replies, (await talk.say(lines[-1]))[0])

    async def _transfer(self, talk: Talk, begun: _Begun, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        early = await _pour(talk, message, sum(reply.is_good for reply in begun.replies) if self.is_lmtp else 1)
        if early is not None:
            talk.client.abort()
            return tuple(early if reply.is_good else reply for reply in begun.replies)
        if self.is_lmtp:
            return await self._results(talk, begun)
        one = await talk.expect(self.waits.done)
        return tuple(one if reply.is_good else reply for reply in begun.replies)

    async def _results(self, talk: Talk, begun: _Begun) -> tuple[Reply, ...]:
        """What LMTP says for each recipient. Who was answered is answered, even when the server stops after that: those
        who have the message shall not have it again."""
        done: list[Reply] = []
        heard = False
        for reply in begun.replies:
            try:
                done.append(await talk.expect(self.waits.done) if reply.is_good else reply)
                heard = heard or reply.is_good
            except Unavailable:
                talk.client.abort()
                done.append(LOST)
        if not heard:
            talk.client.require_up()
        return tuple(done)


async def _or_break(talk: Talk, step: Awaitable[T]) -> T:
    """The step's result; when it fails, the conversation is over and no message in it has an end."""
    try:
        return await step
    except BaseException:
        talk.client.abort()
        raise


def _forward(talk: Talk, envelope: Envelope) -> list[bytes]:
    """The XFORWARD command. Whatever is not known is said to be: a server may remember the message before. So is what
    is so long that Postfix, which reads 2,048 octets of a line, would not come to the name of the message."""
    offered = talk.extensions.get("XFORWARD", "").upper().split()
    said = {name: smtp.encode_xtext(value) for name, value in envelope.forwarded.items() if name in offered}
    known = {name: value for name, value in said.items() if len(value) <= MOST_ATTRIBUTE}
    if not known and not talk.has_forwarded:
        return []
    talk.has_forwarded = True
    return [f"XFORWARD {' '.join(f'{name}={known.get(name, UNKNOWN)}' for name in offered)}\r\n".encode()]


def _begun(sender: Reply, replies: Sequence[Reply], data: Reply) -> _Begun:
    """What the replies to MAIL, to each RCPT and to DATA come to."""
    if not sender.is_good:
        return _Begun((sender,) * len(replies), False)
    if not any(reply.is_good for reply in replies):
        return _Begun(tuple(replies), False)
    if data.code != GO_ON:
        return _Begun(tuple(data if reply.is_good else reply for reply in replies), False)
    return _Begun(tuple(replies), True)


async def _pour(talk: Talk, message: AsyncIterator[bytes], replies: int) -> Reply | None:
    """Send the message, which will have so many replies; a no that comes before its end, where there is no need for
    the rest.

    Raises:
        Unavailable: a yes comes before its end, to whatever it is one; or as `Talk.send`.
    """
    stuffing = Stuffing()
    async for block in message:
        if talk.client.early is not None:
            break
        await talk.send(stuffing.put(block))
    early = talk.client.early
    if early is None:
        await talk.send(stuffing.end(), replies)
    elif early.is_good or early.code == 421:
        raise Unavailable(f"the mail server says {early.code} before the end")
    return early


def _require_yes(reply: Reply, what: str) -> None:
    if not reply.is_good:
        raise Unavailable(f"{what}: {reply.code} {' '.join(reply.lines)}")
