"""A milter: the mail server asks about each message before it says yes to its client."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol, cast

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.core.values.envelopes import LATER, Reply
from rrsd.core.wire.milter import MilterSession, Whole
from rrsd.drivers.smtp.listening import Bounded, Fault
from rrsd.runtime.logs import new_reference
from rrsd.runtime.timers import Timers

IDLE = timedelta(hours=1)
"""How long a mail server may say nothing; it keeps the connection for as long as its own client stays."""
LATE = timedelta(minutes=4)
"""How long a verdict may take: Postfix waits for 300 s (`milter_content_timeout`)."""


class Judge(Protocol):
    """Who decides."""

    async def judge(self, sender: str, raw: bytes) -> Reply | None:
        """What the client hears, None when the message may pass."""
        ...


@define(eq=False, slots=False)
class MilterConnection(StreamProtocol):
    """One mail server's connection. Nothing is read from it while a message is judged."""

    _log = Logger()

    session: MilterSession
    judge: Judge
    timers: Timers
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
    left: Callable[["MilterConnection"], None]
    fault: Fault
    _deadline: IDelayedCall | None = field(default=None, init=False)
    _is_gone: bool = field(default=False, init=False)

    @override
    def connectionMade(self) -> None:
        self._turn(None)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._turn(self.session.receive(data))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_gone = True
        self._watch(None)
        self.left(self)

    def close(self) -> None:
        """Leave; the mail server does what it is told to do without a milter (`milter_default_action`)."""
        cast(Any, self.transport).loseConnection()

    def _turn(self, whole: Whole | None) -> None:
        transport = cast(Any, self.transport)
        if self.session.out:
            transport.write(bytes(self.session.out))
            self.session.out.clear()
        if self.session.is_over:
            transport.loseConnection()
        elif whole is not None:
            transport.pauseProducing()
            self._watch(None)
            self.spawn(self._judge(whole), "milter")
        else:
            self._watch(IDLE)

    async def _judge(self, whole: Whole) -> None:
        reply = await self._verdict(whole)
        if not self._is_gone:
            cast(Any, self.transport).resumeProducing()
            self._turn(self.session.answer(reply))

    async def _verdict(self, whole: Whole) -> Reply | None:
        """Whatever goes wrong, the message may come again."""
        try:
            return await self.timers.within(LATE, self.judge.judge(whole.sender, whole.raw), TimeoutError)
        except CancelledError:
            raise
        except TimeoutError:
            self.fault("none: no verdict in time")
            return LATER
        except Exception:
            reference = new_reference()
            self._log.failure("milter failed, reference {reference}", reference=reference)
            self.fault(reference)
            return LATER

    def _watch(self, delay: timedelta | None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        clock: IReactorTime = self.timers.clock
        self._deadline = None
        if delay is not None and not self._is_gone:
            self._deadline = clock.callLater(delay.total_seconds(), self.close)


def milter_factory(
    session: Callable[[], MilterSession],
    judge: Judge,
    timers: Timers,
    spawn: Callable[[Coroutine[Any, Any, None], str], None],
    fault: Fault,
    most: int,
) -> Bounded[MilterConnection]:
    """The listener that asks `judge` about what each `session` hands out; `fault` hears of what it had not foreseen."""
    return Bounded(lambda left: MilterConnection(session(), judge, timers, spawn, left, fault), most)
