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
        running = _Run()
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
