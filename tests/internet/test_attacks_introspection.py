"""I: who may ask whether a token is active, about which, and how a token ends early, over TLS."""

from typing import Any

from rrsd.core.proof import signatures
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.jose import parse_jws
from tests.support.attackers import FORM, AttackCase, Line, Response
from tests.support.certificates import Pair, client
from tests.support.forgery import ACCESS_TOKEN, access, delegation, exchange_form, impersonation
from tests.support.parties import Signing
from tests.support.world import MemoryDomain

UNKNOWN = (401, "invalid_client", "unknown_client")
BAD_REQUEST = (400, "invalid_request", "malformed")
RS_NAME, OTHER_NAME, MAIL_NAME = "_rs.foo.test", "_rs.other.test", "_dovecot.bar.test"


class TokensCase(AttackCase):
    """bar.test's token service; a resource server of foo.test and one of other.test may ask it."""

    def setUp(self) -> None:
        """Both with a certificate of their own; a mail server that signs, and compares no certificates."""
        super().setUp()
        self.rs, self.other = client("_rs", "foo.test"), client("_rs", "other.test")
        self.add(RS_NAME, self.rs, audiences=["https://foo.test"], introspect=True)
        self.add(OTHER_NAME, self.other, audiences=["https://other.test"], introspect=True)
        self.mail = Signing(MAIL_NAME)
        registry = self.bar.whole.people.registry
        self.world.result(registry.add(MAIL_NAME, {
            "auth": "private_key_jwt", "jwks": self.mail.jwks, "audiences": ["https://bar.test", "https://foo.test"],
            "introspect": True, "mtls": False,
        }))  # fmt: skip
        self.bar.trail.lines.clear()

    def add(self, name: str, pair: Pair, **document: Any) -> None:
        """The administrator registers a client."""
        given = {"certificates": [pair.certificate_pem.decode()], **document}
        self.world.result(self.bar.whole.people.registry.add(name, given))

    def ask(self, token: str, pair: Pair | None = None, name: str = RS_NAME, **more: str) -> Response:
        """What a resource server hears."""
        line = self.line(self.bar, credential=(pair or self.rs).credential)
        return self.said(line, {"token": token, "client_id": name}, **more)

    def said(self, line: Line, form: dict[str, str], target: str = "/introspect", **headers: str) -> Response:
        """What an endpoint says."""
        return line.form(target, form, **headers)

    def ask_by_mail(self, token: str) -> Response:
        """What the mail server hears; it needs no certificate."""
        proof = self.mail.proof(self.bar.settings.domain.issuer, self.world.now)
        return self.line(self.bar).form("/introspect", {**proof, "token": token})

    def require_active(self, response: Response) -> dict[str, Any]:
        """The token is active."""
        self.assertEqual((response.status, response.headers["cache-control"]), (200, "no-store"), response)
        self.assertIs(response.json()["active"], True, self.bar.trail.lines)
        self.bar.trail.lines.clear()
        return dict(response.json())

    def require_inactive(self, response: Response, reason: str) -> None:
        """The token is not active, nothing else is said, and the trail has the reason."""
        self.assertEqual((response.status, response.json()), (200, {"active": False}), response)
        (line,) = self.bar.trail.lines
        self.assertEqual((line["what"], line["outcome"], line["refusal"]), ("introspect", "refused", reason))
        self.bar.trail.lines.clear()

    def delegated(self, rs: MemoryDomain | None = None) -> str:
        """A delegation that the token service really issued to bar.test's agent."""
        form = exchange_form(self.bar, rs or self.foo, impersonation(self.bar).text())
        token = str(self.exchange(form).json()["access_token"])
        self.bar.trail.lines.clear()
        return token


