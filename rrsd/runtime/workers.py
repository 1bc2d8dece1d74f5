"""Threads for work that blocks: disk, password hashes, system calls."""

from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")
P = ParamSpec("P")


class Workers(Protocol):
    """Runs blocking calls somewhere else than on the reactor thread."""

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """The result of `f`, or what it raises. Cancelling gives up waiting; a call that began runs to its end."""
        ...


class ThreadWorkers:
    """A pool of `size` threads; calls beyond that number wait in line."""

    def __init__(self, reactor: IReactorFromThreads, size: int, name: str) -> None:
        self.name = name
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=size, name=name)
        self._running = 0
        self._idle: Deferred[None] | None = None

    async def start(self) -> None:
        """Accept calls."""
        self._pool.start()

    async def stop(self) -> None:
        """Wait for the calls that were accepted, then end the threads."""
        if self._running:
            self._idle = Deferred()
            await self._idle
        if self._pool.started:
            self._pool.stop()

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """As `Workers.run`."""
        self._running += 1
        result: Deferred[T] = deferToThreadPool(self._reactor, self._pool, self._finishing(f), *args, **kwargs)
        return result

    def _finishing(self, f: Callable[P, T]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return f(*args, **kwargs)
            finally:
                self._reactor.callFromThread(self._ended)

        return call

    def _ended(self) -> None:
        self._running -= 1
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
