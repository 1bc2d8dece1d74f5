"""Mail servers that do what they are told, however wrong, and a message to give them."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.core.values.envelopes import Envelope, ForwardPath, ReversePath
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.timers import Timers
from tests.support.internet import Internet

ALICE, BOB, CAROL = "alice@foo.test", "bob@bar.test", "carol@bar.test"
PORT = 25
NORMAL = {"": "220 mx", "EHLO": "250-mx\r\n250 PIPELINING", "LHLO": "250-mx\r\n250 PIPELINING", "DATA": "354 go on",
          ".": "250 kept"}  # fmt: skip
Answer = str | Callable[["Script"], None] | None


def envelope(*recipients: str) -> Envelope:
    """From alice to them, or to bob."""
    return Envelope("foo.test", ReversePath(ALICE), tuple(ForwardPath(each) for each in recipients or (BOB,)))


async def blocks(*data: bytes) -> AsyncIterator[bytes]:
    """A message."""
    for block in data:
        yield block


@define(eq=False, slots=False)
class Script(Protocol):
    """One connection. `answers` by verb: text, something to do, or None for silence; lists are used up one by one.

    "" is the greeting, "." the end of the message, "block" whatever comes of a message.
    """

    answers: dict[str, Any]
    said: list[str] = field(factory=list)
    got: bytearray = field(factory=bytearray)
    in_data: bool = False
    is_lost: bool = False
    rest: bytes = b""

    @override
    def connectionMade(self) -> None:
        self.do("")

    @override
    def dataReceived(self, data: bytes) -> None:
        self.rest += data
        while self.rest and self._take():
            pass

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True

    def _take(self) -> bool:
        if self.in_data:
            self.got += self.rest
            self.rest = b""
            self.do("block", silent=True)
            if self.got.endswith(b"\r\n.\r\n") or self.got == b".\r\n":
                self.in_data = False
                self.do(".")
            return False
        line, found, rest = self.rest.partition(b"\r\n")
        if found:
            self.rest = rest
            self.said.append(line.decode())
            self.do(line.partition(b" ")[0].decode())
        return bool(found)

    def do(self, what: str, *, silent: bool = False) -> None:
        """Answer."""
        answer = self.answers.get(what, None if silent or what == "QUIT" else "250 ok")
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer(self)
        elif answer is not None:
            self.say(answer)
            self.in_data = what == "DATA" and answer.startswith("354")

    def say(self, *lines: str) -> None:
        """Say it, whatever was asked."""
        self.transport.write("".join(f"{line}\r\n" for line in lines).encode())  # type: ignore[union-attr]

    def say_some(self, most: int, what: str) -> None:
        """Say as much of it as `most` bytes allow, and close where that is not all."""
        data = f"{what}\r\n".encode()
        self.transport.write(data[:most])  # type: ignore[union-attr]
        if most < len(data):
            self.hang_up()

    def hang_up(self) -> None:
        """Close."""
        self.transport.loseConnection()  # type: ignore[union-attr]

    def stop_reading(self) -> None:
        """Never take another byte."""
        self.transport.pauseProducing()  # type: ignore[union-attr]


@define(eq=False)
class Server(Factory):
    """Every connection to it, in order."""

    answers: dict[str, Any]
    scripts: list[Script] = field(factory=list)

    @override
    def buildProtocol(self, addr: object) -> Script:
        self.scripts.append(Script(self.answers))
        return self.scripts[-1]

    @property
    def said(self) -> list[str]:
        """The commands of all connections."""
        return [line for script in self.scripts for line in script.said]


@define(eq=False)
class Scene:
    """A relay and the server that it speaks to, on an internet of their own."""

    internet: Internet
    server: Server
    relay: Relay

    @classmethod
    def of(cls, answers: dict[str, Answer | list[Answer]], *, is_lmtp: bool = False, **waits: Any) -> "Scene":
        """A server that answers like that and otherwise as it should."""
        internet = Internet(Clock())
        us = internet.host("us.test", "20.0.0.1").reactor
        internet.host("mx.test", "20.0.0.2")
        server = Server({**NORMAL, **answers})
        internet.listen("mx.test", PORT, server)
        endpoint = TCP4ClientEndpoint(us, "20.0.0.2", PORT)
        relay = Relay(endpoint, "us.test", Timers(internet.clock), evolve(Settings(), **waits), is_lmtp)
        return cls(internet, server, relay)

    def start(self, message: AsyncIterator[bytes] | Iterable[bytes], *recipients: str) -> Deferred[Any]:
        """Send a message as far as that goes without time passing."""
        source = message if isinstance(message, AsyncIterator) else blocks(*message)
        return self.internet.run(self.relay.send(envelope(*recipients), source))

    @property
    def last(self) -> Script:
        """The newest connection."""
        return self.server.scripts[-1]
