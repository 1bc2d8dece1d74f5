"""The ends of connections over the memory internet."""

from typing import Any

from attrs import define
from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    UserError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Wire:
    """One end of a connection. What is written reaches the other end when the internet is pumped."""

    _log = Logger()

    def __init__(self, here: IPv4Address, there: IPv4Address) -> None:
        self.bufferSize = 65536
        self.SEND_LIMIT = 65536
        self.disconnecting = False
        self.connected = True
        self.disconnected = False
        self.protocol: Any = None
        self.other: Wire
        self.out = bytearray()
        self.paused = False
        self.producer: Any = None
        self._here, self._there = here, there
        self._producer_paused = False
        self._streaming = True
        self._lost: BaseException | None = None

    def write(self, data: bytes) -> None:
        if not self.connected or self._lost is not None:
            return
        self.out += data
        if self.producer is not None and len(self.out) > self.bufferSize and not self._producer_paused:
            self._producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, iovec: Any) -> None:  # noqa: N802
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:  # noqa: N802
        self.disconnecting = True
        self.paused = True

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.disconnecting = True

    def abortConnection(self) -> None:  # noqa: N802
        self.out.clear()
        if self._lost is None:
            self._lost = ConnectionAborted()
        if self.other._lost is None:
            self.other._lost = ConnectionLost()

    def cut(self) -> None:
        """Break the connection in both directions, as a dead link does."""
        for end in (self, self.other):
            end.out.clear()
            end._lost = end._lost or ConnectionLost()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        self.producer, self._streaming = producer, streaming
        self._producer_paused = False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def pauseProducing(self) -> None:  # noqa: N802
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused = False

    def stopProducing(self) -> None:  # noqa: N802
        self.loseConnection()

    def getHost(self) -> IPv4Address:  # noqa: N802
        return self._here

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return self._there

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        pass

    def step(self, segment: int) -> bool:
        """Move one segment, or end the connection if it has to; whether anything happened."""
        if self.disconnected:
            return False
        if self._lost is not None:
            self._end(self._lost)
            return True
        if self.out and not self.other.paused and not self.other.disconnected:
            piece = bytes(self.out[:segment])
            del self.out[:segment]
            self.other.deliver(piece)
            self._drained()
            return True
        if self.disconnecting and not self.out:
            self.other._lost = self.other._lost or ConnectionDone()
            self._end(ConnectionDone())
            return True
        return False

    def deliver(self, data: bytes) -> None:
        """Give `data` to the protocol at this end; what it raises ends the connection, as in a real reactor."""
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._log.failure("a protocol failed")
            self.abortConnection()

    def _drained(self) -> None:
        if self.out or self.producer is None:
            return
        if self._producer_paused or not self._streaming:
            self._producer_paused = False
            self.producer.resumeProducing()

    def _end(self, reason: BaseException) -> None:
        self.disconnected = True
        self.connected = False
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))


@define(eq=False)
class Connector:
    """A connection that is being made."""

    factory: Any
    address: str
    port: int
    over: bool = False
    timeout: Any = None

    def getDestination(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.address, self.port)

    def stopConnecting(self) -> None:  # noqa: N802
        self.fail(UserError())

    def fail(self, reason: Exception) -> None:
        """There will be no connection."""
        if not self.over:
            self.end()
            self.factory.clientConnectionFailed(self, Failure(reason))

    def end(self) -> None:
        """It is decided."""
        self.over = True
        if self.timeout is not None and self.timeout.active():
            self.timeout.cancel()
