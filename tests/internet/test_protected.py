"""Propagation beyond mail (source 004): a third party's API takes the delegations of every domain, and nothing else."""

import errno
from typing import Any

from rrsd.core.values.records import Verdict
from tests.support.apicases import BOB, CHALLENGE, ORIGIN, ApiCase
from tests.support.apis import api_of, orders
from tests.support.attackers import Line
from tests.support.certificates import client
from tests.support.forgery import ACCESS_TOKEN, access, agent_of, delegation, impersonation, pair_of


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
