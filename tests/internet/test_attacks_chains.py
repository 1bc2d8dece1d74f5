"""X: tokens that are passed on, and what must not get lost, wider or longer on the way, over TLS."""

from typing import Any

from rrsd.core.wire.jose import parse_jws
from tests.support.attackers import AttackCase, Response
from tests.support.certificates import Pair, client
from tests.support.forgery import ACCESS_TOKEN, access, delegation, exchange_form, impersonation, x5t_of

BAD_REQUEST = (400, "invalid_request", "malformed")
DETAILS = '[{"type":"rrs_message","message_id":"%s"}]'


class PassingOn(AttackCase):
    """The gateway pattern: a resource server of foo.test asks bar.test's token service for a token to go on with."""

    def setUp(self) -> None:
        """The gateway serves https://foo.test, a second one https://two.test."""
        super().setUp()
        self.gateway, self.second = client("_gw", "foo.test"), client("_gw", "two.test")
        for name, pair, audience in (("_gw.foo.test", self.gateway, "https://foo.test"),
                                     ("_gw.two.test", self.second, "https://two.test")):  # fmt: skip
            document = {"certificates": [pair.certificate_pem.decode()], "audiences": [audience]}
            self.world.result(self.bar.whole.people.registry.add(name, document))
        self.bar.trail.lines.clear()

    def pass_on(self, token: str, pair: Pair | None = None, name: str = "_gw.foo.test", **changes: Any) -> Response:
        """What the token service says to a gateway."""
        form = {**exchange_form(self.bar, self.foo, token, client_id=name), "resource": "https://two.test", **changes}
        return self.line(self.bar, credential=(pair or self.gateway).credential).form("/token", form)

    def claims(self, response: Response) -> dict[str, Any]:
        """What was issued."""
        self.assertEqual(response.status, 200, response)
        self.bar.trail.lines.clear()
        return dict(parse_jws(response.json()["access_token"]).claims)

    def refuse(self, response: Response, *as_what: Any) -> None:
        """It is a refusal."""
        self.require_refused(self.bar, response, *(as_what or BAD_REQUEST))

    def test_good(self) -> None:
        """The gateway acts, the agent acted; the user stays, the binding is the gateway's, the end is no later."""
        text = delegation(self.bar, self.foo).text(exp=int(self.world.clock.seconds()) + 100)
        said = self.claims(self.pass_on(text))
        self.assertEqual(said["act"], {"sub": "_gw.foo.test", "act": {"sub": "_rra.bar.test"}})
        self.assertEqual(
            (said["sub"], said["aud"], said["client_id"]), ("bob@bar.test", "https://two.test", "_gw.foo.test")
        )
        self.assertEqual(said["cnf"], {"x5t#S256": x5t_of(self.gateway.credential).b64})
        self.assertLessEqual(said["exp"], int(self.world.clock.seconds()) + 100)

    def test_x15_chains_grow_to_a_limit(self) -> None:
        """Each one who passes it on stands above those before; beyond the limit nobody does."""
        first = self.pass_on(delegation(self.bar, self.foo).text()).json()["access_token"]
        form: dict[str, Any] = {"pair": self.second, "name": "_gw.two.test", "resource": "https://foo.test"}
        second = self.pass_on(first, **form)
        said = self.claims(second)
        self.assertEqual(said["act"]["act"]["act"], {"sub": "_rra.bar.test"})
        third = self.pass_on(second.json()["access_token"])
        self.assertEqual(third.status, 200)
        self.bar.trail.lines.clear()
        self.refuse(self.pass_on(third.json()["access_token"], **form))

    def test_x20_not_the_recipient(self) -> None:
        """A delegation in the hands of one who does not serve its audience: another gateway, or the agent itself."""
        text = delegation(self.bar, self.foo).text()
        self.refuse(self.pass_on(text, self.second, "_gw.two.test"))
        self.refuse(self.exchange(exchange_form(self.bar, self.foo, text)))

    def test_x08_delegations_of_others(self) -> None:
        """Of another issuer, spoiled, over, or declared as what it is not."""
        now = int(self.world.clock.seconds())
        good = delegation(self.bar, self.foo)
        for text in (delegation(self.foo, self.foo, "alice@foo.test").text(), good.text(iss="https://foo.test"),
                     good.text(exp=now - 40, iat=now - 100, nbf=now - 100), good.text(exp=now + 301),
                     good.text(cnf=...), good.text(act=...), good.text()[:-6] + "AAAAAA",
                     good.text(sub="nobody@bar.test")):  # fmt: skip
            self.refuse(self.pass_on(text))
        self.refuse(self.pass_on(good.text(), subject_token_type=ACCESS_TOKEN))

    def test_x14_may_act(self) -> None:
        """A delegation that says who may act next: that one only, and the limit goes on with it."""
        good = delegation(self.bar, self.foo)
        self.refuse(self.pass_on(good.text(may_act={"sub": "_gw.two.test"})))
        said = self.claims(self.pass_on(good.text(may_act={"sub": "_gw.foo.test"})))
        self.assertEqual(said["may_act"], {"sub": "_gw.foo.test"})

    def test_messages_only_shrink(self) -> None:
        """What a delegation does not permit cannot be asked for; what is not asked for stays as it was."""
        one = [{"type": "rrs_message", "message_id": "1@foo.test"}]
        both = [*one, {"type": "rrs_message", "message_id": "2@foo.test"}]
        good = delegation(self.bar, self.foo)
        said = self.claims(
            self.pass_on(good.text(authorization_details=both), authorization_details=DETAILS % "1@foo.test")
        )
        self.assertEqual(said["authorization_details"], one)
        self.assertEqual(self.claims(self.pass_on(good.text(authorization_details=one)))["authorization_details"], one)
        said = self.claims(self.pass_on(good.text(), authorization_details=DETAILS % "1@foo.test"))
        self.assertEqual(said["authorization_details"], one)
        self.refuse(self.pass_on(good.text(authorization_details=one), authorization_details=DETAILS % "2@foo.test"))

    def test_x18_targets(self) -> None:
        """A client that may ask for one resource server only."""
        pair = client("_one", "foo.test")
        document = {"certificates": [pair.certificate_pem.decode()], "audiences": ["https://foo.test"],
                    "targets": ["https://one.test"]}  # fmt: skip
        self.world.result(self.bar.whole.people.registry.add("_one.foo.test", document))
        self.bar.trail.lines.clear()
        token = delegation(self.bar, self.foo).text()
        self.refuse(self.pass_on(token, pair, "_one.foo.test"), 400, "invalid_target", "wrong_target")

    def test_the_resource_server_looks_at_the_outermost_actor(self) -> None:
        """foo.test takes a delegation by the client that presents it, whoever acted before."""
        text = delegation(self.bar, self.foo).text(act={"sub": "_rra.bar.test", "act": {"sub": "_gw.evil.test"}})
        response = self.agent_line(self.foo).ask("GET", self.target, Authorization=f"Bearer {text}")
        self.assertEqual(response.status, 200)
        text = delegation(self.bar, self.foo).text(act={"sub": "_gw.evil.test", "act": {"sub": "_rra.bar.test"}})
        response = self.agent_line(self.foo).ask("GET", self.target, Authorization=f"Bearer {text}")
        self.assertEqual(response.status, 401)


