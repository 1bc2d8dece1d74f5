"""A bell that wakes the one loop waiting on it."""

from datetime import timedelta

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Bell:
    """Wakes one waiting coroutine; a ring while nobody waits is remembered once."""

    clock: IReactorTime
    _rung: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def ring(self) -> None:
        """Wake the loop now, or let its next wait return at once."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            self._rung = True
        else:
            waiting.callback(None)

    async def wait(self, delay: timedelta | None) -> None:
        """Return when the bell rings or after `delay`; with None only when it rings."""
        if self._rung:
            self._rung = False
            return
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        timer: IDelayedCall | None = None
        if delay is not None:
            timer = self.clock.callLater(max(0.0, delay.total_seconds()), self.ring)
        try:
            await waiting
        finally:
            if self._waiting is waiting:
                self._waiting = None
            if timer is not None and timer.active():
                timer.cancel()
