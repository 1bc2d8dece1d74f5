"""The service tree: rooms start in order, each awaited, and stop in reverse, each awaited.

`MultiService` stops all of its children at once and only logs a start that failed; a daemon must do neither.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override


class Room(Protocol):
    """A part of the daemon with a beginning and an end."""

    @property
    def name(self) -> str:
        """The folder it lives in."""
        ...

    def start(self) -> Awaitable[None]:
        """Be ready when this returns; whatever is raised ends the process."""
        ...

    def stop(self) -> Awaitable[None]:
        """Hold nothing any more when this returns."""
        ...


class OrderedTree(Service):
    """The rooms of a daemon as one Twisted service; `fail` ends the process with a line and a non-zero status.

    A start that ends with one of `expected` is told in that line alone; anything else is logged with its trace.
    """

    _log = Logger()

    def __init__(
        self, name: str, rooms: Sequence[Room], fail: Callable[[str], None], expected: tuple[type[Exception], ...] = ()
    ) -> None:
        self.setName(name)
        self.rooms = tuple(rooms)
        self._fail = fail
        self._expected = expected
        self._started: list[Room] = []
        self._starting: Deferred[None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The rooms' names, in order of their start."""
        return tuple(room.name for room in self.rooms)

    @property
    def started(self) -> tuple[str, ...]:
        """The names of those that run."""
        return tuple(room.name for room in self._started)

    @override
    def startService(self) -> None:
        super().startService()
        self._starting = Deferred.fromCoroutine(self._start())

    @override
    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        for room in self.rooms:
            try:
                await room.start()
            except CancelledError:
                await self._stop_quietly(room)
                return
            except Exception as problem:
                if not isinstance(problem, self._expected):
                    self._log.failure("{room} did not start", Failure(), room=room.name)
                await self._stop_started()
                self._fail(f"{room.name} did not start: {problem or type(problem).__name__}")
                return
            self._started.append(room)
            self._log.info("{room} started", room=room.name)
        self.all_started()

    def all_started(self) -> None:
        """Called once, when the last room has started."""

    async def _stop(self) -> None:
        starting, self._starting = self._starting, None
        if starting is not None and not starting.called:
            starting.cancel()
            await starting
        await self._stop_started()

    async def _stop_started(self) -> None:
        while self._started:
            await self._stop_quietly(self._started.pop())

    async def _stop_quietly(self, room: Room) -> Any:
        try:
            await room.stop()
        except Exception:
            self._log.failure("{room} did not stop cleanly", Failure(), room=room.name)
        else:
            self._log.info("{room} stopped", room=room.name)
