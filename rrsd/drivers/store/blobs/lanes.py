"""One kind of work on the blocks of one transfer: in order, off the reactor, in as few calls as it can."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rrsd.runtime.workers import Workers

T = TypeVar("T")

MOST_PER_CALL = 1024 * 1024  # bytes; small writes of the sender become one call


@define(eq=False)
class Lane(Generic[T]):
    """Blocks wait here for `work`; after each call `advanced` hears what it returned, or `failed` why it did not.

    `done` counts the bytes from byte 0 that the work has seen. After a failure nothing is worked on any more.
    """

    _workers: Workers
    _work: Callable[[list[bytes]], T]
    _advanced: Callable[[T], None]
    _failed: Callable[[Failure], None]
    done: int = 0
    running: bool = field(default=False, init=False)
    _blocks: deque[bytes] = field(factory=deque, init=False)
    _broken: bool = field(default=False, init=False)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._blocks.append(data)
        if not self.running and not self._broken:
            self.running = True
            Deferred.fromCoroutine(self._run()).addErrback(self._stop)

    async def _run(self) -> None:
        while True:
            blocks, size = self._take()
            result = await self._workers.run(self._work, blocks)
            self.done += size
            if not self._blocks:
                self.running = False
                return self._advanced(result)  # which may feed, and so start the next run
            self._advanced(result)

    def _take(self) -> tuple[list[bytes], int]:
        blocks = [self._blocks.popleft()]
        size = len(blocks[0])
        while self._blocks and size + len(self._blocks[0]) <= MOST_PER_CALL:
            blocks.append(self._blocks.popleft())
            size += len(blocks[-1])
        return blocks, size

    def _stop(self, reason: Failure) -> None:
        self.running, self._broken = False, True
        self._blocks.clear()
        self._failed(reason)
