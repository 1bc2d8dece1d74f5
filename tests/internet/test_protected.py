"""Propagation beyond mail (source 004): a third party's API takes the delegations of every domain, and nothing else."""

import errno
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from typing_extensions import override

from rrsd.core.values.records import Verdict
from rrsd.protect import (
    Caller,
    Forbidden,
    Klein,
    ProtectedResource,
    Protection,
    Unknown,
    answer,
    caller_of,
)
from tests.support.apis import MemoryApi, api_of, orders
from tests.support.attackers import Line, Response
from tests.support.certificates import client
from tests.support.forgery import ACCESS_TOKEN, JWT, access, agent_of, delegation, exchange_form, impersonation, pair_of
from tests.support.world import World

BOB = {"user": "bob@bar.test", "client": "_rra.bar.test", "orders": [{"what": "tea"}]}
ORIGIN = "https://api.baz.test"
CHALLENGE = f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource"'


class ApiCase(SynchronousTestCase):
    """bar.test has bob; api.baz.test is nobody's domain and has orders."""

    def setUp(self) -> None:
        """One domain, one API, which never met."""
        self.world = World(Path(self.mktemp()))
        self.bar = self.world.domain("bar.test")
        self.bar.add_user("bob")
        self.bar.add_user("carol")
        self.orders = api_of(self.world, orders())

    def line(self, credential: Any = None, api: MemoryApi | None = None) -> Line:
        """A connection to the API; bar.test's agent unless told otherwise."""
        return Line.to(self.world, (api or self.orders).host, credential=credential or agent_of(self.bar))

    def exchanged(self, token: str, kind: str = JWT, **more: Any) -> str:
        """What bar.test's STS gives its agent for the API."""
        form = exchange_form(self.bar, self.bar, token, kind, resource=ORIGIN, **more)
        response = Line.to(self.world, "bar.test", credential=agent_of(self.bar)).form("/token", form)
        self.assertEqual(response.status, 200, response)
        return str(response.json()["access_token"])

    def forged(self, **changes: Any) -> str:
        """A delegation for the API, some claims of it changed."""
        return delegation(self.bar, self.bar).text({}, **{"aud": ORIGIN, **changes})

    def ask(self, token: str, method: str = "GET", target: str = "/orders", **more: Any) -> Response:
        """One request with the token."""
        body = more.pop("body", b"")
        return self.line(**more).ask(
            method, target, body, Authorization=f"Bearer {token}", Content_Type="application/json"
        )

    def require_refused(self, response: Response, status: int, error: str, reason: str, *secrets: str) -> None:
        """The row of the table, the challenge, one line in the trail, and no secret there."""
        self.assertEqual((response.status, response.json()), (status, {"error": error, "reason": reason}), response)
        if status == 401:
            self.assertIn(CHALLENGE, response.headers["www-authenticate"])
        lines = self.orders.trail.lines
        self.assertEqual([(line["what"], line["outcome"], line["refusal"]) for line in lines],
                         [("call", "refused", reason)], lines)  # fmt: skip
        told = f"{lines} {response}"
        self.assertFalse([secret for secret in secrets if any(part in told for part in secret.split(".") if part)])
        lines.clear()


