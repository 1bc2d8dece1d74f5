"""What is written promptly arrives as it was written, in order, whatever the socket takes at a time."""

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from typing_extensions import override

from rrsd.runtime.promptly import write_promptly

PIECES = [b"a", b"b" * 3_000_000, b"c", b"d" * 700, b"e" * 1_000_000, b"f"]


class Speaker(Protocol):
    """Says all of it, and something by the ordinary way in between."""

    @override
    def connectionMade(self) -> None:
        for number, piece in enumerate(PIECES):
            if number % 3 == 2:
                cast(Any, self.transport).write(piece)
            else:
                write_promptly(self.transport, piece)
        cast(Any, self.transport).loseConnection()


class Listener(Protocol):
    """Hears it out."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.done: Deferred[bytes] = Deferred()

    @override
    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    @override
    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.done.callback(bytes(self.heard))


class Promptly(TestCase):
    """Over TCP."""

    async def test_order(self) -> None:
        """Every byte once."""
        from twisted.internet import reactor as installed

        reactor = cast(Any, installed)
        port = reactor.listenTCP(0, Factory.forProtocol(Speaker), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        listener = Listener()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), listener)
        self.assertEqual(await listener.done, b"".join(PIECES))

    async def test_gone(self) -> None:
        """Who has left makes no error here."""
        from twisted.internet import reactor as installed

        reactor = cast(Any, installed)
        gone: Deferred[None] = Deferred()

        class Late(Protocol):
            @override
            def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
                write_promptly(self.transport, b"x")
                gone.callback(None)

        port = reactor.listenTCP(0, Factory.forProtocol(Late), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Protocol())
        cast(Any, client.transport).abortConnection()
        await gone
