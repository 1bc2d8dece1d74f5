"""The body of one answer on its way to a sink: in blocks, with back-pressure, never silent for long, never too long."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from typing_extensions import override

from rrsd.core.refusals import TooLarge, Unavailable
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.timers import Timers

BLOCK = 128 * 1024
"""What a sink gets at least, the end excepted."""
PROGRESS = 64 * 1024
"""What must come within the watchdog's time."""


class Sink(Protocol):
    """Where a body goes."""

    def write(self, data: bytes) -> Awaitable[None] | None:
        """Take the next bytes; an awaitable means: pause until it fires."""
        ...


@frozen
class Patience:
    """How long a body may stand still, and how long it may go on without `PROGRESS` bytes."""

    timers: Timers
    idle: timedelta = timedelta(seconds=60)
    progress: timedelta = timedelta(seconds=120)


@define(eq=False)
class _Watch:
    """Calls `late` when nothing came for `idle`, or too little for `progress`. Pausing on our side stops the clock."""

    patience: Patience
    late: Any
    _call: IDelayedCall | None = None
    _last: float = 0.0
    _mark: float = 0.0
    _count: int = 0

    def start(self) -> None:
        self._last = self._mark = self.patience.timers.monotonic()
        self._count = 0
        self._arm()

    def came(self, size: int) -> None:
        self._count += size
        self._last = self.patience.timers.monotonic()
        if self._count >= PROGRESS:
            self._count = 0
            self._mark = self._last

    def stop(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _arm(self) -> None:
        wait = max(0.001, self._due() - self.patience.timers.monotonic())
        self._call = self.patience.timers.clock.callLater(wait, self._look)

    def _due(self) -> float:
        return min(self._last + self.patience.idle.total_seconds(), self._mark + self.patience.progress.total_seconds())

    def _look(self) -> None:
        if self.patience.timers.monotonic() >= self._due():
            self._call = None
            self.late()
        else:
            self._arm()


class Pouring(StreamProtocol):
    """Takes a body from twisted.web and gives it to `sink`; `ended` fires with the number of bytes, or a refusal.

    `close` aborts the connection. It is called when the body is given up before its end, and never after, when the
    connection may serve another request already.
    """

    def __init__(self, sink: Sink, most: int, patience: Patience, close: Any) -> None:
        self.ended: Deferred[int] = Deferred(lambda _: self._fail(Failure(CancelledError())))
        self._sink = sink
        self._most = most
        self._close = close
        self._watch = _Watch(patience, self._stalled)
        self._pieces: list[bytes] = []
        self._held = 0
        self._count = 0
        self._pausing: Deferred[None] | None = None
        self._finished: Failure | None = None
        self._over = False

    @property
    def held(self) -> int:
        """Bytes that have come and were not handed on yet."""
        return self._held

    def give_up(self) -> None:
        """Nobody wants the rest; `ended` refuses with Unavailable."""
        self._fail(Failure(Unavailable("given up")))

    @override
    def connectionMade(self) -> None:
        self._watch.start()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self._count += len(data)
        if self._count > self._most:
            self._fail(Failure(TooLarge("body")))
            return
        self._watch.came(len(data))
        self._pieces.append(data)
        self._held += len(data)
        if self._held >= BLOCK and self._pausing is None:
            self._hand_over()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finished = reason
        self._watch.stop()
        if not self._over and self._pausing is None:
            self._finish(reason)

    def _hand_over(self) -> None:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._held = [], 0
        try:
            pause = self._sink.write(data)
        except Exception:  # whatever the sink refuses is the caller's
            self._fail(Failure())
            return
        if pause is not None:
            self._pause(deferred_of(pause))

    def _pause(self, pause: Deferred[None]) -> None:
        self._pausing = pause
        if not pause.called and self._finished is None:
            self._watch.stop()
            self._transport.pauseProducing()
        pause.addCallbacks(self._resume, self._fail)

    def _resume(self, _: object) -> None:
        self._pausing = None
        if self._over:
            return
        if self._finished is not None:
            self._finish(self._finished)
        else:
            self._watch.stop()
            self._watch.start()
            self._transport.resumeProducing()

    @property
    def _transport(self) -> Any:
        return self.transport

    def _finish(self, reason: Failure) -> None:
        if self._pieces:
            self._hand_over()
            if self._over or self._pausing is not None:
                return
        if reason.check(ResponseDone):
            self._over = True
            self.ended.callback(self._count)
        elif reason.check(PotentialDataLoss):
            self._fail(Failure(Unavailable("length unknown")))
        else:
            self._fail(Failure(Unavailable("body broke off")))

    def _stalled(self) -> None:
        self._fail(Failure(Unavailable("body stands still")))

    def _fail(self, failure: Failure) -> None:
        if self._over:
            return
        self._over = True
        self._watch.stop()
        self._pieces.clear()
        if self._finished is None:
            self._close()
        pausing, self._pausing = self._pausing, None
        if pausing is not None and not pausing.called:
            pausing.cancel()
        if not self.ended.called:
            self.ended.errback(failure)


@define(eq=False)
class Keep:
    """A sink that keeps a small body."""

    _pieces: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pieces.append(data)

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class Discard:
    """A sink that keeps nothing."""

    def write(self, data: bytes) -> None:
        """Drop the bytes."""
