"""Issue-wide promises, route by route: no 500, no text of exceptions, JSON and no-store for every refusal."""

import json
from typing import Any

from rrsd.core.wire.fields import chunks_path
from rrsd.drivers.store.sql.mailbox import Mailbox
from tests.support.attackers import FORM, REASONS, AttackCase, Line, Response
from tests.support.forgery import access

ROUTES = (
    "/token", "/authorize", "/revoke", "/introspect", "/rrs/code", "/jwks", "/.well-known/webfinger", "/rrs/receipts",
    "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/api/openapi.json",
    "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server/x/y", "/api/uploads",
    "/api/uploads/x", "/api/outgoing", "/api/outgoing/x", "/api/messages", "/api/messages/x", "/api/messages/x/raw",
    "/api/messages/x/parts/0", "/api/messages/x/parts/99999999999999999999", "/api/messages/x/parts/-1", "/", "/api",
    "/nothing", "/.well-known/", "/.well-known/ni/sha-256", "/health", "/metrics", "/users", "/pulls", "/queue",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
BODIES = ((b"", ""), (b"{", "application/json"), (b"\xff\xfe", FORM), (b"[]", "application/json"), (b"x" * 100, "x"),
          (b"{}", "application/json"), (b"a=b", FORM), (b"x", "application/jose"), (b"x", "message/rfc822"),
          (b'{"size":1e400}', "application/json"), (b'{"size":-1}', "application/json"),
          (b'{"to":7}', "application/json"),
          (b'{"to":["a@b.test"],"subject":"\\u0000"}', "application/json"), (b"\r\n", "message/rfc822"))  # fmt: skip
QUERIES = ("", "?", "?a=b", "?resource=x&resource=y", "?resource=%ff", "?most=0", "?most=x&before=x", "?before=2026",
           "?recipient=%00", "?client_id=%ff", "?" + "a=b&" * 500, "?resource=acct:x@foo.test",
           "?resource=acct:%00@foo.test", "?resource=acct:%ff@foo.test&rel=x", "?most=%D9%A3")  # fmt: skip
HEADERS: tuple[dict[str, Any], ...] = (
    {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x.y.z"}, {"Range": "bytes=9-1"},
    {"Prefer": "wait=-1"}, {"Prefer": "wait=999999999999999999999"}, {"If_None_Match": '"'}, {"Upload_Offset": "-1"},
    {"Accept": "text/html"}, {"Accept_Encoding": "gzip"}, {"Cookie": "\xff"}, {"Content_Encoding": "gzip"},
    {"X_HTTP_Method_Override": "DELETE"}, {"Origin": "https://evil.test"}, {"Content_Type": '"'},
)  # fmt: skip


class Routes(AttackCase):
    """Whatever comes, the answer is one of the table's."""

    def setUp(self) -> None:
        """A connection that is used as long as it lasts, and every route."""
        super().setUp()
        self.kept: Line = self.agent_line(self.foo)
        self.routes = (*ROUTES, self.target, chunks_path(self.digest))
        self.bearer: dict[str, Any] = {"Authorization": f"Bearer {access(self.foo, 'alice@foo.test').text()}"}

    def require_tame(self, response: Response, what: object) -> None:
        """No fault, and refusals that say a reason and nothing more."""
        self.assertLess(response.status, 500, (what, response))
        self.assertNotIn("traceback", str(response).lower(), what)
        self.assertNotIn("server", response.headers)
        self.assertNotIn("set-cookie", response.headers)
        if response.status >= 400 and response.headers.get("content-type") == "application/json" and response.body:
            self.assertIn(response.json()["reason"], REASONS, what)
            self.assertLessEqual({*response.json()}, {"error", "reason"}, what)
        if response.status in (401, 403):
            self.assertEqual(response.headers["cache-control"], "no-store", what)
        if response.status == 401:
            self.assertTrue(response.headers["www-authenticate"].startswith("Bearer"), what)

    def test_unforeseen_error_left_no_line(self) -> None:
        """A bug in a flow: the answer and one line of the trail have the reference of the log, and no more."""

        async def fail(*_: object) -> None:
            raise ValueError("hush-hush")

        self.patch(Mailbox, "messages", fail)
        response = self.kept.ask("GET", "/api/messages", **self.bearer)
        self.assertEqual(response.status, 500)
        reference = response.json()["reference"]
        (line,) = self.foo.trail.of("fault")
        self.assertEqual(
            {name: line[name] for name in ("outcome", "resource", "evidence")},
            {"outcome": "failed", "resource": "GET /api/messages", "evidence": f"reference {reference}"},
        )
        self.assertNotIn("hush", f"{self.foo.trail.lines} {response}")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def ask(self, method: str, target: str, body: bytes = b"", **headers: Any) -> None:
        """One request on a line of its own if need be."""
        if self.kept.closed:
            self.kept = self.agent_line(self.foo)
        if target.startswith("/api/events"):
            return
        response = self.kept.ask(method, target, body, **headers)
        self.require_tame(response, (method, target, body, headers))

    def test_methods(self) -> None:
        """Any method at any path."""
        for target in self.routes:
            for method in METHODS:
                self.ask(method, target)
                self.ask(method, target, **self.bearer)

    def test_bodies(self) -> None:
        """Any body at any path, with and without a good token."""
        for target in self.routes:
            for body, kind in BODIES:
                headers: dict[str, Any]
                for headers in ({}, self.bearer):
                    self.ask("POST", target, body, Content_Type=kind, **headers)

    def test_queries_and_headers(self) -> None:
        """Any query and any header at any path."""
        for target in self.routes:
            for query in QUERIES:
                self.ask("GET", target + query)
                self.ask("GET", target + query, **self.bearer)
            for headers in HEADERS:
                self.ask("GET", target, **headers)
                self.ask("GET", target, **{**self.bearer, **headers})

    def test_operators_routes_are_not_public(self) -> None:
        """The operator's window is not on the public listener."""
        for target in ("/health", "/ready", "/metrics", "/users", "/keys", "/reload", "/queue", "/pulls", "/deliver"):
            for method in ("GET", "POST"):
                self.assertEqual(self.kept.ask(method, target, **self.bearer).status, 404, target)

    def test_w06_w08_published_documents(self) -> None:
        """No private members, and one answer for users who exist and who do not."""
        keys = self.kept.ask("GET", "/jwks").json()["keys"]
        self.assertTrue(all({*key} == {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in keys))
        answers = set()
        for user in ("alice", "nobody"):
            found = self.kept.ask("GET", f"/.well-known/webfinger?resource=acct:{user}%40foo.test")
            self.assertEqual(found.headers["access-control-allow-origin"], "*")
            answers.add(json.dumps(found.json()).replace(user, ""))
        self.assertEqual(len(answers), 1)
        for query, status in (("", 400), ("?resource=a&resource=b", 400), ("?resource=acct:x%40bar.test", 404)):
            refused = self.kept.ask("GET", f"/.well-known/webfinger{query}")
            self.assertEqual((refused.status, refused.headers["access-control-allow-origin"]), (status, "*"))
