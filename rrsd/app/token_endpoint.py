"""The OAuth endpoints: each one address for what two roles offer (RFC 6749 3.2, RFC 7009 2, RFC 7662 2)."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, cast

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable, UnknownClient, UnsupportedGrant
from rrsd.core.values.peers import Certificate
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.oauth import Form
from rrsd.web.bodies import form_of
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.router import Router, answer
from rrsd.web.trail import Audit, reading

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]
Revoke = Callable[[Form, Certificate | None, str], Awaitable[None]]

INTROSPECTION_JWT = f"application/{Kind.INTROSPECTION}"


class Turnstile(Protocol):
    """Where refusals are written down, and counted."""

    @property
    def audit(self) -> Audit: ...

    def count_failure(self, peer: str) -> None:
        """One more of this network address; refuses with TooMany when it is one too many."""
        ...


class Introspect(Protocol):
    """What may be said about a token."""

    def __call__(
        self, form: Form, certificate: Certificate | None, peer: str, *, signed: bool
    ) -> Awaitable[dict[str, Any] | str]:
        """The document, or a JWT that holds it."""
        ...


@frozen
class TokenEndpoint:
    """Hands each token request to the role that offers its grant type, and each token that is to be revoked to the role
    whose client asks: `public` are those of the provider, which prove nothing."""

    routes: ClassVar[Router] = Router()
    grants: Mapping[str, Grant]
    admission: Turnstile
    introspection: Introspect
    revocation: Revoke
    public: Mapping[str, Revoke]

    @routes.route("/token", methods=["POST"])
    async def token(self, request: IRequest) -> bytes:
        """The answer of the grant type that is asked for."""
        with self._reading("token", request):
            form, certificate = form_of(request), _certificate_of(request)
            grant = self.grants.get(form.required("grant_type"))
            if grant is None:
                raise UnsupportedGrant("no such grant type here")
        document = await grant(form, certificate, address_of(request))
        return answer(request, document, no_store=True)

    @routes.route("/introspect", methods=["POST"])
    async def introspect(self, request: IRequest) -> bytes:
        """Whether a token is active, in JSON, or as a JWT where only that is accepted (RFC 9701 4)."""
        with self._reading("introspect", request):
            form, certificate = form_of(request), _certificate_of(request)
            form.required("token")
        accept = cast(Request, request).getHeader("accept") or ""
        signed = accept.partition(";")[0].strip().lower() == INTROSPECTION_JWT
        said = await self.introspection(form, certificate, address_of(request), signed=signed)
        if not isinstance(said, str):
            return answer(request, said, no_store=True)
        body = said.encode("ascii")
        answer(request, {}, no_store=True, Content_Type=INTROSPECTION_JWT, Content_Length=str(len(body)))
        return body

    @routes.route("/revoke", methods=["POST"])
    async def revoke(self, request: IRequest) -> bytes:
        """End a token before its time, or a whole login."""
        with self._reading("revoke", request):
            form, certificate = form_of(request), _certificate_of(request)
            form.required("token")
        revoke = self.public.get(form.one("client_id") or "", self.revocation)
        await revoke(form, certificate, address_of(request))
        return answer(request, {}, no_store=True)

    @contextmanager
    def _reading(self, what: str, request: IRequest) -> Iterator[None]:
        """As `rrsd.web.trail.reading`; who is refused here too often waits, as who is refused later."""
        try:
            with reading(self.admission.audit, what, request):
                yield
        except Unavailable:
            raise
        except Refusal:
            self.admission.count_failure(address_of(request))
            raise


def _certificate_of(request: IRequest) -> Certificate | None:
    """The client's certificate; clients prove themselves by it or by the form, and public ones by nothing.

    Raises:
        UnknownClient: it comes with a password instead, or is none that can be understood.
        Malformed: with both (RFC 6749 2.3).
    """
    try:
        certificate = certificate_of(request)
    except (Malformed, TooLarge) as refusal:
        raise UnknownClient(refusal.detail) from None
    if not request.requestHeaders.hasHeader(b"authorization"):
        return certificate
    if certificate is None:
        raise UnknownClient("passwords of clients are not taken")
    raise Malformed("two ways of client authentication")
