"""An API that the users of every domain may be let into: each request is proved before a handler sees it.

The same order as at a Resource Server (protocol 4): shape, audience, times, the certificate of this connection, the
actor, the issuer's signature, the ownership of the client's name, and then the API's own policy (RFC 6750, RFC 8693,
RFC 8705 3, RFC 9728).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import wraps
from inspect import isawaitable
from typing import Any, Protocol, cast

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request
from typing_extensions import override
from zope.interface import Interface, implementer

from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooLarge, Unproven
from rrsd.core.values.addresses import Address, ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, ClientProof, Issuer, Origin, Strength
from rrsd.core.values.tokens import VerifiedDelegation
from rrsd.core.wire.metadata import ResourceMetadata, render_resource_metadata
from rrsd.runtime.logs import scrub
from rrsd.web.bearer import bearer_of
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.router import abort, answer, refuse
from rrsd.web.trail import name_of

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_log = Logger()


class ICaller(Interface):
    """What a proved request adapts to."""


@implementer(ICaller)
@frozen
class Caller:
    """Who is at the other end of a request, proved: `client` acts for `user` over this very connection.

    `issuer` speaks for the user's domain and said so; `method` and `strength` tell how it was proved that the
    connection's key is the client's; after `expires` the same delegation will not be taken any more.
    """

    user: Address
    client: ClientIdentifier
    issuer: Issuer
    method: str
    strength: Strength
    expires: Instant


Policy = Callable[[Caller, IRequest], bool | Awaitable[bool]]
"""The API's own word: True and nothing else lets the caller in; it may refuse by raising a refusal too."""


class Proved(Protocol):
    """A delegation that holds over one certificate."""

    @property
    def delegation(self) -> VerifiedDelegation: ...

    @property
    def client(self) -> ClientProof: ...

    @property
    def evidence(self) -> str: ...


class Prover(Protocol):
    """Whether a delegation is what it claims."""

    async def prove(self, token: str, certificate: Certificate | None, peer: str) -> Proved:
        """What it proves; refuses with Unproven, Expired, TooMany or Unavailable."""
        ...


class Gate(Protocol):
    """How many may be inside at a time."""

    def enter(self, peer: str) -> AbstractContextManager[None]:
        """Be inside while the block runs; refuses with TooMany or Unavailable."""
        ...


class Trace(Protocol):
    """What a decision has learned so far."""

    who: str
    subject: str
    evidence: str
    policy: str


class Record(Protocol):
    """The audit trail."""

    def decision(self, what: str, peer: str, resource: str = "") -> AbstractContextManager[Trace]:
        """Append one line when the block ends; refuses with Unavailable when it cannot be written."""
        ...


@frozen
class Protection:
    """Lets proved callers through to the handlers of one API, whose origin is the audience of their delegations.

    `policy` is asked about every request, before the policy of the route. A client that only unauthenticated DNS proves
    is let in where `weak` says so: whoever can forge an answer can forge that proof.
    """

    origin: Origin
    prover: Prover
    gate: Gate
    record: Record
    policy: Policy | None = None
    weak: bool = False

    @property
    def resource_metadata(self) -> str:
        """Where the RFC 9728 document is that every challenge names."""
        return f"{self.origin}{WELL_KNOWN}"

    def document(self) -> dict[str, Any]:
        """The RFC 9728 document. It names no authorization server: every domain brings its own."""
        return render_resource_metadata(ResourceMetadata(self.origin, ()))

    async def admit(self, request: IRequest, *policies: Policy | None) -> Caller:
        """Who sent the request. Its line is in the audit trail when this returns.

        Raises:
            Unauthenticated, Malformed: it brings no delegation, or two, or brings it in another way.
            Unproven, Expired, TooMany, Unavailable: it proves nothing here and now.
            Forbidden: a policy does not want the caller.
        """
        peer = address_of(request)
        with self.record.decision("call", peer, name_of(request)) as trace:
            proved = await self.prover.prove(bearer_of(request), _certificate_of(request), peer)
            caller = _caller(proved)
            trace.who, trace.subject, trace.evidence = str(caller.client), str(caller.user), proved.evidence
            _require_whole(proved.delegation)
            if caller.strength is Strength.WEAK and not self.weak:
                raise Forbidden("only unauthenticated DNS proves the client")
            for policy in (self.policy, *policies):
                if policy is not None:
                    trace.policy = _joined(trace.policy, _word_for(policy))
                    await _permit(policy, caller, request)
        return caller

    def protected(self, handler: Callable[..., Any] | None = None, *, policy: Policy | None = None) -> Any:
        """A decorator for Klein's handlers, below `route`: the handler gets the `Caller` after the request.

        What it raises of `rrsd.core.refusals` is answered by the same table as what is refused before it.
        """
        if handler is None:
            return lambda found: self.protected(found, policy=policy)
        called = handler

        @wraps(called)
        async def guarded(*args: Any, **more: Any) -> Any:
            at = 0 if IRequest.providedBy(args[0]) else 1  # a method's first argument is its object
            request = args[at]
            try:
                with self.gate.enter(address_of(request)):
                    caller = await self.admit(request, policy)
                    return await _whatever(called(*args[: at + 1], caller, *args[at + 1 :], **more))
            except Refusal as refusal:
                return self.refuse(request, refusal)

        return guarded

    def refuse(self, request: IRequest, refusal: Refusal) -> bytes:
        """The answer that a refusal is; one that comes after the answer's begin cuts it off."""
        if cast(Request, request).startedWriting:
            abort(request)
            return b""
        return refuse(request, refusal, self.resource_metadata)


