"""A browser without TLS: text in, text out, against the real site in memory."""

import json
from typing import Any

from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from rrsd.web.site import Limits, Site
from rrsd.web.trail import Notes


class Transport(StringTransport):
    """The server's end of a connection."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "20.0.0.9", 5555))

        self.cut = False

    def abortConnection(self) -> None:  # noqa: N802
        """Remember it."""
        self.cut = True
        super().abortConnection()

    def resumeProducing(self) -> None:  # noqa: N802
        """As a socket: no complaint after the end."""
        if not self.disconnecting:
            super().resumeProducing()


class Page:
    """What came back on one connection so far."""

    def __init__(self, channel: Any, transport: StringTransport) -> None:
        self.channel = channel
        self.transport: Any = transport
        self.refresh()

    def refresh(self) -> None:
        """Read what has come since."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if lines[0] else 0
        self.headers = [line.partition(": ")[::2] for line in lines[1:]]
        self.body = _unchunked(body) if self.header("transfer-encoding") == "chunked" else body

    def header(self, name: str) -> str:
        """A header field's value, "" when there is none."""
        return ", ".join(value for key, value in self.headers if key.lower() == name)

    @property
    def document(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.body)

    @property
    def cut(self) -> bool:
        """Whether the server aborted the connection."""
        return bool(self.transport.cut)

    def leave(self) -> None:
        """The client goes away."""
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.channel.connectionLost(Failure(ConnectionLost()))


class Browser:
    """Sends requests to routes or to an object that has them."""

    def __init__(self, app: Any, limits: Limits | None = None, notes: Notes | None = None) -> None:
        self.clock = Clock()
        routes: Klein = app if isinstance(app, Klein) else app.routes
        self.app = app
        self.site = Site(routes.resource(), self.clock, limits, notes)

    def connect(self) -> tuple[Any, Transport]:
        """A new connection."""
        transport = Transport()
        channel = self.site.buildProtocol(transport.getPeer())
        if channel is not None:
            channel.makeConnection(transport)
        return channel, transport

    def get(self, path: str) -> Page:
        """A plain request."""
        return self.send("GET", path)

    def send(self, method: str, path: str, headers: tuple[str, ...] = (), body: bytes = b"") -> Page:
        """One request with these header lines, on a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", "Host: foo.test", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def raw(self, data: bytes) -> Page:
        """These very bytes."""
        channel, transport = self.connect()
        channel.dataReceived(data)
        return Page(channel, transport)


def _unchunked(data: bytes) -> bytes:
    found = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        found += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return found
