"""Coroutines with an owner."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from rrsd.runtime.logs import new_reference


class Nursery:
    """Owns the coroutines that nobody awaits: an unexpected end is logged, `stop` cancels and awaits them all."""

    _log = Logger()

    def __init__(self, reference: Callable[[], str] = new_reference) -> None:
        self._reference = reference
        self._running: dict[Deferred[Any], str] = {}
        self._stopped: Deferred[None] | None = None
        self._open = True

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, coroutine: Coroutine[Any, Any, object], name: str) -> None:
        """Run `coroutine` now; after `stop` it is closed without having run."""
        if not self._open:
            coroutine.close()
            return
        running: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        self._running[running] = name
        running.addErrback(self._failed, name).addBoth(lambda _: self._ended(running))

    async def stop(self) -> None:
        """Cancel every coroutine and wait until the last has ended."""
        self._open = False
        for running in tuple(self._running):
            running.cancel()
        if self._running:
            self._stopped = self._stopped or Deferred()
            await self._stopped

    def _failed(self, failure: Failure, name: str) -> None:
        if not self._open and failure.check(CancelledError):
            return
        self._log.failure("{name} ended unexpectedly, reference {reference}", failure, name=name,
                          reference=self._reference())  # fmt: skip

    def _ended(self, running: Deferred[Any]) -> None:
        self._running.pop(running, None)
        if not self._running and self._stopped is not None and not self._stopped.called:
            self._stopped.callback(None)
