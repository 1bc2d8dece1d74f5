"""Whoever calls a domain of `tests.support.world` from outside: bare TLS lines, requests as bytes, forged tokens.

line = Line.to(world, "foo.test", credential=agent_of(bar))
response = line.ask("GET", "/.well-known/ni/sha-256/…", Authorization="Bearer …")
"""

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from attrs import define, field, frozen
from OpenSSL import SSL
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from rrsd.core.refusals import ALL
from rrsd.core.wire.fields import ni_path
from rrsd.drivers.tls.credentials import Credential
from tests.support.forgery import agent_of
from tests.support.world import MemoryDomain, World

FORM = "application/x-www-form-urlencoded"
_SOURCES = count(1)


def fresh_source() -> str:
    """A network address that nobody called from before, so that limits by address do not mix the cases."""
    number = next(_SOURCES)
    return f"45.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@frozen
class Response:
    """One response as it came over the wire; `headers` by lower-case name, repeated ones joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The document in the body."""
        return json.loads(self.body)


@define(eq=False)
class _Wire(Protocol):
    """A TLS client without opinions, or plain bytes where there is no `tls`."""

    tls: SSL.Connection | None
    received: bytearray = field(factory=bytearray)
    lost: bool = False
    up: bool = False
    broken: bool = False
    _pending: list[bytes] = field(factory=list)

    @override
    def connectionMade(self) -> None:
        self.up = self.tls is None
        self.turn()

    @override
    def dataReceived(self, data: bytes) -> None:
        if self.tls is None:
            self.received += data
            return
        self.tls.bio_write(data)
        self.turn()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def send(self, data: bytes) -> None:
        """Now, or as soon as TLS is up."""
        self._pending.append(data)
        self.turn()

    def turn(self) -> None:
        """Let OpenSSL take what has come, and send what it made of it."""
        try:
            self._turn()
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.lost = True
        except SSL.Error:
            self.broken = True
        self._flush()

    def _turn(self) -> None:
        if self.tls is not None and not self.up:
            self.tls.do_handshake()
            self.up = True
        while self.up and self._pending:
            data = self._pending.pop(0)
            if self.tls is not None:
                self.tls.sendall(data)
            else:
                self.transport.write(data)  # type: ignore[union-attr]
        while self.tls is not None:
            self.received += self.tls.recv(65536)

    def _flush(self) -> None:
        while self.tls is not None:
            try:
                self.transport.write(self.tls.bio_read(65536))  # type: ignore[union-attr]
            except SSL.WantReadError:
                return


def client_context(
    credential: Credential | None = None, alpn: tuple[bytes, ...] = (b"http/1.1",), maximum: int | None = None
) -> SSL.Context:
    """TLS that believes any server."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if maximum is not None:
        context.set_max_proto_version(maximum)
    if alpn:
        context.set_alpn_protos(list(alpn))
    if credential is not None:
        credential.use_in(context)
    return context


@define(eq=False)
class Line:
    """One connection of an attacker."""

    world: World
    host: str
    wire: _Wire
    _end: Any
    _taken: int = 0

    @classmethod
    def to(
        cls,
        world: World,
        host: str,
        *,
        credential: Credential | None = None,
        context: SSL.Context | None = None,
        source: str | None = None,
    ) -> "Line":
        """A new one, over TLS with that certificate or context."""
        return cls.over(world, host, SSL.Connection(context or client_context(credential), None), source)

    @classmethod
    def over(cls, world: World, host: str, tls: SSL.Connection | None, source: str | None = None) -> "Line":
        """A new one over that TLS connection, or in the clear."""
        if tls is not None:
            tls.set_tlsext_host_name(host.encode())
            tls.set_connect_state()
        wire = _Wire(tls)
        address = world.internet.names.table[host][0]  # type: ignore[index]
        end = world.internet.connect(source or fresh_source(), address, 443, wire)
        world.internet.pump()
        return cls(world, host, wire, end)

    @property
    def closed(self) -> bool:
        """Whether the other side is gone, however."""
        return self.wire.lost or self.wire.broken

    def send(self, data: bytes) -> None:
        """Bytes, as they are."""
        self.wire.send(data)
        self.world.internet.pump()

    def close(self) -> None:
        """Leave without a word."""
        if self._end is not None:
            self._end.abortConnection()
            self.world.internet.pump()

    @property
    def received(self) -> bytes:
        """What came since the last response was taken."""
        return bytes(self.wire.received[self._taken :])

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        """The response to one ordinary request; underscores in names stand for hyphens."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.response(head=method == "HEAD")

    def form(self, target: str, fields: Mapping[str, str] | list[tuple[str, str]], **headers: str) -> Response:
        """The response to a form."""
        return self.ask("POST", target, urlencode(fields).encode(), Content_Type=FORM, **headers)

    def response(self, *, head: bool = False) -> Response:
        """The next response; AssertionError while there is none."""
        response, length = _parse(self.received, head=head)
        self._taken += length
        return response

    def responses(self) -> list[Response]:
        """All that came."""
        found = []
        while self.received.startswith(b"HTTP/"):
            found.append(self.response())
        return found


