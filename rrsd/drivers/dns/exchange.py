"""One question to one server: by datagram, and by stream when the answer does not fit or looks wrong."""

from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.drivers.dns.messages import HEADER, MOST_ANSWER, PAYLOAD, Answer, Query, is_truncated, read_answer
from rrsd.drivers.dns.places import Place, is_loopback
from rrsd.runtime.timers import Timers

LENGTH = 2
"""Bytes before each message on a stream (RFC 7766 8)."""


@frozen
class Exchange:
    """Asks servers. Each question has a socket of its own, so that the system chooses its port (RFC 5452 9.2)."""

    reactor: Any
    timers: Timers

    async def ask(self, server: Place, query: Query) -> Answer:
        """What the server answers. Whoever waits sets the deadline by cancelling.

        Raises:
            Unavailable: nobody is there, or what came is no answer.
        """
        answer = await self._by_datagram(server, query)
        if answer is not None:
            return answer
        data = await self._by_stream(server, query)
        try:
            return read_answer(query, data)
        except Malformed as wrong:
            raise Unavailable(f"{wrong.detail} from the resolver") from None

    async def _by_datagram(self, server: Place, query: Query) -> Answer | None:
        asking = _Datagram(server, query)
        try:
            self.reactor.listenUDP(0, asking, interface=_here(server))
            asking.send()
        except (OSError, CannotListenError) as error:
            asking.abandon()
            raise Unavailable(f"the resolver cannot be asked ({type(error).__name__})") from None
        return await asking.answered

    async def _by_stream(self, server: Place, query: Query) -> bytes:
        kind = TCP6ClientEndpoint if ":" in server.address else TCP4ClientEndpoint
        asking = _Stream(query)
        factory = Factory.forProtocol(lambda: asking)
        try:
            await kind(self.reactor, server.address, server.port).connect(factory)
        except ConnectError:
            raise Unavailable("the resolver does not take streams") from None
        return await asking.answered


def _here(server: Place) -> str:
    if ":" in server.address:
        return "::1" if is_loopback(server) else "::"
    return "127.0.0.1" if is_loopback(server) else ""


class _Datagram(DatagramProtocol):
    """Takes the first datagram of the server; its answer, or None where a stream has to tell.

    Anything from elsewhere is not seen. Anything else from the server's address means that somebody guesses.
    """

    transport: Any

    def __init__(self, server: Place, query: Query) -> None:
        self._server = (server.address, server.port)
        self._query = query
        self.answered: Deferred[Answer | None] = Deferred(lambda _: self.close())

    def send(self) -> None:
        """Ask; only now, as the reactor has to know the socket before anything can go wrong.

        Raises:
            OSError: there is no way to the server.
        """
        self.transport.connect(*self._server)
        self.transport.write(self._query.wire)

    @override
    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if tuple(addr[:2]) == self._server and not self.answered.called:
            self.answered.callback(_accepted(self._query, datagram))
            self.close()

    @override
    def connectionRefused(self) -> None:
        self.close()

    @override
    def stopProtocol(self) -> None:
        # The reactors that wait by poll or epoll close the socket themselves when nobody listens there.
        if not self.answered.called:
            self.answered.errback(Unavailable("the resolver is not there"))

    def abandon(self) -> None:
        """Nobody waits for the answer."""
        self.answered.addErrback(lambda _: None)
        self.close()

    def close(self) -> None:
        """Hear no more."""
        if self.transport is not None:
            self.transport.stopListening()


def _accepted(query: Query, datagram: bytes) -> Answer | None:
    if len(datagram) > PAYLOAD or is_truncated(datagram):
        return None
    try:
        return read_answer(query, datagram)
    except Malformed:
        return None


class _Stream(Protocol):
    """Sends the query and takes one message."""

    transport: Any

    def __init__(self, query: Query) -> None:
        self._query = query
        self._received = bytearray()
        self.answered: Deferred[bytes] = Deferred(lambda _: self.transport.abortConnection())

    @override
    def connectionMade(self) -> None:
        wire = self._query.wire
        self.transport.write(len(wire).to_bytes(LENGTH, "big") + wire)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if self.answered.called or len(self._received) < LENGTH:
            return
        length = int.from_bytes(self._received[:LENGTH], "big")
        if not HEADER.size <= length <= MOST_ANSWER:
            self._end(Unavailable("not the size of an answer from the resolver"))
        elif len(self._received) >= LENGTH + length:
            self._end(bytes(self._received[LENGTH : LENGTH + length]))

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answered.called:
            self.answered.errback(Unavailable("the resolver hung up"))

    def _end(self, outcome: bytes | Unavailable) -> None:
        if isinstance(outcome, Unavailable):
            self.answered.errback(outcome)
        else:
            self.answered.callback(outcome)
        self.transport.abortConnection()