class Propagation(ApiCase):
    """The same delegation that fetches attachments reaches any API."""

    def test_two_legged(self) -> None:
        """The agent asks its STS for bob, then the API: it knows bob, the agent and how both were proved."""
        token = self.exchanged(impersonation(self.bar).text())
        added = self.ask(token, "POST", body=b'{"what": "tea"}')
        self.assertEqual((added.status, added.json()), (201, {"orders": 1}))
        shown = self.ask(token)
        self.assertEqual(shown.json(), BOB)
        lines = self.orders.trail.of("call")
        self.assertEqual([line["resource"] for line in lines], ["POST /orders", "GET /orders"])
        self.assertEqual(
            {(line["who"], line["subject"], line["outcome"], line["evidence"]) for line in lines},
            {("_rra.bar.test", "bob@bar.test", "granted", "webfinger tls https://bar.test webfinger")},
        )

    def test_three_legged(self) -> None:
        """carol's own access token is exchanged; her orders are not bob's."""
        self.ask(self.exchanged(impersonation(self.bar).text()), "POST", body=b'{"what": "tea"}')
        token = self.exchanged(access(self.bar, "carol@bar.test").text(), ACCESS_TOKEN)
        self.assertEqual(self.ask(token).json(), {**BOB, "user": "carol@bar.test", "orders": []})

    def test_every_domain(self) -> None:
        """Another domain's users come the same way; nobody was registered."""
        foo = self.world.domain("foo.test")
        foo.add_user("alice")
        token = delegation(foo, foo, "alice@foo.test").text({}, aud=ORIGIN)
        self.assertEqual(self.ask(token, credential=agent_of(foo)).json()["user"], "alice@foo.test")

    def test_document(self) -> None:
        """RFC 9728: what the challenge points to is there, for anybody."""
        document = self.line().ask("GET", "/.well-known/oauth-protected-resource")
        self.assertEqual(
            document.json(),
            {"resource": ORIGIN, "bearer_methods_supported": ["header"],
             "tls_client_certificate_bound_access_tokens": True},
        )  # fmt: skip
        self.assertEqual(self.orders.trail.lines, [])

    def test_one_lookup(self) -> None:
        """A proof is remembered for a minute: the second request asks nobody."""
        token = self.exchanged(impersonation(self.bar).text())
        self.ask(token)
        before = len(self.world.internet.connections)
        self.assertEqual(self.ask(token).status, 200)
        self.assertEqual(len(self.world.internet.connections), before)


