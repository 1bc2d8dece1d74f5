"""Every address that this daemon answers at, and what a request needs there: nothing opens a door by accident."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

import rrsd.app
import rrsd.roles
from rrsd.app.sites import local_site, status_site
from rrsd.app.urls import Switchboard
from rrsd.web.router import Router
from tests.support.callers import Caller, Response
from tests.support.world import World

PUBLIC = """
anyone      GET     /.well-known/oauth-authorization-server
anyone      GET     /.well-known/oauth-authorization-server/<path:below>
anyone      GET     /.well-known/oauth-protected-resource
anyone      GET     /.well-known/openid-configuration
anyone      GET     /.well-known/webfinger
anyone      GET     /api/openapi.json
anyone      GET     /authorize
anyone      GET     /jwks
anyone      GET     /rrs/code
delegation  GET     /.well-known/ni/sha-256/<name>
delegation  GET     /rrs/chunks/sha-256/<name>
delegation  POST    /rrs/receipts
delegation  POST    /rrs/contacts
delegation  POST    /rrs/renewals
grant       POST    /authorize
grant       POST    /introspect
grant       POST    /revoke
grant       POST    /token
link        GET     /rrs/links/<token>
link        GET     /rrs/links/<token>/code
link        GET     /rrs/links/<token>/files/<name>
link        POST    /rrs/links/<token>
link        POST    /rrs/links/<token>/code
user        DELETE  /api/outgoing/<message_id>
user        DELETE  /api/uploads/<upload_id>
user        GET     /api/events
user        GET     /api/messages
user        GET     /api/messages/<message>
user        GET     /api/messages/<message>/parts/<int:index>
user        GET     /api/messages/<message>/raw
user        GET     /api/outgoing
user        GET     /api/outgoing/<message_id>
user        GET     /api/outgoing/<message_id>/receipts
user        GET     /api/uploads/<upload_id>
user        PATCH   /api/uploads/<upload_id>
user        POST    /api/messages
user        POST    /api/outgoing
user        POST    /api/uploads
"""
"""The public listener. `delegation`: a bearer delegation bound to the certificate of the connection. `grant`: what the
form brings (password, code, refresh token, subject token with a certificate) is the proof. `user`: a bearer access
token. HEAD goes with GET."""

LOCAL = """
socket      DELETE  /clients/<name>
socket      DELETE  /users/<text>
socket      GET     /clients
socket      GET     /clients/<name>
socket      GET     /destinations
socket      GET     /keys
socket      GET     /openapi.json
socket      GET     /pulls
socket      GET     /pulls/<int:number>
socket      GET     /pulls/<int:number>/explain
socket      GET     /queue
socket      GET     /shape
socket      GET     /store/gc
socket      GET     /store/verify
socket      GET     /users
socket      POST    /delegations
socket      POST    /clients
socket      POST    /clients/<name>/disable
socket      POST    /clients/<name>/enable
socket      POST    /deliver
socket      POST    /destinations/<verb>
socket      POST    /identity/verify
socket      POST    /keys/client/<step>
socket      POST    /keys/rotate
socket      POST    /policy/explain
socket      POST    /pulls/<int:number>/<verb>
socket      POST    /pulls/<verb>
socket      POST    /queue/drain
socket      POST    /queue/export
socket      POST    /queue/import
socket      POST    /queue/undrain
socket      POST    /reload
socket      POST    /store/verify
socket      POST    /users
socket      POST    /users/<text>/password
socket      POST    /users/<text>/quota
socket      POST    /users/<text>/resume
socket      POST    /users/<text>/suspend
status      GET     /health
status      GET     /metrics
status      GET     /ready
"""
"""The administrator's endpoint. `socket`: whoever may open the unix socket. `status`: at `[admin] listen` too."""

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MEDIA_TYPES = {
    "/rrs/receipts": "application/jose",
    "/rrs/renewals": JSON,
    "/api/uploads": JSON,
    "/api/outgoing": JSON,
    "/api/messages": "message/rfc822",
}
SAMPLES = {"name": "A" * 43, "index": "0", "number": "1"}
NEEDS_A_BEARER = ("delegation", "user")