class ProtectedResource(Resource):
    """Any tree of resources behind a protection; `caller_of(request)` says who asks."""

    isLeaf = True  # noqa: N815 - twisted.web's name

    def __init__(self, inner: IResource, protection: Protection, policy: Policy | None = None) -> None:
        super().__init__()
        self._inner = inner
        self._protection = protection
        self._policy = policy

    @override
    def render(self, request: Any) -> int:
        done = Deferred.fromCoroutine(self._render(request))
        request.notifyFinish().addErrback(lambda _: done.cancel())
        done.addErrback(_broken, request)
        return NOT_DONE_YET

    async def _render(self, request: Any) -> None:
        try:
            with self._protection.gate.enter(address_of(request)):
                caller = await self._protection.admit(request, self._policy)
                request.setComponent(ICaller, caller)
                finished: Deferred[None] = request.notifyFinish().addErrback(lambda _: None)
                request.render(getChildForRequest(self._inner, request))
                await finished
        except Refusal as refusal:
            request.write(self._protection.refuse(request, refusal))
            request.finish()


class Published(Resource):
    """An API with the document that its challenges point to."""

    isLeaf = True  # noqa: N815 - twisted.web's name

    def __init__(self, inner: IResource, protection: Protection) -> None:
        super().__init__()
        self._inner = inner
        self._protection = protection

    @override
    def render(self, request: Any) -> Any:
        if request.path == WELL_KNOWN.encode() and request.method in (b"GET", b"HEAD"):
            return answer(request, self._protection.document())
        return getChildForRequest(self._inner, request).render(request)


def caller_of(request: IRequest) -> Caller:
    """Who sent a request that a `ProtectedResource` let through.

    Raises:
        TypeError: it went through none.
    """
    return cast(Caller, ICaller(request))


def _certificate_of(request: IRequest) -> Certificate | None:
    """The connection's certificate; one that cannot be read is none."""
    try:
        return certificate_of(request)
    except (Malformed, TooLarge):
        return None


def _caller(proved: Proved) -> Caller:
    delegation, client = proved.delegation, proved.client
    return Caller(
        delegation.subject, delegation.actor, delegation.issuer, client.method, client.strength, delegation.expires
    )


def _require_whole(delegation: VerifiedDelegation) -> None:
    if delegation.message_ids is not None:
        # RFC 9396 5: what narrows a token and means nothing here must not be passed over.
        raise Unproven("the delegation is narrowed to messages")


async def _permit(policy: Policy, caller: Caller, request: IRequest) -> None:
    """None if the policy says so; one that fails has not said so, and that is a decision with its line like any other.

    Raises:
        Forbidden: it says something else, or nothing.
    """
    try:
        word = await _whatever(policy(caller, request))
    except (Refusal, CancelledError):
        raise
    except Exception:
        # Somebody's own policy may fail with the token in its message, under an observer that is not ours.
        trace = scrub(Failure().getTraceback(detail="brief"))
        _log.error(
            "the policy {policy} failed, and so permits nothing:\n{trace}", policy=_word_for(policy), trace=trace
        )
        raise Forbidden("the API's policy failed: see the log") from None
    if word is not True:
        raise Forbidden("the API's policy")


async def _whatever(value: Any) -> Any:
    return await value if isawaitable(value) else value


def _word_for(policy: Policy) -> str:
    return str(getattr(policy, "__name__", type(policy).__name__))


def _joined(one: str, other: str) -> str:
    return f"{one} {other}" if one else other


def _broken(failure: Failure, request: Any) -> None:
    """A bug in a resource is answered like every other; a client that has left hears nothing."""
    if not request._disconnected and not request.finished:
        request.processingFailed(failure)