class Refusals(ApiCase):
    """S-01 to S-12 at an API that is not rrsd's own."""

    def test_s01_no_token(self) -> None:
        """A challenge without an error code."""
        response = self.line().ask("GET", "/orders")
        self.assertEqual(response.headers["www-authenticate"], f"Bearer {CHALLENGE}")
        self.require_refused(response, 401, "unauthorized", "unauthenticated")

    def test_s03_schemes(self) -> None:
        """Any case of the scheme, one token, in the header."""
        token = self.forged()
        self.assertEqual(self.line().ask("GET", "/orders", Authorization=f"bEaReR {token}").status, 200)
        self.orders.trail.lines.clear()
        for value in (f"DPoP {token}", f"Bearer {token}, Bearer {token}"):
            response = self.line().ask("GET", "/orders", Authorization=value)
            self.require_refused(response, 400, "invalid_request", "malformed", token)
        response = self.line().ask("GET", f"/orders?access_token={token}")
        self.require_refused(response, 401, "unauthorized", "unauthenticated", token)

    def test_s05_other_audiences(self) -> None:
        """A delegation for a mail resource server, or for a neighbour."""
        for aud in ("https://foo.test", f"{ORIGIN}/", [ORIGIN], "https://api.baz.test:8443", "https://baz.test"):
            token = self.forged(aud=aud)
            self.require_refused(self.ask(token), 401, "invalid_token", "unproven", token)

    def test_s06_other_issuers(self) -> None:
        """evil.test's STS speaks for its own users only."""
        evil = self.world.domain("evil.test")
        good = delegation(evil, evil, "eve@evil.test")
        self.assertEqual(self.ask(good.text({}, aud=ORIGIN), credential=agent_of(evil)).status, 200)
        self.orders.trail.lines.clear()
        for change in ({"sub": "bob@bar.test"}, {"iss": "https://bar.test"},
                       {"sub": "bob@bar.test", "iss": "https://bar.test"}):  # fmt: skip
            token = good.text({}, **{"aud": ORIGIN, **change})
            self.require_refused(self.ask(token, credential=agent_of(evil)), 401, "invalid_token", "unproven", token)

    def test_s10_stolen_token(self) -> None:
        """Over another certificate, or none, it is nothing."""
        token = self.exchanged(impersonation(self.bar).text())
        evil = self.world.domain("evil.test")
        self.require_refused(self.ask(token, credential=agent_of(evil)), 401, "invalid_token", "unproven", token)
        bare = Line.to(self.world, self.orders.host).ask("GET", "/orders", Authorization=f"Bearer {token}")
        self.require_refused(bare, 401, "invalid_token", "unproven", token)

    def test_s10_s11_confirmations(self) -> None:
        """Bound in another way, or to nothing."""
        own = pair_of(self.bar).certificate.x5t.b64
        cnf: Any
        for cnf in (..., {"jkt": own}, {"x5t#S256": own, "jkt": own}, {"x5t#S256": f"{own}="}, {"x5t": own}):
            token = self.forged(cnf=cnf)
            self.require_refused(self.ask(token), 401, "invalid_token", "unproven", token)

    def test_expired(self) -> None:
        """A delegation lives for minutes."""
        token = self.exchanged(impersonation(self.bar).text())
        self.world.advance(400, 10)
        self.require_refused(self.ask(token), 401, "invalid_token", "expired", token)

    def test_o11_unproven_client(self) -> None:
        """A certificate with bar.test's name on it and another key."""
        fake = client("_rra", "bar.test").credential
        token = delegation(self.bar, self.bar, credential=fake).text({}, aud=ORIGIN)
        self.require_refused(self.ask(token, credential=fake), 401, "invalid_token", "unproven", token)

    def test_m12_certificate_without_end(self) -> None:
        """One that is too large to be read is none."""
        large = client("_rra", "bar.test", padding=12_000).credential
        token = delegation(self.bar, self.bar, credential=large).text({}, aud=ORIGIN)
        self.require_refused(self.ask(token, credential=large), 401, "invalid_token", "unproven", token)

    def test_weak_proof(self) -> None:
        """Whoever can forge DNS can forge a TXT record; the API has to say that this is enough."""
        text = f"v=DANCE1; h=sha256; p={pair_of(self.bar).certificate.spki.hex}"
        for verdict, weak, status in (
            (Verdict.INSECURE, "no", 403), (Verdict.INSECURE, "yes", 200), (Verdict.SECURE, "no", 200),
        ):  # fmt: skip
            with self.subTest(verdict=verdict, weak=weak):
                self.world.zones.publish("_rra.bar.test", "TXT", text, verdict=verdict)
                host = f"{verdict.name.lower()}-{weak}.baz.test"
                api = api_of(self.world, orders(), host, more=f"weak = {weak}\n", methods="dns-txt")
                token = delegation(self.bar, self.bar).text({}, aud=f"https://{host}")
                self.assertEqual(self.ask(token, api=api).status, status)
                (line,) = api.trail.lines
                self.assertEqual((line["who"], line["subject"]), ("_rra.bar.test", "bob@bar.test"))

    def test_nobody(self) -> None:
        """The API itself speaks for no domain, not even for the one that stands in its place."""
        for change in ({"sub": "x@nobody.invalid", "iss": "https://nobody.invalid"},
                       {"client_id": "_none.nobody.invalid", "act": {"sub": "_none.nobody.invalid"}}):  # fmt: skip
            token = self.forged(**change)
            self.require_refused(self.ask(token), 401, "invalid_token", "unproven", token)

    def test_narrowed(self) -> None:
        """A delegation for one message is not one for orders (RFC 9396 5)."""
        token = self.forged(authorization_details=[{"type": "rrs_message", "message_id": "1@foo.test"}])
        self.require_refused(self.ask(token), 401, "invalid_token", "unproven", token)

    def test_silent_domain(self) -> None:
        """When the user's domain does not answer, the API says so; nothing is guessed."""
        token = self.forged()
        del self.world.internet.listeners[self.world.internet.hosts["bar.test"].address, 443]
        response = self.ask(token)
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.assertGreaterEqual(int(response.headers["retry-after"]), 1)
        self.assertEqual([line["outcome"] for line in self.orders.trail.lines], ["failed"])

    def test_z08_trail_is_down(self) -> None:
        """Nothing is decided without a line: no handler runs."""
        token = self.exchanged(impersonation(self.bar).text())
        self.orders.trail.broken = OSError(errno.ENOSPC, "no space")
        response = self.ask(token, "POST", body=b'{"what": "tea"}')
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.orders.trail.broken = None
        self.assertEqual(self.ask(token).json()["orders"], [])

    def test_rate(self) -> None:
        """One address that asks too often is told when to come back, and leaves its line."""
        few = api_of(self.world, orders(), "few.baz.test", more="rate = 1\nburst = 2\n")
        line = self.line(api=few)
        statuses = [line.ask("GET", "/orders").status for _ in range(3)]
        self.assertEqual(statuses, [401, 401, 429])
        self.assertEqual([line["what"] for line in few.trail.lines], ["call", "call", "admit"])


