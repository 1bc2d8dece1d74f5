"""The HTTP server: every request is counted, timed and capped before a handler sees it (M-13, M-14).

twisted.web has no limit on bodies and reads them whole before a handler runs, restarts its timeout with every byte that
drips in, and never gives up on a reader that has stopped reading.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from attrs import frozen
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from typing_extensions import override

from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable, Unknown
from rrsd.core.values.networks import network_of
from rrsd.core.values.peers import Certificate
from rrsd.runtime.logs import scrub
from rrsd.web.refusals import headers_of, shape_of
from rrsd.web.router import answer, refuse
from rrsd.web.trail import Notes

STEP = 16384
"""Bytes of a body that must come within one idle time."""
MOST_PATHS = 2048
"""Paths that are remembered as having one reading, or two."""
LINGER = 1 << 20
"""Bytes of a refused body that are read and dropped, so that the client gets to see the refusal."""


@frozen
class Limits:
    """What one site takes. `idle` bounds a request's head as a whole, `stall` a reader who has stopped reading."""

    most_body: int = 16 << 20
    most_bodies: int = 256 << 20
    most_connections: int = 4096
    most_per_address: int = 512
    idle: timedelta = timedelta(seconds=60)
    stall: timedelta = timedelta(seconds=300)


class Channel(HTTPChannel):
    """One connection. The time for a request's head does not start anew with each byte (slowloris)."""

    maxHeaders = 100  # noqa: N815 - twisted.web's name
    totalHeadersSize = 16384  # noqa: N815 - twisted.web's name

    site: "Site"
    peer_host: str
    client_certificate: Certificate | None = None
    _since = 0
    _stalled: IDelayedCall | None = None

    @override
    def resetTimeout(self) -> None:
        """Start the idle time anew only for a body that makes progress."""
        if not self.line_mode and self._since >= STEP:
            self._since = 0
            super().resetTimeout()

    @override
    def dataReceived(self, data: bytes) -> None:
        self._since += len(data)
        super().dataReceived(data)

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        # LineReceiver closes the transport alone, and TLS waits for its producer, this channel, before it closes.
        self._turn_away(b"431 Request Header Fields Too Large")

    @override
    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            # twisted.web takes `identity` for no body, a proxy may not: what follows would be a request (RFC 9112 6.3).
            self._turn_away(b"400 Bad Request")
            return False
        return bool(super().headerReceived(line))

    def _turn_away(self, status: bytes) -> None:
        cast(Any, self.transport).write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        self.loseConnection()

    @override
    def pauseProducing(self) -> None:
        if self._stalled is None:
            self._stalled = self.callLater(self.site.limits.stall.total_seconds(), self.forceAbortClient)
        super().pauseProducing()

    @override
    def resumeProducing(self) -> None:
        self._unstall()
        super().resumeProducing()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._unstall()
        self.site.left(self)
        super().connectionLost(reason)

    def _unstall(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None and stalled.active():
            stalled.cancel()


class CappedRequest(server.Request):
    """One request whose body stays in memory and under the site's limits; beyond them it is refused at once."""

    defaultContentType = None  # noqa: N815 - twisted.web's name
    channel: Channel
    content: BytesIO
    _counted = 0
    _held = 0
    _refused = False

    @override
    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()
        limits = self.channel.site.limits
        if length is not None and length > limits.most_body:
            self._refuse(TooLarge())
        elif length is not None and self.channel.site.buffered + length > limits.most_bodies:
            self._refuse(Unavailable())

    @override
    def handleContentChunk(self, data: bytes) -> None:
        self._counted += len(data)
        if self._refused:
            if self._counted > LINGER:
                self.channel.forceAbortClient()
            return
        site = self.channel.site
        if self._counted > site.limits.most_body:
            self._refuse(TooLarge())
        elif site.buffered + len(data) > site.limits.most_bodies:
            self._refuse(Unavailable())
        else:
            site.buffered += len(data)
            self._held += len(data)
            self.content.write(data)

    @override
    def process(self) -> None:
        if not self._refused:
            super().process()

    @override
    def finish(self) -> None:
        self._give_back()
        super().finish()

    @override
    def connectionLost(self, reason: Any) -> None:
        self._give_back()
        super().connectionLost(reason)

    @override
    def processingFailed(self, reason: Failure) -> Any:
        """A bug in a resource that is no route."""
        self.channel.site.failed(self, "none: look for the path in the log")
        return super().processingFailed(reason)

    def _give_back(self) -> None:
        channel = getattr(self, "channel", None)
        if channel is not None:
            channel.site.buffered -= self._held
            self._held = 0

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in the middle of the request, by hand: twisted.web answers only what it has read whole."""
        refusal = self.channel.site.noted(self, refusal)
        self._give_back()
        self._refused = True
        self._counted = 0
        shape = shape_of(refusal)
        body = answer(self, {"error": shape.error, "reason": refusal.reason}, shape.status)
        self.setHeader("Connection", "close")
        for name, value in headers_of(refusal, shape).items():
            self.setHeader(name, value)
        self.channel.writeHeaders(b"HTTP/1.1", b"%d" % shape.status, b"", self.responseHeaders)
        self.channel.write(body)
        self.channel.loseConnection()


class Site(server.Site):
    """The HTTP side of a listener: caps, time limits, no banner, no access log on disk (roles write one event each).

    With `is_verbose` the log has one debug event for each request.
    """

    protocol = Channel  # type: ignore[assignment]
    requestFactory = CappedRequest  # noqa: N815 - twisted.web's name
    _log = Logger()
    is_verbose = False

    def __init__(
        self, resource: IResource, reactor: IReactorTime, limits: Limits | None = None, notes: Notes | None = None
    ) -> None:
        self._notes = notes
        self.limits = limits or Limits()
        idle = self.limits.idle.total_seconds()
        super().__init__(resource, reactor=reactor, timeout=idle, parsePOSTFormSubmission=False)
        self.buffered = 0
        self._open: set[Channel] = set()
        self._by_address: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A channel, or None when there are too many."""
        host = network_of(getattr(addr, "host", ""))
        if len(self._open) >= self.limits.most_connections or self._by_address[host] >= self.limits.most_per_address:
            self._log.warn("too many connections, one from {host} is turned away", host=host)
            return None
        channel = super().buildProtocol(addr)
        channel.peer_host = host
        self._open.add(channel)
        self._by_address[host] += 1
        return channel

    def noted(self, request: IRequest, refusal: Refusal) -> Refusal:
        """The refusal, once it is written down; that of the audit trail when it cannot be (Z-08)."""
        try:
            if self._notes is not None:
                self._notes.refused(request, refusal)
        except Refusal as other:
            return other
        return refusal

    def failed(self, request: IRequest, reference: str) -> None:
        """Write down that the request ended with a bug; where that is not possible, the log alone has it."""
        if self._notes is not None:
            with suppress(Refusal):
                self._notes.failed(request, reference)

    def left(self, channel: Channel) -> None:
        """A connection has ended."""
        if channel in self._open:
            self._open.discard(channel)
            self._by_address -= Counter([channel.peer_host])

    @override
    def startFactory(self) -> None:
        """Nothing to open: there is no access log."""

    @override
    def stopFactory(self) -> None:
        """Nothing to close."""

    @override
    def log(self, request: Any) -> None:
        """Leave a debug event without query or headers, where somebody reads them: making one costs 20 microseconds."""
        if not self.is_verbose:
            return
        self._log.debug("{method} {path} {status} {length}", method=request.method.decode("latin-1"),
                        path=scrub(request.path.decode("latin-1")), status=request.code,
                        length=request.sentLength)  # fmt: skip

    @override
    def getResourceFor(self, request: Any) -> Any:
        """The resource that answers; a method, a path or a host of two readings is refused, and a header of none."""
        request.responseHeaders.removeHeader(b"server")
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return _Refusing(self.noted(request, Malformed("two readings of the host, or none")))
        if request.method != request.method.upper():
            # The routes compare without case, whoever stands in between does not (RFC 9110 9.1).
            return _Refusing(self.noted(request, Malformed("two readings of the method")))
        if not all(map(_is_text, request.requestHeaders.getAllRawHeaders())):
            return _Refusing(self.noted(request, Malformed("a header field is not UTF-8")))
        if not is_plain(request.path):
            return _Refusing(self.noted(request, Unknown("two readings of the path")))
        return super().getResourceFor(request)


# RFC 9110 7.2: a name whose labels DNS could hold, or an address in brackets, and a port.
_HOST = re.compile(
    rb"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,126}\.?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?"
)


@lru_cache(MOST_PATHS)
def is_plain(path: bytes) -> bool:
    """Whether a path has one reading only: text, no empty or dot segments, nothing encoded that separates (S-18)."""
    lowered = path.lower()
    if not path.startswith(b"/") or any(trick in lowered for trick in (b"%2f", b"%5c", b"%00", b"%25", b"\\", b"//")):
        return False
    if b"%" in path and not _is_text((b"", [unquote_to_bytes(path)])):
        return False
    segments = lowered.replace(b"%2e", b".").split(b"/")
    return b"." not in segments and b".." not in segments and all(0x20 < byte < 0x7F for byte in path)


def _is_text(field: tuple[bytes, Sequence[bytes]]) -> bool:
    """Whether the values of a field are UTF-8, as whoever asks for one by name takes them to be."""
    try:
        return all(value.isascii() or value.decode("utf-8") for value in field[1])
    except UnicodeDecodeError:
        return False


class _Refusing(Resource):
    """Answers with one refusal."""

    isLeaf = True  # noqa: N815 - twisted.web's name

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self._refusal = refusal

    @override
    def render(self, request: Any) -> bytes:
        return refuse(request, self._refusal)