class Route(NamedTuple):
    """One line of a table."""

    needs: str
    method: str
    path: str

    @property
    def target(self) -> str:
        """A path that the route matches."""
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: SAMPLES.get(found[1], "x"), self.path)


def table(text: str) -> list[Route]:
    """The rows of a table."""
    return [Route(*line.split()) for line in text.strip().splitlines()]


def routers() -> Iterator[Router]:
    """Every router that a class of a role or of `app` has."""
    for package in (rrsd.app, rrsd.roles):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for one in vars(importlib.import_module(module.name)).values():
                if (
                    isinstance(one, type)
                    and one.__module__ == module.name
                    and isinstance(getattr(one, "routes", 0), Router)
                ):
                    yield one.routes  # type: ignore[attr-defined]


def methods_and_paths() -> set[tuple[str, str]]:
    """What all routers answer at."""
    return {
        (method, rule.rule)
        for router in routers()
        for rule in router.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def answers_at(site: Switchboard, path: str) -> bool:
    """Whether one of the site's prefixes covers the path."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in site.prefixes)


class Routes(SynchronousTestCase):
    """The tables are the truth."""

    @override
    def setUp(self) -> None:
        self.domain = World(Path(self.mktemp())).domain("foo.test", start=False)

    def ask(self, route: Route, **headers: str) -> Response:
        """The public listener's answer to a request of the right form with nothing in it."""
        media_type = MEDIA_TYPES.get(route.path, FORM) if route.method == "POST" else "application/octet-stream"
        body = b"{}" if media_type == JSON else b""
        caller = Caller(cast(Klein, _Front(self.domain.whole.public)))
        return caller.ask(route.method, route.target, body, Content_Type=media_type, Upload_Offset="0", **headers)

    def test_complete(self) -> None:
        """Every route stands in exactly one table, and every row is a route."""
        rows = [(row.method, row.path) for row in (*table(PUBLIC), *table(LOCAL))]
        self.assertEqual(sorted(methods_and_paths()), sorted(rows))

    def test_each_at_its_own_door(self) -> None:
        """No administrator's route is served in public, nor the other way round; `[admin] listen` shows status only."""
        whole = self.domain.whole
        public: Any = whole.public
        local, status = local_site(whole.window, whole.retrieving, 1), status_site(whole.window)
        for row in table(PUBLIC):
            self.assertEqual((answers_at(public, row.path), answers_at(local, row.path)), (True, False), row)
        for row in table(LOCAL):
            self.assertEqual((answers_at(public, row.path), answers_at(local, row.path)), (False, True), row)
            self.assertEqual(answers_at(status, row.path), row.needs == "status", row)

    def test_nothing_without_a_credential(self) -> None:
        """A request without a token is challenged, and told where to get one, wherever one is needed."""
        for row in table(PUBLIC):
            answer = self.ask(row)
            self.assertEqual(answer.status == 401, row.needs in NEEDS_A_BEARER, row)
            if row.needs in NEEDS_A_BEARER:
                self.assertEqual(answer.json(), {"error": "unauthorized", "reason": "unauthenticated"})
                self.assertIn('resource_metadata="https://foo.test/', answer.headers["www-authenticate"], row)

    def test_nothing_for_a_made_up_token(self) -> None:
        """A token that proves nothing opens nothing."""
        for row in table(PUBLIC):
            if row.needs in NEEDS_A_BEARER:
                answer = self.ask(row, Authorization="Bearer made.up.token")
                self.assertIn(answer.status, (400, 401), row)

    def test_nothing_for_an_empty_form(self) -> None:
        """Where a form is the proof, none proves nothing."""
        for row in table(PUBLIC):
            if row.needs == "grant":
                self.assertEqual(self.ask(row).status, 400, row)


class _Front:
    """A site in the shape of a Klein application, for `Caller`."""

    def __init__(self, site: Any) -> None:
        self._site = site

    def resource(self) -> Any:
        """The site itself."""
        return self._site
