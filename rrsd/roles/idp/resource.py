"""Routes of the OpenID Provider; the endpoints for tokens are shared with the STS and lie elsewhere."""

from typing import ClassVar, cast

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.refusals import Refusal, TooMany, Unavailable
from rrsd.core.wire.oauth import FORM, Form, parse_form
from rrsd.roles.idp import pages, rules
from rrsd.roles.idp.clients import CODE_PAGE
from rrsd.roles.idp.flow import Flow, LoginPage, Redirect
from rrsd.web import bodies, peers
from rrsd.web.refusals import shape_of
from rrsd.web.router import Router


@frozen
class LoginPages:
    """What a user's browser sees; all paths are relative to the issuer's."""

    routes: ClassVar[Router] = Router()

    flow: Flow
    domain: str

    @routes.route("/authorize", methods=["GET", "HEAD"])
    async def ask(self, request: IRequest) -> bytes:
        """Show the login page for an authorization request (RFC 6749 4.1.1)."""
        try:
            return await self._show(request, self.flow.ask(_query_of(request), peers.address_of(request)))
        except Refusal as refusal:
            return await self._wrong(request, refusal)

    @routes.route("/authorize", methods=["POST"])
    async def log_in(self, request: IRequest) -> bytes:
        """Check address and password and go back to the client (RFC 6749 4.1.2)."""
        try:
            return await self._show(request, await self.flow.login(bodies.form_of(request), peers.address_of(request)))
        except Refusal as refusal:
            return await self._wrong(request, refusal)

    @routes.route(CODE_PAGE, methods=["GET", "HEAD"])
    async def show_code(self, request: IRequest) -> bytes:
        """Show the code to whoever has to copy it."""
        try:
            code = rules.require_shown_code(_query_of(request))
            return await pages.render(request, pages.code(code, self.domain))
        except Refusal as refusal:
            return await self._wrong(request, refusal)

    async def _show(self, request: IRequest, shown: LoginPage | Redirect) -> bytes:
        if isinstance(shown, Redirect):
            # RFC 9700 4.12: 303, so that no browser sends the password on.
            return await pages.leave(request, shown.uri)
        status = _status_of(request, shown.refusal)
        return await pages.render(request, pages.login(shown, self.domain), status)

    async def _wrong(self, request: IRequest, refusal: Refusal) -> bytes:
        self.flow.turn_away("authorize", peers.address_of(request), refusal)
        return await pages.render(request, pages.wrong(refusal), _status_of(request, refusal))


def _status_of(request: IRequest, refusal: Refusal | None) -> int:
    if refusal is None:
        return 200
    if isinstance(refusal, TooMany | Unavailable):
        cast(Request, request).setHeader("Retry-After", str(refusal.retry_after))
    status = shape_of(refusal).status
    # A page is no challenge: a 401 would need one.
    return 400 if status == 401 else status


def _query_of(request: IRequest) -> Form:
    return parse_form(FORM, b"", cast(Request, request).uri.partition(b"?")[2])
