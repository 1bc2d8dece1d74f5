"""The seam between awaitables and `Deferred`."""

from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

T = TypeVar("T")


def deferred_of(awaitable: Awaitable[T]) -> Deferred[T]:
    """A `Deferred` that fires as `awaitable` does and whose cancellation reaches it."""
    if isinstance(awaitable, Deferred):
        return awaitable
    return Deferred.fromCoroutine(_wait(awaitable))


async def _wait(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def together(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all of them beside each other until the last has ended; what one of them raised is raised then."""
    ended = await DeferredList([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)
    for _, outcome in ended:
        if isinstance(outcome, Failure):
            outcome.raiseException()
