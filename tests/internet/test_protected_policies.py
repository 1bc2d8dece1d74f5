"""Policies of a protected API, and trees of resources behind the same proofs."""

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from typing_extensions import override

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
from tests.support.apicases import ApiCase
from tests.support.apis import api_of, orders
from tests.support.forgery import delegation


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
        (line,) = self.tree.trail.of("fault")
        self.assertEqual((line["outcome"], line["resource"]), ("failed", "GET /broken"))

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
