"""The seam between awaitables and `Deferred`."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def deferred_of(awaitable: Awaitable[T]) -> Deferred[T]:
    """A `Deferred` that fires as `awaitable` does and whose cancellation reaches it."""
    if isinstance(awaitable, Deferred):
        return awaitable
    return Deferred.fromCoroutine(_wait(awaitable))


async def _wait(awaitable: Awaitable[T]) -> T:
    return await awaitable
