"""Work that must run to its end although nobody waits for it any more."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def shielded(work: Coroutine[Any, Any, T]) -> "Deferred[T]":
    """Fires as `work` does; cancelling it gives up waiting and leaves `work` alone."""
    waiting: Deferred[T] = Deferred()
    running = Deferred.fromCoroutine(work)

    def fire(result: T) -> None:
        waiting.callback(result)

    def fail(reason: Failure) -> None:
        waiting.errback(reason)

    running.addCallbacks(fire, fail)
    return waiting
