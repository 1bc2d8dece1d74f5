"""The token endpoint: one address for the grants of two roles (RFC 6749 3.2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Protocol

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, Refusal, UnknownClient, UnsupportedGrant
from rrsd.core.values.calls import Event
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.oauth import Form
from rrsd.web.bodies import form_of
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.router import Router, answer

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...


@frozen
class TokenEndpoint:
    """Hands each request to the role that offers its grant type."""

    routes: ClassVar[Router] = Router()
    grants: Mapping[str, Grant]
    audit: Audit

    @routes.route("/token", methods=["POST"])
    async def token(self, request: IRequest) -> bytes:
        """The answer of the grant type that is asked for."""
        form, certificate, grant = self._read(request)
        document = await grant(form, certificate, address_of(request))
        return answer(request, document, no_store=True)

    def _read(self, request: IRequest) -> tuple[Form, Certificate | None, Grant]:
        """What is asked, by whom, and who decides; a request that reaches no role is written down here."""
        try:
            form = form_of(request)
            grant = self.grants.get(form.required("grant_type"))
            if grant is None:
                raise UnsupportedGrant("no such grant type here")
            return form, _certificate_of(request), grant
        except Refusal as refusal:
            peer = address_of(request)
            self.audit.record(Event("token", "refused", peer=peer, refusal=refusal.reason, evidence=refusal.detail))
            raise


def _certificate_of(request: IRequest) -> Certificate | None:
    """The client's certificate, the only way in which clients prove themselves here; public ones have none.

    Raises:
        UnknownClient: it comes with a password instead.
        Malformed: with both (RFC 6749 2.3).
    """
    certificate = certificate_of(request)
    if not request.requestHeaders.hasHeader(b"authorization"):
        return certificate
    if certificate is None:
        raise UnknownClient("passwords of clients are not taken")
    raise Malformed("two ways of client authentication")