class Introspection(TokensCase):
    """RFC 7662 and RFC 9701."""

    def test_active(self) -> None:
        """A delegation, to the resource server that it is for, with everything that it needs to decide."""
        said = self.require_active(self.ask(self.delegated()))
        self.assertEqual(
            (said["sub"], said["aud"], said["client_id"]), ("bob@bar.test", "https://foo.test", "_rra.bar.test")
        )
        self.assertEqual((said["act"], said["token_type"]), ({"sub": "_rra.bar.test"}, "N_A"))
        self.assertEqual(set(said["cnf"]), {"x5t#S256"})
        self.assertLessEqual({"iss", "iat", "exp", "jti"}, said.keys())

    def test_active_access_token(self) -> None:
        """A user's access token, to a client that serves its audience; our own agent, for example."""
        line = self.agent_line(self.bar)
        said = self.require_active(self.said(line, {"token": access(self.bar).text(), "client_id": "_rra.bar.test"}))
        self.assertEqual((said["scope"], said["token_type"], said["sub"]), ("mail", "Bearer", "bob@bar.test"))
        self.require_active(self.ask_by_mail(access(self.bar).text()))

    def test_i02_another_resource_server(self) -> None:
        """A token for one resource server, asked about by another: inactive, and no more than that."""
        token = self.delegated()
        self.require_inactive(self.ask(token, self.other, OTHER_NAME), "forbidden")
        self.require_inactive(self.ask(access(self.bar).text()), "forbidden")

    def test_i04_bound_token_without_mutual_tls(self) -> None:
        """Whoever compares no certificates must not take a bound token for a good one."""
        self.require_inactive(self.ask_by_mail(self.delegated()), "forbidden")
        bound = access(self.bar, cnf={"x5t#S256": "A" * 43}).text()
        self.require_inactive(self.ask_by_mail(bound), "forbidden")

    def test_i05_wrong_hint(self) -> None:
        """A hint only tells where to look first."""
        for hint in ("refresh_token", "access_token", "pct", "x"):
            form = {"token": self.delegated(), "token_type_hint": hint, "client_id": RS_NAME}
            self.require_active(self.said(self.line(self.bar, credential=self.rs.credential), form))

    def test_i06_methods_and_places(self) -> None:
        """A token in the URL, or another method, or another media type."""
        line = self.line(self.bar, credential=self.rs.credential)
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            response = line.ask(method, "/introspect?token=x")
            self.assertEqual((response.status, response.headers["allow"]), (405, "POST"))
        token = self.delegated()
        response = line.form(f"/introspect?token={token}", {"client_id": RS_NAME})
        self.require_refused(self.bar, response, *BAD_REQUEST, token)
        response = line.form("/introspect", {"client_id": RS_NAME})
        self.require_refused(self.bar, response, *BAD_REQUEST)
        response = line.form("/introspect", {"client_id": RS_NAME, "token": ""})
        self.require_refused(self.bar, response, *BAD_REQUEST)
        response = line.ask("POST", "/introspect", b"{}", Content_Type="application/json")
        self.require_refused(self.bar, response, 415, "invalid_request", "unsupported")
        response = line.ask("POST", "/introspect", b"token=a&token=b&client_id=x", Content_Type=FORM)
        self.require_refused(self.bar, response, *BAD_REQUEST)

    def test_i08_signed_answers(self) -> None:
        """A JWT of its own type for the caller alone, with `sub` and `exp` only inside: no access token to anybody."""
        token = self.delegated()
        for good in (True, False):
            asked = token if good else "x.y.z"
            response = self.ask(asked, Accept="application/token-introspection+jwt")
            self.assertEqual(response.headers["content-type"], "application/token-introspection+jwt")
            self.assertEqual(response.headers["cache-control"], "no-store")
            jws = parse_jws(response.body.decode())
            signatures.verify(jws, self.bar.whole.means.doors.keyring.published())
            self.assertEqual(jws.typ, Kind.INTROSPECTION)
            self.assertEqual(set(jws.claims), {"iss", "aud", "iat", "token_introspection"})
            self.assertEqual((jws.claims["aud"], jws.claims["iss"]), (RS_NAME, "https://bar.test"))
            self.assertIs(jws.claims["token_introspection"]["active"], good)
            self.bar.trail.lines.clear()
            for kind in (ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"):
                form = exchange_form(self.bar, self.foo, response.body.decode(), kind)
                self.require_refused(self.bar, self.exchange(form), *BAD_REQUEST)
        self.require_active(self.ask(token, Accept="application/json, application/token-introspection+jwt"))

    def test_i09_scanning(self) -> None:
        """Whoever asks about many tokens that are none has to wait, and leaves a line for each; others go on."""
        line = self.line(self.bar, credential=self.rs.credential)
        answers = [self.said(line, {"token": f"guess-{number}", "client_id": RS_NAME}) for number in range(130)]
        statuses = [each.status for each in answers]
        self.assertEqual(statuses, [200] * 120 + [429] * 10)
        self.assertGreaterEqual(int(answers[-1].headers["retry-after"]), 1)
        lines = self.bar.trail.of("introspect")
        self.assertEqual((len(lines), {each["outcome"] for each in lines}), (130, {"refused"}))
        self.bar.trail.lines.clear()
        self.require_inactive(self.ask("guess", self.other, OTHER_NAME), "malformed")
        self.require_active(self.ask(self.delegated()))

    def test_t13_callers(self) -> None:
        """A caller that proves nothing, or another client, or a client that may not ask."""
        token = self.delegated()
        response = self.said(self.line(self.bar), {"token": token, "client_id": RS_NAME})
        self.require_refused(self.bar, response, *UNKNOWN, token)
        self.require_refused(self.bar, self.ask(token, self.other), *UNKNOWN, token)
        self.require_refused(self.bar, self.ask(token, name="_rs.nobody.test"), *UNKNOWN, token)
        self.require_refused(self.bar, self.ask(token, name=""), *UNKNOWN, token)
        response = self.said(self.line(self.bar), {"token": token, "client_id": "rrsctl"})
        self.require_refused(self.bar, response, *UNKNOWN, token)
        basic = self.said(self.line(self.bar), {"token": token}, Authorization="Basic eDp5")
        self.require_refused(self.bar, basic, *UNKNOWN, token)
        pair = client("_app", "bar.test")
        self.add("_app.bar.test", pair, audiences=["https://foo.test"])
        self.bar.trail.lines.clear()
        response = self.ask(token, pair, "_app.bar.test")
        self.require_refused(self.bar, response, 403, "access_denied", "forbidden", token)

    def test_tokens_that_are_not_active(self) -> None:
        """Spoiled, foreign, over, of a user who is gone, or of another kind altogether."""
        good = delegation(self.bar, self.foo)
        now = int(self.world.clock.seconds())
        self.bar.add_user("eve", suspended=True)
        old = good.text(exp=now - 60, iat=now - 120, nbf=now - 120)
        other = delegation(self.foo, self.foo, "alice@foo.test")
        for token, reason in (
            ("guess", "malformed"), ("x" * 20000, "too_large"), (good.text()[:-6] + "AAAAAA", "unproven"),
            (good.text(iss="https://foo.test"), "unproven"), (old, "expired"),
            (good.text(exp=now + 301), "unproven"), (good.text(sub="eve@bar.test"), "forbidden"),
            (good.text(sub="nobody@bar.test"), "unknown"), (good.text({"alg": "none"}), "malformed"),
            (good.text({"typ": "JWT"}), "unproven"), (good.text({"typ": "rrs-receipt+jwt"}), "unproven"),
            (other.text(), "unproven"), (impersonation(self.bar).text(), "unproven"),
            (access(self.foo, "bob@bar.test").text(), "unproven"),
        ):  # fmt: skip
            with self.subTest(reason=reason, token=token[:20]):
                self.require_inactive(self.ask(token), reason)


class Revocation(TokensCase):
    """RFC 7009, for tokens of the token service's clients and of the provider's."""

    def revoke(self, form: dict[str, str], line: Line | None = None) -> Response:
        """What the endpoint says."""
        return self.said(line or self.agent_line(self.bar), form, "/revoke")

    def test_delegation(self) -> None:
        """The client that it was issued to ends it: whoever asks hears so, and it is passed on no more."""
        token = self.delegated()
        self.require_active(self.ask(token))
        done = self.revoke({"token": token, "client_id": "_rra.bar.test", "token_type_hint": "refresh_token"})
        self.assertEqual((done.status, done.json(), done.headers["cache-control"]), (200, {}, "no-store"))
        (line,) = self.bar.trail.of("revoke")
        self.assertEqual((line["outcome"], line["who"], line["subject"]), ("granted", "_rra.bar.test", "bob@bar.test"))
        self.bar.trail.lines.clear()
        self.require_inactive(self.ask(token), "unproven")
        form = {**exchange_form(self.bar, self.foo, token), "client_id": RS_NAME}
        response = self.said(self.line(self.bar, credential=self.rs.credential), form, "/token")
        self.require_refused(self.bar, response, *BAD_REQUEST, token)
        self.require_active(self.ask(self.delegated()))

    def test_i10_token_of_another_client(self) -> None:
        """Another client's token is left alone; one that nobody knows is as good as revoked."""
        token = self.delegated()
        line = self.line(self.bar, credential=self.rs.credential)
        response = self.revoke({"token": token, "client_id": RS_NAME}, line)
        self.require_refused(self.bar, response, 400, "invalid_grant", "not_granted", token)
        self.require_active(self.ask(token))
        for unknown in ("guess", "a.b.c", access(self.foo, "bob@bar.test").text()):
            self.assertEqual(self.revoke({"token": unknown, "client_id": RS_NAME}, line).status, 200)
        user = self.bar.access_token("bob")
        response = self.revoke({"token": user, "client_id": RS_NAME}, line)
        self.assertEqual((response.status, response.json()["error"]), (400, "invalid_grant"))

    def test_access_token_of_a_user(self) -> None:
        """A program ends its own access token; then it opens nothing, and becomes nothing."""
        token = self.bar.access_token("bob")
        bearer = f"Bearer {token}"
        self.assertEqual(self.line(self.bar).ask("GET", "/api/messages", Authorization=bearer).status, 200)
        response = self.revoke({"token": token, "client_id": "rrsctl"}, self.line(self.bar))
        self.assertEqual(response.status, 200)
        self.bar.trail.lines.clear()
        response = self.line(self.bar).ask("GET", "/api/messages", Authorization=bearer)
        self.require_refused(self.bar, response, 401, "invalid_token", "unproven", token)
        form = exchange_form(self.bar, self.foo, token, ACCESS_TOKEN)
        self.require_refused(self.bar, self.exchange(form), *BAD_REQUEST, token)
        self.require_inactive(self.ask_by_mail(token), "unproven")

    def test_i11_login_and_its_tokens(self) -> None:
        """What was issued of a login ends with it, narrower tokens of clients included."""
        token = access(self.bar, sid="login-1").text()
        form = exchange_form(self.bar, self.bar, token, ACCESS_TOKEN, requested_token_type=ACCESS_TOKEN)
        narrow = self.exchange(form).json()["access_token"]
        self.bar.trail.lines.clear()
        issuer = self.bar.settings.domain.issuer
        until = self.world.now.replace(year=self.world.now.year + 1)
        revoked = self.bar.store.revocations.revoke(f"{issuer} login login-1", until)
        self.world.result(revoked)
        for each in (token, narrow):
            self.require_inactive(self.said(self.agent_line(self.bar), {"token": each, "client_id": "_rra.bar.test"}),
                                  "unproven")  # fmt: skip

    def test_i06_methods_and_places(self) -> None:
        """As with introspection."""
        line = self.agent_line(self.bar)
        self.assertEqual(line.ask("GET", "/revoke?token=x").status, 405)
        for response in (line.form("/revoke?token=x", {"client_id": "_rra.bar.test"}),
                         line.form("/revoke", {"client_id": "_rra.bar.test"})):  # fmt: skip
            self.assertEqual(response.status, 400)
        response = self.revoke({"token": "x", "client_id": "_rra.bar.test"}, self.line(self.bar))
        self.bar.trail.lines.pop(0)
        self.bar.trail.lines.pop(0)
        self.require_refused(self.bar, response, *UNKNOWN)


class Announced(TokensCase):
    """W: what the metadata promises is there, and nothing else."""

    def test_w_metadata(self) -> None:
        """Every endpoint answers, every method of client authentication is one that is taken."""
        said = self.line(self.bar).ask("GET", "/.well-known/oauth-authorization-server").json()
        for endpoint in ("token", "introspection", "revocation"):
            url = said[f"{endpoint}_endpoint"]
            target = url.removeprefix("https://bar.test")
            self.assertEqual(self.line(self.bar).ask("GET", target).status, 405)
            methods = set(said[f"{endpoint}_endpoint_auth_methods_supported"])
            public = set() if endpoint == "introspection" else {"none"}
            signed = {"self_signed_tls_client_auth", "tls_client_auth", "private_key_jwt"}
            self.assertEqual(methods, signed | public)
            self.assertEqual(said[f"{endpoint}_endpoint_auth_signing_alg_values_supported"],
                             ["ES256", "EdDSA", "PS256", "RS256"])  # fmt: skip
        self.assertEqual(said["introspection_signing_alg_values_supported"], ["ES256"])
