"""Threads for work that blocks: disk, password hashes, system calls."""

from collections import deque
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")
P = ParamSpec("P")
_Task: TypeAlias = tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Workers(Protocol):
    """Runs blocking calls somewhere else than on the reactor thread."""

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of `f`, or what it raises. Cancelling gives up waiting; the call runs all the same."""
        ...


class ThreadWorkers:
    """`size` threads; calls beyond that number wait in line. What ends at the same time wakes the reactor once."""

    def __init__(self, reactor: IReactorFromThreads, size: int, name: str) -> None:
        self.name = name
        self._reactor = reactor
        self._threads = [Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(size)]
        self._calls: SimpleQueue[_Task | None] = SimpleQueue()
        self._ended: deque[tuple[Deferred[Any], Any]] = deque()
        self._woken = False
        self._running = 0
        self._idle: Deferred[None] | None = None

    async def start(self) -> None:
        """Begin with the calls that are there."""
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Wait for the calls that were accepted, then end the threads."""
        if self._running:
            self._idle = Deferred()
            await self._idle
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """As `Workers.run`."""
        result: Deferred[T] = Deferred()
        self._running += 1
        self._calls.put((result, f, args, kwargs))
        return result

    def _work(self) -> None:
        """What each thread does. A result is queued before the flag is looked at, so none is left behind."""
        while (task := self._calls.get()) is not None:
            result, f, args, kwargs = task
            try:
                value = f(*args, **kwargs)
            except BaseException:  # it belongs to whoever awaits the call
                value = Failure()
            self._ended.append((result, value))
            del task, result, f, args, kwargs, value
            if not self._woken:
                self._woken = True
                self._reactor.callFromThread(self._collect)

    def _collect(self) -> None:
        self._woken = False
        while self._ended:
            result, value = self._ended.popleft()
            self._running -= 1
            result.callback(value)  # a Failure makes it an errback
        if self._running == 0 and self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)


class InlineWorkers:
    """Runs each call at once, on the caller's thread."""

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """As `Workers.run`."""
        try:
            return succeed(f(*args, **kwargs))
        except Exception:
            return fail(Failure())
