"""An SMTP or LMTP listener that hands each message on while it comes in."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol, cast

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.envelopes import LATER, Envelope, Reply
from rrsd.core.wire.smtp_server import Began, Broken, Came, Ended, Event, Offer, ServerSession
from rrsd.drivers.smtp.inflow import Inflow
from rrsd.drivers.smtp.listening import Bounded, Fault, nobody_is_told
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.logs import new_reference
from rrsd.runtime.promptly import write_promptly

MOST_AHEAD = 65536
"""Bytes that a client may send while its message waits for the reply; beyond them its socket keeps them."""
LEAST_PROGRESS = 1024
"""Bytes of a message that have to come within `[smtp] block`."""
LINGER = timedelta(seconds=10)
"""How long a client may take to close after our last word."""


class Receiver(Protocol):
    """What becomes of messages."""

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """Take the message and say what became of it for each recipient, in their order.

        The iterator refuses with Unavailable when the client leaves in the middle.
        """
        ...


@implementer(IPushProducer)
@define(eq=False, slots=False)
class Connection(StreamProtocol):
    """One client. Nothing is read from it while `MOST_HELD` bytes of its message wait for the receiver, while more than
    `MOST_AHEAD` bytes behind a message wait for the message's reply, and while it takes no replies."""

    _log = Logger()

    session: ServerSession
    receiver: Receiver
    clock: IReactorTime
    waits: Settings
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
    left: Callable[["Connection"], None]
    fault: Fault = nobody_is_told
    _inflow: Inflow | None = field(default=None, init=False)
    _deadline: IDelayedCall | None = field(default=None, init=False)
    _patience: timedelta | None = field(default=None, init=False)
    _progress: int = field(default=0, init=False)  # bytes since the deadline was moved
    _held: set[str] = field(factory=set, init=False)  # why nothing is read
    _is_leaving: bool = field(default=False, init=False)
    _is_gone: bool = field(default=False, init=False)

    @override
    def connectionMade(self) -> None:
        cast(Any, self.transport).registerProducer(self, True)
        self.session.greet()
        self._turn([])

    @override
    def dataReceived(self, data: bytes) -> None:
        self._progress += len(data)
        self._turn(self.session.receive(data))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_gone = True
        self._watch(None)
        if self._inflow is not None:
            self._inflow.break_off()
        self.left(self)

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer
        """The client takes no replies: what would make more of them stays in its socket."""
        self._hold("replies", True)

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It takes them again."""
        self._hold("replies", False)

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It is gone; `connectionLost` says so."""

    def close(self) -> None:
        """Say goodbye; a message that waits for its reply is given up, and its client keeps it."""
        self._turn(self.session.close())

    def _turn(self, events: Sequence[Event]) -> None:
        """Act on what the session has understood, and send what it has to say."""
        for event in events:
            self._act(event)
        spoke = bool(self.session.out)
        if spoke:
            write_promptly(self.transport, bytes(self.session.out))
            self.session.out.clear()
        if self.session.is_over:
            self._leave()
        else:
            self._hold("ahead", self.session.is_waiting and self.session.ahead > MOST_AHEAD)
            self._set_deadline(spoke)

    def _act(self, event: Event) -> None:
        match event:
            case Began():
                self._inflow = Inflow(self._hold_message)
                self.spawn(self._receive(event.envelope, self._inflow), "message")
            case Came():
                cast(Inflow, self._inflow).put(event.block)
            case Ended():
                cast(Inflow, self._inflow).end()
            case Broken():
                cast(Inflow, self._inflow).break_off()
                self._inflow = None

    async def _receive(self, envelope: Envelope, inflow: Inflow) -> None:
        replies = await self._outcome(envelope, inflow)
        if self._is_gone or self._inflow is not inflow or not self.session.is_waiting:
            return
        self._inflow = None
        self._turn(self.session.answer(replies))

    async def _outcome(self, envelope: Envelope, inflow: Inflow) -> Sequence[Reply]:
        """What is answered; a receiver that fails, or answers too early, does not confuse the conversation."""
        count = len(envelope.recipients) if self.session.offer.is_lmtp else 1
        replies: Sequence[Reply] = ()
        try:
            replies = await self.receiver.receive(envelope, inflow)
        except Refusal as refusal:
            self._log.debug("message refused: {refusal}", refusal=str(refusal))
        except CancelledError:
            raise
        except Exception:
            reference = new_reference()
            self._log.failure("message failed, reference {reference}", reference=reference)
            self.fault(reference)
        with suppress(Unavailable):  # it was broken off: nobody waits for the reply
            await inflow.drain()
        return replies if len(replies) == count else [LATER] * count

    def _hold(self, why: str, is_held: bool) -> None:
        was_held = bool(self._held)
        (self._held.add if is_held else self._held.discard)(why)
        if was_held is bool(self._held) or self._is_gone:
            return
        transport = cast(Any, self.transport)
        if self._held:
            transport.pauseProducing()
        else:
            transport.resumeProducing()

    def _hold_message(self, is_held: bool) -> None:
        self._hold("message", is_held)
        if not self._is_leaving:
            self._set_deadline(False)

    def _set_deadline(self, spoke: bool) -> None:
        """Who says a byte now and then does not keep the connection: a deadline moves when something was understood.

        While the client has to wait for us there is none.
        """
        patience: timedelta | None = self.waits.block if self.session.is_midway else self.waits.command
        if self.session.is_waiting or "message" in self._held:
            patience = None
        if spoke or patience != self._patience or self._progress >= LEAST_PROGRESS:
            self._patience, self._progress = patience, 0
            self._watch(patience)

    def _leave(self) -> None:
        """Say nothing more, and drop what comes until the client has closed: it may be sending still, and would lose
        our last reply to a connection that is reset."""
        if self._is_leaving or self._is_gone:
            return
        self._is_leaving = True
        for why in tuple(self._held):
            self._hold(why, False)
        transport = cast(Any, self.transport)
        transport.unregisterProducer()
        transport.loseWriteConnection()
        self._watch(LINGER, transport.abortConnection)

    def _watch(self, delay: timedelta | None, late: Callable[[], None] | None = None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        if delay is not None and not self._is_gone:
            self._deadline = self.clock.callLater(delay.total_seconds(), late or self.close)


def smtp_factory(
    offer: Offer,
    receiver: Receiver,
    waits: Settings,
    clock: IReactorTime,
    spawn: Callable[[Coroutine[Any, Any, None], str], None],
    fault: Fault = nobody_is_told,
) -> Bounded[Connection]:
    """The listener for messages that go to `receiver`; `fault` hears of what it had not foreseen."""
    return Bounded(
        lambda left: Connection(ServerSession(offer), receiver, clock, waits, spawn, left, fault), waits.connections
    )
