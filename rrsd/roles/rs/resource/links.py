"""The routes of personal links: pages for a browser without an account."""

from typing import ClassVar, cast

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.refusals import (
    Expired,
    Forbidden,
    NotGranted,
    Refusal,
    TooMany,
    Unavailable,
    Unknown,
    Withdrawn,
)
from rrsd.roles.rs.flow.admission import Gate
from rrsd.roles.rs.flow.links import Sharing
from rrsd.roles.rs.resource import link_pages
from rrsd.roles.rs.resource.rendering import field_of, show, wanted_of
from rrsd.roles.rs.rules_links import PATH, SESSION_LIFE
from rrsd.web import bodies
from rrsd.web.pages import Page, leave, render
from rrsd.web.peers import address_of
from rrsd.web.refusals import shape_of
from rrsd.web.router import Router
from rrsd.web.trail import reading

COOKIE = "__Secure-rrs-link"
# Of our own pages a POST says where it comes from, to others nothing is told.
REFERRER = "same-origin"
_ALL_GONE = (Withdrawn, Unknown)


@frozen
class LinkPages:
    """What whoever has a personal link may ask of the Resource Server. GET and HEAD change nothing, so that a scanner
    that follows links in mails is harmless."""

    routes: ClassVar[Router] = Router()
    gate: Gate
    flow: Sharing

    @routes.route(f"{PATH}/<token>", methods=["GET"])
    async def look(self, request: IRequest, token: str) -> bytes:
        """Which files there are."""
        try:
            with self.gate.enter(address_of(request)):
                shown = await self.flow.show(token, _cookie(request), address_of(request))
        except Refusal as refusal:
            return await _wrong(request, refusal)
        return await _page(request, link_pages.files(shown, token))

    @routes.route(f"{PATH}/<token>", methods=["POST"])
    async def send(self, request: IRequest, token: str) -> bytes:
        """Send a code, and go where it is entered."""
        try:
            with self.gate.enter(address_of(request)):
                with reading(self.gate.audit, "link_code", request):
                    self._require_ours(request)
                await self.flow.send_code(token, address_of(request))
        except Refusal as refusal:
            return await _wrong(request, refusal)
        return await leave(request, f"{PATH}/{token}/code")

    @routes.route(f"{PATH}/<token>/code", methods=["GET"])
    async def ask(self, request: IRequest, token: str) -> bytes:
        """Where the code is entered."""
        try:
            with self.gate.enter(address_of(request)):
                await self.flow.show(token, "", address_of(request))
        except Refusal as refusal:
            return await _wrong(request, refusal)
        return await _page(request, link_pages.enter(token))

    @routes.route(f"{PATH}/<token>/code", methods=["POST"])
    async def open(self, request: IRequest, token: str) -> bytes:
        """Take the code; the right one opens the files in this browser."""
        try:
            with self.gate.enter(address_of(request)):
                with reading(self.gate.audit, "link_open", request):
                    self._require_ours(request)
                    code = bodies.form_of(request).required("code")
                cookie = await self.flow.enter(token, code, address_of(request))
        except (NotGranted, Expired) as refusal:
            return await _page(request, link_pages.enter(token, refusal), 403)
        except Refusal as refusal:
            return await _wrong(request, refusal)
        life = int(SESSION_LIFE.total_seconds())
        path = f"Path={PATH}/{token}; Secure; HttpOnly; SameSite=Strict"
        cast(Request, request).setHeader("Set-Cookie", f"{COOKIE}={cookie}; Max-Age={life}; {path}")
        return await leave(request, f"{PATH}/{token}")

    @routes.route(f"{PATH}/<token>/files/<name>", methods=["GET"])
    async def download(self, request: IRequest, token: str, name: str) -> bytes | None:
        """One file, or its head."""
        try:
            with self.gate.enter(address_of(request)):
                with reading(self.gate.audit, "download", request):
                    wanted = wanted_of(request, name)
                found = await self.flow.read(token, _cookie(request), wanted, address_of(request))
                cast(Request, request).setHeader("Content-Security-Policy", "default-src 'none'; sandbox")
                return await show(request, found)
        except Refusal as refusal:
            if cast(Request, request).startedWriting or shape_of(refusal).status == 416:
                raise
            if isinstance(refusal, Forbidden):
                return await _page(request, link_pages.locked(token), 403)
            return await _wrong(request, refusal)

    def _require_ours(self, request: IRequest) -> None:
        """None when nothing says that another site's page sent the form.

        Raises:
            Forbidden: something does.
        """
        site, origin = field_of(request, b"sec-fetch-site"), field_of(request, b"origin")
        if site not in (None, "same-origin", "none") or origin not in (None, str(self.flow.origin)):
            raise Forbidden("a form of another site")


def _cookie(request: IRequest) -> str:
    found = cast(Request, request).getCookie(COOKIE.encode())
    return (found or b"").decode("latin-1")


async def _page(request: IRequest, page: Page, status: int = 200) -> bytes:
    return await render(request, page, status, REFERRER)


async def _wrong(request: IRequest, refusal: Refusal) -> bytes:
    """The page for a refusal; a link that never was, one that is over and one that was withdrawn look the same."""
    if isinstance(refusal, TooMany | Unavailable):
        cast(Request, request).setHeader("Retry-After", str(max(1, refusal.retry_after)))
    for name in ("ETag", "Repr-Digest", "Content-Disposition", "Content-Length"):
        cast(Request, request).responseHeaders.removeHeader(name)
    gone = isinstance(refusal, _ALL_GONE)
    return await _page(request, link_pages.wrong(refusal), 404 if gone else shape_of(refusal).status)
