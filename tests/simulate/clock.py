"""The one clock: a heap, because `task.Clock` sorts everything at every call."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

MOMENT = 1e-6


class Heaped(Clock):
    """As `Clock`, of which only `callLater`, `seconds` and `step` may be used. What is due at one time comes in the
    order in which it was asked for; a step takes a moment, as everything does."""

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._numbers = count()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> DelayedCall:  # noqa: N802
        """As `IReactorTime.callLater`."""
        call = DelayedCall(self.seconds() + delay, callable, args, kwargs, _forget, self._push, self.seconds)
        self._push(call)
        return call

    def _push(self, call: DelayedCall) -> None:
        heappush(self._heap, (call.getTime(), next(self._numbers), call))

    def step(self, until: float) -> bool:
        """Let the next thing happen; False when nothing is due until then, which it is now."""
        while self._heap and self._heap[0][0] <= until:
            due, _, call = heappop(self._heap)
            if call.cancelled or call.called or call.getTime() > due:
                continue
            self.rightNow = max(self.rightNow + MOMENT, due)
            call.called = 1
            call.func(*call.args, **call.kw)
            return True
        self.rightNow = max(self.rightNow, until)
        return False


def _forget(call: DelayedCall) -> None:
    """What is cancelled stays in the heap until its time."""
