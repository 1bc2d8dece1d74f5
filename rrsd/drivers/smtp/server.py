"""An SMTP or LMTP listener that hands each message on while it comes in."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Protocol, cast

from attrs import define, field
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire.smtp_server import Began, Broken, Came, Ended, Event, Offer, ServerSession
from rrsd.drivers.smtp.inflow import Inflow
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.logs import new_reference

TROUBLE = Reply(451, "4.3.0", ("local trouble, come again",))


class Receiver(Protocol):
    """What becomes of messages."""

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """Take the message and say what became of it for each recipient, in their order.

        The iterator refuses with Unavailable when the client leaves in the middle.
        """
        ...


@define(eq=False, slots=False)
class Connection(StreamProtocol):
    """One client. What it sends while a message waits for its reply stays in the socket."""

    _log = Logger()

    session: ServerSession
    receiver: Receiver
    clock: IReactorTime
    waits: Settings
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
    left: Callable[["Connection"], None]
    _inflow: Inflow | None = field(default=None, init=False)
    _deadline: IDelayedCall | None = field(default=None, init=False)
    _is_gone: bool = field(default=False, init=False)

    @override
    def connectionMade(self) -> None:
        self.session.greet()
        self._turn([])

    @override
    def dataReceived(self, data: bytes) -> None:
        self._turn(self.session.receive(data))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_gone = True
        self._watch(None)
        if self._inflow is not None:
            self._inflow.break_off()
        self.left(self)

    def close(self) -> None:
        """Say goodbye; a message that waits for its reply is given up, and its client keeps it."""
        self._turn(self.session.close())

    def _turn(self, events: Sequence[Event]) -> None:
        """Act on what the session has understood, and send what it has to say."""
        for event in events:
            self._act(event)
        transport = cast(Any, self.transport)
        if self.session.out:
            transport.write(bytes(self.session.out))
            self.session.out.clear()
        if self.session.is_over:
            transport.loseConnection()
        in_data = self._inflow is not None and not self.session.is_waiting
        self._watch(None if self.session.is_waiting else self.waits.block if in_data else self.waits.command)

    def _act(self, event: Event) -> None:
        match event:
            case Began():
                transport = cast(Any, self.transport)
                self._inflow = Inflow(transport.pauseProducing, transport.resumeProducing)
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
        try:
            replies = await self.receiver.receive(envelope, inflow)
            await inflow.drain()
        except Refusal as refusal:
            self._log.debug("message refused: {refusal}", refusal=str(refusal))
            return [TROUBLE] * count
        except Exception:
            self._log.failure("message failed, reference {reference}", reference=new_reference())
            return [TROUBLE] * count
        return replies if len(replies) == count else [TROUBLE] * count

    def _watch(self, delay: timedelta | None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        gone = delay is None or self._is_gone
        self._deadline = None if gone else self.clock.callLater(cast(timedelta, delay).total_seconds(), self.close)


class SmtpFactory(Factory):
    """Makes connections, at most `most` at a time; `close_all` ends them."""

    noisy = False

    def __init__(self, make: Callable[[Callable[[Connection], None]], Connection], most: int = 200) -> None:
        self._make = make
        self._most = most
        self._open: set[Connection] = set()

    @override
    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        if len(self._open) >= self._most:
            return None
        made = self._make(self._open.discard)
        made.factory = self
        self._open.add(made)
        return made

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        for each in tuple(self._open):
            each.close()


def smtp_factory(
    offer: Offer,
    receiver: Receiver,
    waits: Settings,
    clock: IReactorTime,
    spawn: Callable[[Coroutine[Any, Any, None], str], None],
) -> SmtpFactory:
    """The listener for messages that go to `receiver`."""
    return SmtpFactory(
        lambda left: Connection(ServerSession(offer), receiver, clock, waits, spawn, left), waits.connections
    )