class Narrowing(AttackCase):
    """An access token becomes one that permits less, bound to the client (RFC 8693 2.2.1, RFC 8705 3)."""

    def narrow(self, *, scope: str = "mail openid", **changes: Any) -> Response:
        """The agent exchanges bob's token for one for bar.test's own API."""
        text = access(self.bar, **{"scope": scope, **changes.pop("claims", {})}).text()
        given = {"requested_token_type": ACCESS_TOKEN, **changes}
        return self.exchange(exchange_form(self.bar, self.bar, text, ACCESS_TOKEN, **given))

    def claims(self, response: Response) -> dict[str, Any]:
        """What was issued."""
        self.assertEqual(response.status, 200, response)
        self.bar.trail.lines.clear()
        self.assertEqual(response.json()["issued_token_type"], ACCESS_TOKEN)
        return dict(parse_jws(response.json()["access_token"]).claims)

    def test_scopes_only_shrink(self) -> None:
        """Less, or the same; never more, and never nothing."""
        self.assertEqual(self.narrow(scope="mail openid").json()["scope"], "mail openid")
        for asked, left in (("mail", "mail"), ("openid mail", "mail openid")):
            text = access(self.bar, scope="mail openid").text()
            form = exchange_form(self.bar, self.bar, text, ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN, scope=asked)
            self.assertEqual(self.claims(self.exchange(form))["scope"], left)
        for asked in ("email", "mail email", "MAIL", "mail  openid", "mail\topenid", '"mail"'):
            text = access(self.bar, scope="mail openid").text()
            form = exchange_form(self.bar, self.bar, text, ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN, scope=asked)
            response = self.exchange(form)
            self.require_refused(self.bar, response, 400, "invalid_scope", "wrong_scope", text)
        self.bar.trail.lines.clear()
        response = self.narrow(claims={"scope": ...})
        self.assertEqual((response.status, response.json()["error"]), (400, "invalid_scope"))

    def test_x22_x23_binding_and_life(self) -> None:
        """The new one is the client's: its certificate, its name in the chain, and no longer than the old one."""
        now = int(self.world.clock.seconds())
        old = {"sub": "_app.bar.test"}
        said = self.claims(self.narrow(claims={"exp": now + 50, "act": old, "cnf": {"x5t#S256": "A" * 43}}))
        self.assertEqual(said["act"], {"sub": "_rra.bar.test", "act": old})
        self.assertEqual(
            (said["client_id"], said["sub"], said["aud"]), ("_rra.bar.test", "bob@bar.test", "https://bar.test")
        )
        self.assertNotEqual(said["cnf"]["x5t#S256"], "A" * 43)
        self.assertLessEqual(said["exp"], now + 50)
        self.assertLessEqual(self.claims(self.narrow())["exp"], now + 300)

    def test_it_opens_what_it_says_and_only_over_its_certificate(self) -> None:
        """The API takes it over the connection that it is bound to."""
        token = self.narrow().json()["access_token"]
        bearer = f"Bearer {token}"
        self.assertEqual(self.agent_line(self.bar).ask("GET", "/api/messages", Authorization=bearer).status, 200)
        self.assertEqual(self.line(self.bar).ask("GET", "/api/messages", Authorization=bearer).status, 401)

    def test_x18_other_audiences(self) -> None:
        """Access tokens are for our own API; for anybody else there are delegations."""
        text = access(self.bar).text()
        form = exchange_form(self.bar, self.foo, text, ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN)
        self.require_refused(self.bar, self.exchange(form), 400, "invalid_target", "wrong_target", text)

    def test_only_an_access_token_becomes_one(self) -> None:
        """Neither an assertion nor a delegation gives a scope; and messages are no scope."""
        for token in (impersonation(self.bar).text(), delegation(self.bar, self.foo).text()):
            form = exchange_form(self.bar, self.bar, token, requested_token_type=ACCESS_TOKEN)
            self.require_refused(self.bar, self.exchange(form), *BAD_REQUEST, token)
        response = self.narrow(authorization_details=DETAILS % "1@foo.test")
        self.assertEqual(response.status, 400)

    def test_x18_a_token_that_permits_no_mail(self) -> None:
        """A login for something else becomes no delegation (CVE-2026-56668)."""
        for scope in ("openid email", "mails", "MAIL"):
            text = access(self.bar, scope=scope).text()
            form = exchange_form(self.bar, self.foo, text, ACCESS_TOKEN)
            self.require_refused(self.bar, self.exchange(form), *BAD_REQUEST, text)
