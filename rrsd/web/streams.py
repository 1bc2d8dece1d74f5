"""Bodies that are longer than memory, and event streams: written as fast as the reader reads, and no faster."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.iweb import IRequest
from twisted.web.server import Request
from zope.interface import implementer

from rrsd.core.wire.strictjson import render
from rrsd.web.router import abort

_EVENT_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


@implementer(IPushProducer)
class _Valve:
    """Whether the connection takes more; `opens` is called, and `opened` fires, when it does again."""

    def __init__(self, opens: Callable[[], None] | None = None) -> None:
        self.shut = False
        self.gone = False
        self._opens = opens
        self._waiting: Deferred[None] | None = None

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer
        self.shut = True

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer
        self.shut = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
        if self._opens is not None:
            self._opens()

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer
        self.gone = True

    def lost(self, _: object) -> None:
        """The client left."""
        self.gone = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(CancelledError())

    async def opened(self) -> None:
        """Return when more may be written."""
        self._waiting = Deferred()
        await self._waiting


async def send(request: IRequest, blocks: AsyncIterator[bytes]) -> None:
    """Write `blocks` as the body, pausing when the client does.

    Nothing is written before the first block is there, so what that refuses becomes an ordinary answer. What a later
    one refuses aborts the connection: the client sees a body that is shorter than announced.
    """
    reply = cast(Request, request)
    valve = _Valve()
    reply.notifyFinish().addErrback(valve.lost)
    try:
        block = await anext(blocks, None)
        reply.registerProducer(valve, True)
        while block is not None:
            reply.write(block)
            if valve.shut:
                await valve.opened()
            if valve.gone:
                return
            block = await anext(blocks, None)
    except BaseException:
        if reply.startedWriting:
            abort(reply)
        raise
    finally:
        _release(reply)
        if (close := getattr(blocks, "aclose", None)) is not None:
            await close()


@define(eq=False)
class EventStream:
    """A stream of server-sent events on one request. A client that lets `most` events pile up is cut off; it comes
    back and starts from the present."""

    request: IRequest
    clock: IReactorTime
    heartbeat: float = 15.0
    most: int = 256
    _waiting: deque[bytes] = field(factory=deque, init=False)
    _valve: _Valve = field(init=False)
    _ended: Deferred[None] = field(factory=Deferred, init=False)
    _beat: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._valve = _Valve(self._drain)

    async def run(self) -> None:
        """Send what is pushed until the client leaves, falls behind, or `close` is called."""
        reply = cast(Request, self.request)
        for name, value in _EVENT_HEADERS.items():
            reply.setHeader(name, value)
        reply.notifyFinish().addErrback(lambda _: self.close())
        reply.registerProducer(self._valve, True)
        self._tick()
        try:
            await self._ended
        finally:
            self._valve.gone = True
            if self._beat is not None and self._beat.active():
                self._beat.cancel()
            _release(reply)

    def push(self, event: str, document: Mapping[str, Any]) -> None:
        """Send one event, or keep it until the client has taken those before."""
        name = event.replace("\r", "").replace("\n", "")
        self._waiting.append(b"event: %b\ndata: %b\n\n" % (name.encode(), render(document)))
        self._drain()
        if len(self._waiting) > self.most:
            abort(self.request)
            self.close()

    def close(self) -> None:
        """End the stream."""
        self._valve.gone = True
        if not self._ended.called:
            self._ended.callback(None)

    def _drain(self) -> None:
        while self._waiting and self._beat is not None and not self._valve.shut and not self._valve.gone:
            cast(Request, self.request).write(self._waiting.popleft())

    def _tick(self) -> None:
        self._beat = self.clock.callLater(self.heartbeat, self._tick)
        if not self._waiting and not self._valve.shut and not self._valve.gone:
            cast(Request, self.request).write(b": \n\n")
        self._drain()


def _release(request: Request) -> None:
    if getattr(request, "channel", None) is not None and request.producer is not None:
        request.unregisterProducer()
