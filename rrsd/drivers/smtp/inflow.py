"""The bytes of one message between the connection that they come from and the coroutine that takes them."""

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Unavailable

MOST_HELD = 1 << 20
"""Bytes that wait for the taker before the connection is held; it goes on below a quarter of that."""
OVERHEAD = 64
"""What a block costs beside its bytes: who sends two bytes at a time does not fill the memory with blocks."""


@define(eq=False)
class Inflow:
    """An asynchronous iterator over blocks. `hold` is told whether the connection has to wait, when that changes."""

    hold: Callable[[bool], None]
    held: int = field(default=0, init=False)
    _blocks: deque[bytes] = field(factory=deque, init=False)
    _is_holding: bool = field(default=False, init=False)
    _is_ended: bool = field(default=False, init=False)
    _is_broken: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def put(self, block: bytes) -> None:
        """A block came."""
        self._blocks.append(block)
        self.held += len(block) + OVERHEAD
        if self.held > MOST_HELD:
            self._hold(True)
        self._wake()

    def end(self) -> None:
        """That was all."""
        self._is_ended = True
        self._wake()

    def break_off(self) -> None:
        """The rest will not come; whoever takes hears it as Unavailable."""
        self._is_broken = True
        self._blocks.clear()
        self.held = 0
        self._hold(False)
        self._wake()

    def __aiter__(self) -> "Inflow":
        return self

    async def __anext__(self) -> bytes:
        while not self._blocks:
            if self._is_broken:
                raise Unavailable("the message was broken off")
            if self._is_ended:
                raise StopAsyncIteration
            self._waiting = Deferred()
            await self._waiting
        block = self._blocks.popleft()
        self.held -= len(block) + OVERHEAD
        if self.held < MOST_HELD // 4:
            self._hold(False)
        return block

    async def drain(self) -> None:
        """Take what is left and drop it; refuses with Unavailable when it was broken off."""
        async for _ in self:
            pass

    def _hold(self, is_held: bool) -> None:
        if is_held is not self._is_holding:
            self._is_holding = is_held
            self.hold(is_held)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
