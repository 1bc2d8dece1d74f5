"""HTTP calls to proven peers: no redirects, no cookies, no proxies, no content codings, every wait with an end.

treq asks the small questions, over an agent of ours: what treq adds on the way out (a gzip offer, cookies) ends with
the call, and what it takes off on the way in (a content coding) is refused before treq sees it. Bodies that stream
come from the same agent without treq, which would cost every pull as much again as the request itself.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

from attrs import field, frozen
from hyperlink import DecodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from rrsd.core.refusals import TooLarge, Unavailable
from rrsd.core.values.calls import Answer, Call
from rrsd.drivers.fetch.bodies import Discard, Keep, Patience, Pouring, Sink
from rrsd.drivers.fetch.endpoints import Network
from rrsd.drivers.fetch.settings import Settings
from rrsd.runtime.secure import HandshakeTimeout

SMALL = 65536
MOST_HEAD = 65536
_WRAPPERS = (RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived)


class Outbound:
    """The way out over one network, with one client certificate or none: connections are kept and shared within it."""

    def __init__(self, network: Network, settings: Settings) -> None:
        self._network = network
        self._timers = network.timers
        self._settings = settings
        self._patience = Patience(network.timers, settings.idle, settings.progress)
        self._pool = HTTPConnectionPool(network.timers.clock, persistent=True)
        self._pool.maxPersistentPerHost = settings.per_host
        self._pool.cachedConnectionTimeout = int(settings.keep.total_seconds())
        self._pool.retryAutomatically = False

    async def ask(self, call: Call, most: int = SMALL, within: timedelta | None = None) -> Answer:
        """The whole small answer, whatever its status.

        Raises:
            Unavailable: name, connection, TLS, time or HTTP failed.
            Forbidden: the guard permits no address of the peer.
            TooLarge: the body is longer than `most`.
        """
        deadline, attempts = self._settings.ask if within is None else within, list["_Attempt"]()

        def late() -> Unavailable:
            return Unavailable("no answer in time", is_nobody=not any(each.is_connected for each in attempts))

        return await self._timers.within(deadline, self._ask(call, most, attempts), late)

    async def _ask(self, call: Call, most: int, attempts: list["_Attempt"]) -> Answer:
        reply = await self._reply(call, _Attempt.by_treq, attempts)
        sink = Keep()
        await reply.pour(sink, most)
        return Answer(reply.status, reply.headers, sink.data)

    async def fetch(self, call: Call) -> "PendingReply":
        """The head of the answer; its body waits until it is poured or given up.

        Raises:
            Unavailable: name, connection, TLS, time or HTTP failed.
            Forbidden: the guard permits no address of the peer.
        """
        return await self._reply(call, _Attempt.by_itself, [])

    async def _reply(
        self, call: Call, begin: "Callable[[_Attempt], Deferred[Any]]", attempts: list["_Attempt"]
    ) -> "PendingReply":
        # The certificate is the one that is presented at this moment: the caller's token may be bound to it (RFC 8705).
        creator = self._network.creator_for(call.peer.origin.host.name)
        while True:
            attempt = _Attempt(self._network, self._pool, call, creator)
            attempts.append(attempt)
            try:
                response = await self._timers.within(
                    self._settings.head, begin(attempt), lambda: Unavailable("no answer in time")
                )
            except _WRAPPERS as problem:
                if attempt.may_be_repeated and not _has(problem, CancelledError):
                    continue
                raise _refusal_of(problem) from None
            return PendingReply(response, attempt, self._patience)

    async def stop(self) -> None:
        """Close the connections that are kept."""
        closed = cast("Deferred[Any]", self._pool.closeCachedConnections())
        try:
            await self._timers.within(timedelta(seconds=2), closed, Unavailable)
        except Unavailable:
            return


@implementer(IAgent, IAgentEndpointFactory, IStreamClientEndpoint)
class _Attempt:
    """One request. It is treq's agent, and the endpoint factory, endpoint and pool of the `Agent` that sends: that is
    how their public interfaces let one learn on which connection a response came."""

    persistent = True

    def __init__(self, network: Network, pool: HTTPConnectionPool, call: Call, creator: Any) -> None:
        self._network = network
        self._pool = pool
        self._call = call
        self._creator = creator
        self._connection: Any = None
        self._fresh = False

    @property
    def may_be_repeated(self) -> bool:
        """Whether the request went out on a kept connection that the peer may have closed at the same moment."""
        return not self._fresh and self.method in ("GET", "HEAD")

    @property
    def is_connected(self) -> bool:
        """Whether there was a connection for it."""
        return self._connection is not None

    @property
    def method(self) -> str:
        """The request's method."""
        return self._call.method

    def by_treq(self) -> Deferred[Any]:
        """Send the request; fires with treq's response."""
        uri = DecodedURL.from_text(f"{self._call.peer.origin}{self._call.target}")
        response: Deferred[Any] = HTTPClient(self).request(
            self.method, uri, headers=self._headers(), data=self._body(), allow_redirects=False, unbuffered=True
        )
        return response

    def by_itself(self) -> Deferred[Any]:
        """Send the request; fires with twisted.web's response."""
        uri = f"{self._call.peer.origin}{self._call.target}".encode("ascii")
        return self.request(self.method.encode("ascii"), uri, self._headers(), self._body())

    def _headers(self) -> Headers:
        headers = Headers()
        for name, value in self._call.headers:
            headers.addRawHeader(name.encode("ascii"), value.encode("latin-1"))
        return headers

    def _body(self) -> "_Whole | None":
        call = self._call
        return _Whole(call.body) if call.body or call.method in ("POST", "PUT", "PATCH") else None

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[Any]:
        """Send what treq made of it, without any content coding (IAgent)."""
        plain = (headers or Headers()).copy()
        plain.setRawHeaders(b"accept-encoding", [b"identity"])
        agent = Agent.usingEndpointFactory(self._network.timers.clock, self, pool=cast(HTTPConnectionPool, self))
        response: Deferred[Any] = agent.request(method, uri, plain, bodyProducer)
        return response.addCallback(self._got_head)

    def endpointForURI(self, uri: object) -> "_Attempt":  # noqa: N802 - IAgentEndpointFactory
        """This very object."""
        return self

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:  # noqa: N802 - HTTPConnectionPool
        """A connection that was kept and shows the same certificate, or a new one by way of `connect`."""
        kept: Any = (key, self._creator)
        return self._pool.getConnection(kept, endpoint).addCallback(self._took)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """A new connection (IStreamClientEndpoint)."""
        self._fresh = True
        origin = self._call.peer.origin
        return Deferred.fromCoroutine(self._network.open(origin.host.name, origin.port, factory, self._creator))

    def close(self) -> None:
        """Abort the connection; the pool will not see it again."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.abortConnection()

    def _took(self, connection: Any) -> Any:
        self._connection = connection
        connection.transport.expect_head(MOST_HEAD)
        return connection

    def _got_head(self, response: Any) -> Any:
        self._connection.transport.head_complete()
        codings = response.headers.getRawHeaders(b"content-encoding", [])
        if any(coding.strip().lower() != b"identity" for coding in codings):
            self.close()
            raise Unavailable("content is encoded")
        return response


class PendingReply:
    """An answer whose body has not been read."""

    def __init__(self, response: Any, attempt: _Attempt, patience: Patience) -> None:
        self.status: int = response.code
        self.headers: Mapping[str, str] = _headers_of(response, attempt.method)
        self._response = response
        self._attempt = attempt
        self._patience = patience
        self._pouring: Pouring | None = None

    @property
    def held(self) -> int:
        """How many bytes of the body have come and were not given to its sink yet."""
        return self._pouring.held if self._pouring is not None else 0

    async def pour(self, sink: Sink, most: int) -> int:
        """Send the body into `sink`; how many bytes.

        Raises:
            Unavailable: it stands still, breaks off, is shorter than announced or of a length that nothing tells.
            TooLarge: it is longer than `most`; the connection is aborted. What the sink refuses passes through.
        """
        length = self._response.length
        if length is not UNKNOWN_LENGTH and length > most:
            await self.abort()
            raise TooLarge("body")
        pouring = self._pouring = Pouring(sink, most, self._patience, self._attempt.close)
        self._response.deliverBody(pouring)
        return await pouring.ended

    async def abort(self) -> None:
        """Give the rest up and close the connection, unless the body was complete already; `pour` refuses then."""
        if self._pouring is not None:
            self._pouring.give_up()
            return
        pouring = Pouring(Discard(), 0, self._patience, self._attempt.close)
        pouring.ended.addErrback(lambda _: None)
        self._response.deliverBody(pouring)
        pouring.ended.cancel()


@implementer(IBodyProducer)
@frozen
class _Whole:
    """A request body that is there already."""

    body: bytes = field(repr=False)

    @property
    def length(self) -> int:
        return len(self.body)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802 - IBodyProducer
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        pass

    def resumeProducing(self) -> None:  # noqa: N802
        pass

    def stopProducing(self) -> None:  # noqa: N802
        pass


def _headers_of(response: Any, method: str) -> dict[str, str]:
    found = {
        name.decode("latin-1").lower(): ", ".join(value.decode("latin-1") for value in values)
        for name, values in response.headers.getAllRawHeaders()
    }
    # There is none; the decoder that treq puts in between leaves an empty field.
    found.pop("content-encoding", None)
    if method != "HEAD" and response.length is not UNKNOWN_LENGTH:
        found["content-length"] = str(response.length)
    return found


def _has(problem: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether the problem is of one of these kinds, or was caused by one."""
    if isinstance(problem, kinds):
        return True
    reasons = getattr(problem, "reasons", None) or ()
    return any(isinstance(reason, Failure) and _has(cast(BaseException, reason.value), *kinds) for reason in reasons)


def _refusal_of(problem: BaseException) -> BaseException:
    """The short fact that a failed request comes down to."""
    if _has(problem, CancelledError):
        return CancelledError()
    if _has(problem, HandshakeTimeout):
        return Unavailable("tls handshake timed out", is_nobody=True)
    if _has(problem, SSL.Error):
        return Unavailable("tls", is_nobody=True)
    if _has(problem, ConnectionDone, ConnectionLost, ConnectionAborted):
        return Unavailable("connection lost")
    return Unavailable("not HTTP")
