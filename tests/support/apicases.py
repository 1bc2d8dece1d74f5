"""A protected API of its own, and callers that may or may not."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.apis import MemoryApi, api_of, orders
from tests.support.attackers import Line, Response
from tests.support.forgery import JWT, agent_of, delegation, exchange_form
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
