"""A caller of routes in memory: one connection, requests as bytes, responses taken apart."""

import json
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from rrsd.core.values.peers import Certificate
from rrsd.web.site import Site


@frozen
class Response:
    """One response as it came over the wire; `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The document in the body."""
        return json.loads(self.body)


@define(eq=False)
class Caller:
    """One kept connection to `routes`, with or without a client certificate.

    `pump` lets everything happen that the response waits for.
    """

    routes: Klein
    certificate: Certificate | None = None
    host: str = "192.0.2.1"
    pump: Callable[[], None] = lambda: None
    transport: StringTransport = field(factory=StringTransport, init=False)
    _channel: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        site = Site(self.routes.resource(), Clock())
        address = IPv4Address("TCP", self.host, 4321)
        self.transport = StringTransport(peerAddress=address)
        self._channel = site.buildProtocol(address)
        self._channel.makeConnection(self.transport)
        # What `certificate_of` keeps after it has asked TLS once.
        self._channel.client_certificate = self.certificate

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        """The response to one request; underscores in header names stand for hyphens."""
        lines = [f"{method} {target} HTTP/1.1", "Host: foo.test", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.transport.clear()
        self._channel.dataReceived("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.pump()
        return _parse(self.transport.value())

    def send(self, method: str, target: str, document: Any, **headers: str) -> Response:
        """The response to a request with a JSON document."""
        return self.ask(method, target, json.dumps(document).encode(), Content_Type="application/json", **headers)


def _parse(data: bytes) -> Response:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        body = _join_chunks(body)
    return Response(int(first.split(" ")[1]), headers, body)


def _join_chunks(data: bytes) -> bytes:
    joined = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        joined += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return joined
