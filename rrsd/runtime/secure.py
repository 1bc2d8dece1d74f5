"""TLS over any transport, tuned for large bodies: as Twisted's own, but few large pieces instead of many small ones.

OpenSSL gives out one record of at most 16 KiB at a time. Here the records of one socket read reach the wrapped protocol
as one piece, and one large write becomes one call into OpenSSL and one into the socket's buffer.
"""

from collections.abc import Callable
from typing import Any, cast

from OpenSSL.SSL import Error, WantReadError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

BLOCK = 256 * 1024
"""Bytes of one socket read, and what may wait for the socket before a producer is paused."""


class HandshakeTimeout(Exception):
    """The other end did not finish the TLS handshake in time (M-13)."""


@implementer(IHandshakeListener)
class Gathered(Protocol):
    """Stands between TLS and the wrapped protocol: joins what comes between two `flush` calls."""

    def __init__(self, inner: IProtocol, completed: Callable[[], None]) -> None:
        self.inner = inner
        self._completed = completed
        self._pieces: list[bytes] = []
        self.head_left: int | None = None

    @override
    def connectionMade(self) -> None:
        self.inner.makeConnection(cast(Any, self.transport))

    def handshakeCompleted(self) -> None:  # noqa: N802 - IHandshakeListener
        """TLS is up."""
        self._completed()
        if IHandshakeListener.providedBy(self.inner):
            self.inner.handshakeCompleted()

    @override
    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)

    def flush(self) -> None:
        """Hand over what has come."""
        pieces = self._pieces
        if not pieces:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        if self.head_left is not None:
            self.head_left -= len(data)
        self.inner.dataReceived(data)
        if self.head_left is not None and self.head_left < 0:
            cast(Any, self.transport).abortConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.flush()
        self.inner.connectionLost(reason)


@implementer(ISSLTransport)
class SecureTransport(TLSMemoryBIOProtocol):
    """The transport that the wrapped protocol sees."""

    factory: "SecureFactory"
    _ready = False
    _deadline: IDelayedCall | None = None

    def __init__(self, factory: "SecureFactory", inner: IProtocol) -> None:
        self.gathered = Gathered(inner, self._handshake_done)
        super().__init__(factory, self.gathered)

    @override
    def makeConnection(self, transport: Any) -> None:
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        if hasattr(transport, "bufferSize"):
            transport.bufferSize = BLOCK
            transport.SEND_LIMIT = BLOCK
        self._deadline = self.factory.clock.callLater(self.factory.handshake_timeout, self._handshake_late)
        super().makeConnection(transport)

    @override
    def dataReceived(self, bytes: bytes) -> None:
        super().dataReceived(bytes)
        self._ready = self._deadline is None
        self.gathered.flush()

    @override
    def write(self, bytes: bytes) -> None:
        if not self._ready or self.disconnecting or not self.connected:
            super().write(bytes)
            return
        connection = self.getHandle()
        left = memoryview(bytes)
        try:
            while left:
                left = left[connection.send(left) :]
            self._pass_on(connection)
        except Error:
            self.abortConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._handshake_done()
        super().connectionLost(reason)

    def expect_head(self, most: int) -> None:
        """Abort when more than `most` bytes come before `head_complete` (F-09: endless headers)."""
        self.gathered.head_left = most

    def head_complete(self) -> None:
        """From here on any number of bytes may come."""
        self.gathered.head_left = None

    def _pass_on(self, connection: Any) -> None:
        """Move what OpenSSL has encrypted to the transport below."""
        below = cast(Any, self.transport)
        while True:
            try:
                below.write(connection.bio_read(2 * BLOCK))
            except WantReadError:
                return

    def _handshake_done(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _handshake_late(self) -> None:
        self.failVerification(Failure(HandshakeTimeout()))


class SecureFactory(TLSMemoryBIOFactory):
    """Puts a `SecureTransport` around each protocol that `inner` builds; one that it does not build is refused.

    `creator` is an `IOpenSSLServerConnectionCreator`, or the client's kind when `is_client`.
    """

    def __init__(
        self,
        creator: Any,
        inner: IProtocolFactory,
        clock: IReactorTime,
        *,
        is_client: bool = False,
        handshake_timeout: float = 15.0,
    ) -> None:
        super().__init__(creator, is_client, inner, clock=clock)
        self.clock = clock
        self.handshake_timeout = handshake_timeout

    @override
    def buildProtocol(self, addr: IAddress | None) -> SecureTransport:
        inner = self.wrappedFactory.buildProtocol(addr)
        if inner is None:
            return cast(SecureTransport, None)
        return SecureTransport(self, inner)