class Policies(ApiCase):
    """What the API itself says about a caller."""

    def test_policy(self) -> None:
        """True lets in, anything else does not; the trail names the policies."""

        def only_bob(caller: Caller, request: Any) -> bool:
            return str(caller.user) == "bob@bar.test"

        async def not_today(caller: Caller, request: Any) -> bool:
            raise Forbidden("closed")

        def forgets(caller: Caller, request: Any) -> Any:
            return None

        def build(protection: Protection) -> Klein:
            app = Klein()
            for path, policy in (("/open", None), ("/closed", not_today), ("/forgets", forgets)):

                def shown(request: Any, caller: Caller) -> bytes:
                    return answer(request, {"user": str(caller.user)})

                app.route(path, endpoint=path)(protection.protected(policy=policy)(shown))
            return app

        api = api_of(self.world, build, "policy.baz.test", only_bob)
        for user, path, status, policies in (
            ("bob", "/open", 200, "only_bob"),
            ("carol", "/open", 403, "only_bob"),
            ("bob", "/closed", 403, "only_bob not_today"),
            ("bob", "/forgets", 403, "only_bob forgets"),
        ):
            token = delegation(self.bar, self.bar, f"{user}@bar.test").text({}, aud="https://policy.baz.test")
            self.assertEqual(self.ask(token, target=path, api=api).status, status, (user, path))
            self.assertEqual(api.trail.lines.pop()["policy"], policies)

    def test_policy_that_fails(self) -> None:
        """A policy with a bug has not said True: the answer is 403, its line is in the trail, its trace in the log."""

        def broken(caller: Caller, request: Any) -> bool:
            raise KeyError(request.getHeader("authorization"))

        said: list[str] = []
        hear = cast(ILogObserver, lambda event: said.append(formatEvent(event)))
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        api = api_of(self.world, orders(), "broken.baz.test", broken)
        token = delegation(self.bar, self.bar).text({}, aud="https://broken.baz.test")
        self.assertEqual(self.ask(token, api=api).status, 403)
        (line,) = api.trail.lines
        self.assertEqual((line["what"], line["outcome"], line["refusal"], line["policy"], line["subject"]),
                         ("call", "refused", "forbidden", "broken", "bob@bar.test"))  # fmt: skip
        self.assertNotIn(token, str(line))
        (trace,) = [each for each in said if "the policy broken failed" in each]
        self.assertIn("KeyError", trace)
        self.assertNotIn(token.split(".")[1], trace)

    def test_handler_refuses(self) -> None:
        """What a handler raises is answered by the table, bugs by 500 without a word."""

        class Shop:
            app = Klein()

            def __init__(self, protection: Protection) -> None:
                self.protection = protection

        def build(protection: Protection) -> Any:
            @Shop.app.route("/order/<name>")
            @protection.protected
            async def order(shop: Shop, request: Any, caller: Caller, name: str) -> bytes:
                if name == "begun":
                    request.write(b"x")
                    raise Unknown("too late")
                if name == "bug":
                    raise ValueError("a bug")
                raise Unknown("no such order")

            return Shop(protection).app.resource()

        api = api_of(self.world, build, "shop.baz.test")
        token = delegation(self.bar, self.bar).text({}, aud="https://shop.baz.test")
        missing = self.ask(token, target="/order/1", api=api)
        self.assertEqual((missing.status, missing.json()["error"]), (404, "not_found"))
        self.assertEqual(self.ask(token, target="/order/bug", api=api).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        line = self.line(api=api)
        line.send(f"GET /order/begun HTTP/1.1\r\nHost: shop.baz.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        self.assertTrue(line.closed)
        self.assertFalse(line.received.endswith(b"0\r\n\r\n"), "a whole answer")


class Trees(ApiCase):
    """Resources of twisted.web behind the same protection."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.left: list[str] = []
        self.tree = api_of(self.world, self._build, "tree.baz.test")
        self.token = delegation(self.bar, self.bar).text({}, aud="https://tree.baz.test")

    def _build(self, protection: Protection) -> Any:
        left = self.left

        class Who(Resource):
            def render_GET(self, request: Any) -> bytes:  # noqa: N802 - twisted.web's name
                return str(caller_of(request).user).encode()

        class Slow(Resource):
            def render_GET(self, request: Any) -> int:  # noqa: N802 - twisted.web's name
                request.notifyFinish().addErrback(lambda _: left.append("gone"))
                return NOT_DONE_YET

        class Broken(Resource):
            def render_GET(self, request: Any) -> bytes:  # noqa: N802 - twisted.web's name
                raise ValueError("a bug")

        root = Resource()
        for name, child in ((b"who", Who()), (b"slow", Slow()), (b"broken", Broken())):
            root.putChild(name, child)
        return ProtectedResource(root, protection)

    def test_resource(self) -> None:
        """The resource asks who it is; without proof it is never asked."""
        shown = self.ask(self.token, target="/who", api=self.tree)
        self.assertEqual((shown.status, shown.body), (200, b"bob@bar.test"))
        self.assertEqual(self.ask(self.token, target="/what", api=self.tree).status, 404)
        self.assertEqual(self.ask("x.y.z", target="/who", api=self.tree).status, 401)
        self.assertEqual(self.ask(self.token, target="/broken", api=self.tree).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_client_leaves(self) -> None:
        """Room at the gate is given back when the client leaves, during the proof or after it."""
        line = self.line(api=self.tree)
        line.send(f"GET /slow HTTP/1.1\r\nHost: tree.baz.test\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode())
        gate: Any = self.tree.api.protection.gate
        self.assertEqual(gate._all, 1)
        line.close()
        self.assertEqual((self.left, gate._all), (["gone"], 0))

    def test_client_leaves_during_the_proof(self) -> None:
        """A policy that waits for ever holds nothing once the client is gone."""
        waiting: Deferred[bool] = Deferred()

        async def waits(caller: Caller, request: Any) -> bool:
            return await waiting

        api = api_of(self.world, lambda p: ProtectedResource(Resource(), p, waits), "late.baz.test")
        token = delegation(self.bar, self.bar).text({}, aud="https://late.baz.test")
        line = self.line(api=api)
        line.send(f"GET / HTTP/1.1\r\nHost: late.baz.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        gate: Any = api.api.protection.gate
        self.assertEqual(gate._all, 1)
        line.close()
        self.assertEqual(gate._all, 0)

    def test_no_protection(self) -> None:
        """A request that went through none has no caller."""
        self.assertRaises(TypeError, caller_of, object())
