"""The routes of what anybody may read about this domain."""

from typing import Any, ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.wire.webfinger import parse_query
from rrsd.roles.identity.publication import Publication
from rrsd.web.router import Router, answer

JRD = "application/jrd+json"
JWK_SET = "application/jwk-set+json"


@frozen
class IdentityPages:
    """RFC 8414, RFC 7517, RFC 9728 and RFC 7033 documents."""

    routes: ClassVar[Router] = Router()
    publication: Publication

    @routes.route("/.well-known/oauth-authorization-server", methods=["GET"])
    async def issuer(self, request: IRequest) -> bytes:
        """The metadata of the issuer without a path (RFC 8414 3)."""
        return self._show(request, self.publication.issuer_metadata(""))

    @routes.route("/.well-known/openid-configuration", methods=["GET"])
    async def discovery(self, request: IRequest) -> bytes:
        """The same for clients of OpenID Connect (Discovery 4)."""
        return self._show(request, self.publication.issuer_metadata(""))

    @routes.route("/.well-known/oauth-authorization-server/<path:below>", methods=["GET"])
    async def issuer_below(self, request: IRequest, below: str) -> bytes:
        """The metadata of an issuer with a path (RFC 8414 3.1)."""
        return self._show(request, self.publication.issuer_metadata(f"/{below}"))

    @routes.route("/.well-known/oauth-protected-resource", methods=["GET"])
    async def resource(self, request: IRequest) -> bytes:
        """The metadata of the resource server (RFC 9728 3)."""
        return self._show(request, self.publication.resource_metadata())

    @routes.route("/jwks", methods=["GET"])
    async def keys(self, request: IRequest) -> bytes:
        """The keys that our tokens are verified with."""
        return self._show(request, self.publication.key_set(), JWK_SET)

    @routes.route("/.well-known/webfinger", methods=["GET"])
    async def webfinger(self, request: IRequest) -> bytes:
        """Who speaks for an address, or which key a client has (RFC 7033 4)."""
        # RFC 7033 5 wants it of every answer, refusals included.
        request.setHeader("Access-Control-Allow-Origin", "*")
        return self._show(request, self.publication.webfinger(parse_query(request.args or {})), JRD)

    def _show(self, request: IRequest, document: dict[str, Any], media_type: str = "application/json") -> bytes:
        body = answer(request, document)
        request.setHeader("Access-Control-Allow-Origin", "*")
        request.setHeader("Cache-Control", f"public, max-age={self.publication.seconds}")
        request.setHeader("Content-Type", media_type)
        return body
