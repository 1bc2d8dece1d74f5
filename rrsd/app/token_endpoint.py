"""The token endpoint: one address for the grants of two roles (RFC 6749 3.2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import UnsupportedGrant
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.oauth import Form
from rrsd.web.bodies import form_of
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.router import Router, answer

Grant = Callable[[Form, Certificate | None, str], Awaitable[dict[str, Any]]]


@frozen
class TokenEndpoint:
    """Hands each request to the role that offers its grant type."""

    routes: ClassVar[Router] = Router()
    grants: Mapping[str, Grant]

    @routes.route("/token", methods=["POST"])
    async def token(self, request: IRequest) -> bytes:
        """The answer of the grant type that is asked for."""
        form = form_of(request)
        grant = self.grants.get(form.required("grant_type"))
        if grant is None:
            raise UnsupportedGrant("no such grant type here")
        document = await grant(form, certificate_of(request), address_of(request))
        return answer(request, document, no_store=True)
