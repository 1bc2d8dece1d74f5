"""Programs of this host, run without a shell."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.core.refusals import Unavailable
from rrsd.runtime.timers import Timers

MOST_SAID = 1000
"""Bytes of what a program says that are kept for the log."""
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class _Run(ProcessProtocol):
    def __init__(self) -> None:
        self.ended: Deferred[int] = Deferred(self._kill)
        self.said = b""

    def _kill(self, _: Deferred[int]) -> None:
        with suppress(ProcessExitedAlready):
            cast(Any, self.transport).signalProcess("KILL")

    @override
    def connectionMade(self) -> None:
        cast(Any, self.transport).closeStdin()

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.said = (self.said + data)[:MOST_SAID]

    @override
    def processEnded(self, reason: Failure) -> None:
        if not self.ended.called:
            self.ended.callback(_status(reason.value))


class _Search(_Run):
    """Looks for words in what the program says, however long that is."""

    def __init__(self, words: Sequence[bytes]) -> None:
        super().__init__()
        self.found: set[bytes] = set()
        self._words = words
        self._tail = b""

    @override
    def outReceived(self, data: bytes) -> None:
        text = self._tail + data
        self.found |= {word for word in self._words if word in text}
        self._tail = text[-max(map(len, self._words), default=1) :]

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == 1:
            self.outReceived(data)
        else:
            super().childDataReceived(childFD, data)


def _status(gone: Any) -> int:
    """The exit status, negative for a signal (Twisted has `signal` and `exitCode` on both of its exceptions)."""
    return int(gone.exitCode or 0) if gone.signal is None else -int(gone.signal)


@frozen
class Processes:
    """Runs programs, each for at most `patience`."""

    _log = Logger()

    reactor: Any
    timers: Timers
    patience: timedelta = timedelta(seconds=20)

    async def run(self, arguments: Sequence[str]) -> int:
        """The exit status of the program, negative for a signal; what it says is in the log when it fails.

        Raises:
            Unavailable: it cannot be started, or takes too long and was killed.
        """
        return await self._run(arguments, _Run())

    async def find(self, arguments: Sequence[str], words: Sequence[bytes]) -> frozenset[bytes]:
        """Those of the words that the program says.

        Raises:
            Unavailable: it cannot be started, takes too long, or fails.
        """
        search = _Search(words)
        status = await self._run(arguments, search)
        if status:
            raise Unavailable(f"{arguments[0]} ended with {status}")
        return frozenset(search.found)

    async def _run(self, arguments: Sequence[str], running: _Run) -> int:
        try:
            self.reactor.spawnProcess(running, arguments[0], list(arguments), ENVIRONMENT)
        except OSError as problem:
            raise Unavailable(f"{arguments[0]}: {problem.strerror}") from None
        status = await self.timers.within(
            self.patience, running.ended, lambda: Unavailable("the program took too long")
        )
        if status:
            said = running.said.decode("utf-8", "replace")
            self._log.warn("{program} says: {said}", program=arguments[0], said=said)
        return status
