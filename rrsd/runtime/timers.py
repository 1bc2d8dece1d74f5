"""Time that passes, and deadlines."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from rrsd.runtime.awaits import deferred_of

T = TypeVar("T")
SLACK = 60.0  # seconds that a clock may be set without a word; time servers correct by less


class Timers:
    """The clock of everything that waits; `wall` gives seconds since the epoch when the reactor's clock does not, and
    `steady` seconds that only go forward: Twisted's reactor itself goes by the time of day."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        wall: Callable[[], float] | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock
        self._wall = wall or clock.seconds
        self._steady = steady or clock.seconds
        self._latest = float("-inf")
        self._said = False

    def now(self) -> datetime:
        """The time of day, UTC, which never goes back: what has ended stays ended when the clock is set back (S-20)."""
        wall = self._wall()
        if wall >= self._latest:
            self._latest, self._said = wall, False
        elif wall < self._latest - SLACK and not self._said:
            self._said = True
            self._log.warn("the clock was set back by {seconds} s: time stands still here for as long, or until the "
                           "next start", seconds=round(self._latest - wall))  # fmt: skip
        return datetime.fromtimestamp(self._latest, UTC)

    def monotonic(self) -> float:
        """Seconds that no setting of the clock changes, for durations."""
        return self._steady()

    async def sleep(self, delay: timedelta) -> None:
        """Return after `delay`."""
        await deferLater(self.clock, max(0.0, delay.total_seconds()))

    async def within(self, delay: timedelta, awaitable: Awaitable[T], refusal: Callable[[], Exception]) -> T:
        """The result of `awaitable` if it comes within `delay`; otherwise it is cancelled and `refusal()` raised."""
        waiting = deferred_of(awaitable)
        deadline = _Deadline(waiting)
        call = self.clock.callLater(delay.total_seconds(), deadline.expire)
        try:
            return await waiting
        finally:
            if call.active():
                call.cancel()
            if deadline.expired:
                raise refusal()


class Clocks(Protocol):
    """The time of day, and one that only goes forward."""

    def now(self) -> datetime:
        """UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds."""
        ...


class Jumps:
    """Whether the time of day went ahead of the clock that only goes forward, and may come back."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._ahead = self._lead()

    def _lead(self) -> float:
        return self._clocks.now().timestamp() - self._clocks.monotonic()

    def seen(self) -> bool:
        """Whether it jumped since this was asked the last time."""
        before, self._ahead = self._ahead, self._lead()
        return self._ahead - before > SLACK


class _Deadline:
    """Whether time ran out before `waiting` had a result."""

    def __init__(self, waiting: Deferred[T]) -> None:
        self._cancel = waiting.cancel
        self.expired = False

    def expire(self) -> None:
        self.expired = True
        self._cancel()


def steady_timers(clock: IReactorTime) -> Timers:
    """The clocks of this machine: the time of day, and the one that only goes forward (promise R10)."""
    return Timers(clock, time.time, time.monotonic)  # noqa: TID251 (this is where time comes from)