def _parse(data: bytes, *, head: bool) -> tuple[Response, int]:
    top, empty, rest = data.partition(b"\r\n\r\n")
    if not empty:
        raise AssertionError(f"no response yet: {data[:200]!r}")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    status = int(first.split(" ")[1])
    if head or status in (204, 304) or status < 200:
        body, used = b"", 0
    elif headers.get("transfer-encoding") == "chunked":
        body, used = _chunks(rest)
    else:
        used = int(headers.get("content-length", len(rest)))
        body = rest[:used]
    return Response(status, headers, body), len(top) + 4 + used


def _chunks(data: bytes) -> tuple[bytes, int]:
    joined, at = b"", 0
    while True:
        line, found, _ = data[at:].partition(b"\r\n")
        if not found:
            return joined, len(data)
        size = int(line, 16)
        start = at + len(line) + 2
        joined += data[start : start + size]
        at = start + size + 2
        if not size:
            return joined, at


REASONS = frozenset(refusal.reason for refusal in ALL)


class AttackCase(SynchronousTestCase):
    """foo.test serves alice's resources, bar.test has bob; `require_refused` is what every refusal has to be."""

    DATA = b"what alice sends" * 100

    def setUp(self) -> None:
        """Two domains that never met, and a grant for bob."""
        self.world = World(Path(self.mktemp()))
        self.foo, self.bar = self.world.domain("foo.test"), self.world.domain("bar.test")
        for domain, *users in ((self.foo, "alice"), (self.bar, "bob", "carol")):
            for user in users:
                domain.add_user(user)
        self.digest = self.foo.grant(self.DATA, "bob@bar.test")
        self.target = ni_path(self.digest)
        self.logged: list[str] = []
        hear = cast(ILogObserver, self._hear)
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def _hear(self, event: LogEvent) -> None:
        self.logged.append(f"{formatEvent(event)} {event.get('log_failure', '')}")

    def line(self, domain: MemoryDomain, **options: Any) -> Line:
        """A connection to the domain."""
        return Line.to(self.world, domain.name, **options)

    def agent_line(self, domain: MemoryDomain, of: MemoryDomain | None = None) -> Line:
        """A connection with the client certificate of bar.test's agent."""
        return self.line(domain, credential=agent_of(of or self.bar))

    def exchange(self, form: Mapping[str, str], line: Line | None = None) -> Response:
        """What bar.test's token endpoint says to its agent."""
        return (line or self.agent_line(self.bar)).form("/token", form)

    def require_refused(
        self, domain: MemoryDomain, response: Response, status: int, error: str, reason: str, *secrets: str
    ) -> None:
        """The status and OAuth error, JSON and nothing more, one audit line with the reason, no secret anywhere."""
        self.assertEqual((response.status, response.json().get("error")), (status, error), response)
        self.assertEqual(response.json(), {"error": error, "reason": reason})
        self.assertIn(reason, REASONS)
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertEqual(response.headers["cache-control"], "no-store")
        if status == 401:
            self.assertTrue(response.headers["www-authenticate"].startswith("Bearer "), response.headers)
        lines = [line for line in domain.trail.lines if line["outcome"] != "granted"]
        self.assertEqual(len(lines), 1, f"one line, not {lines}")
        self.assertEqual(lines[0]["refusal"], reason)
        self.require_silent(domain, response, *secrets)
        domain.trail.lines.clear()

    def require_silent(self, domain: MemoryDomain, response: Response, *secrets: str) -> None:
        """No secret in the trail, the log or the response."""
        told = [str(domain.trail.lines), str(response), *self.logged]
        for secret in secrets:
            pieces = [piece for piece in (secret, *secret.split(".")) if len(piece) > 30]
            self.assertFalse([text for text in told if any(piece in text for piece in pieces)], "a secret was told")
        self.logged.clear()
