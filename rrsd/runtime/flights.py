"""One running question, shared by all who ask it at the same time (F-17)."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rrsd.runtime.awaits import deferred_of

T = TypeVar("T")


@define(eq=False)
class _Flight:
    waiters: list[Deferred[Any]] = field(factory=list)
    running: Deferred[Any] | None = None


class Flights:
    """Questions in the air, by key. A waiter may give up; the last one who does cancels the question."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def share(self, key: str, ask: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """The answer of the one `ask` that runs for `key`; its refusal reaches everyone who waited."""
        flight = self._flights.get(key)
        starts = flight is None
        if flight is None:
            flight = self._flights[key] = _Flight()
        waiter: Deferred[Any] = Deferred(lambda gone: self._leave(key, gone))
        flight.waiters.append(waiter)
        if starts:
            self._begin(key, flight, ask)
        return cast("Deferred[T]", waiter)

    def _begin(self, key: str, flight: _Flight, ask: Callable[[], Awaitable[Any]]) -> None:
        flight.running = deferred_of(_asked(ask))
        flight.running.addBoth(lambda result: self._land(key, flight, result))

    def _land(self, key: str, flight: _Flight, result: object) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            if waiter.called:
                # Whoever heard before has made this one give up.
                continue
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    def _leave(self, key: str, waiter: Deferred[Any]) -> None:
        flight = self._flights.get(key)
        if flight is None or waiter not in flight.waiters:
            return
        flight.waiters.remove(waiter)
        if not flight.waiters and flight.running is not None:
            del self._flights[key]
            flight.running.cancel()


async def _asked(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
