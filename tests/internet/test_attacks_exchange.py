"""T, C, X, D: the token endpoint over mutual TLS."""

import base64
from typing import Any

from attrs import evolve
from cryptography.hazmat.primitives.serialization import Encoding

from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.roles.sts.settings import ClientSettings
from tests.support.attackers import FORM, AttackCase
from tests.support.certificates import client
from tests.support.forgery import (
    ACCESS_TOKEN,
    JWT,
    Forge,
    access,
    agent_of,
    delegation,
    exchange_form,
    impersonation,
    x5t_of,
)

UNKNOWN = (401, "invalid_client", "unknown_client")
BAD_REQUEST = (400, "invalid_request", "malformed")


class TokenCase(AttackCase):
    """bar.test's token endpoint."""

    def refuse(self, raw: bytes, status: int, error: str, reason: str, *, target: str = "/token",
               kind: str = FORM, **headers: str) -> None:  # fmt: skip
        """The endpoint refuses these bytes."""
        response = self.agent_line(self.bar).ask("POST", target, raw, Content_Type=kind, **headers)
        self.require_refused(self.bar, response, status, error, reason)
        self.assertNotIn("access-control-allow-origin", response.headers)

    def form(self, **changes: Any) -> dict[str, str]:
        """A good form with a fresh token, some parameters changed."""
        return exchange_form(self.bar, self.foo, impersonation(self.bar).text(), **changes)

    def refused_form(self, status: int, error: str, reason: str, form: Any) -> None:
        """The endpoint refuses this form."""
        token = dict(form).get("subject_token", "")
        self.require_refused(self.bar, self.exchange(form), status, error, reason, token)


class Endpoint(TokenCase):
    """T: requests that are wrong before any token is looked at."""

    def test_t02_parameters_in_the_url(self) -> None:
        """Parameters in the query are refused even when the body is good."""
        for query in ("x=y", "grant_type=" + FORM, "&", "subject_token=secret"):
            with self.subTest(query=query):
                response = self.agent_line(self.bar).form(f"/token?{query}", self.form())
                self.require_refused(self.bar, response, *BAD_REQUEST)

    def test_t03_other_media_types(self) -> None:
        """A body that is no form."""
        for kind in ("application/json", "multipart/form-data; boundary=x", "text/plain", "", f"x{FORM}", f"{FORM}x"):
            with self.subTest(kind=kind):
                self.refuse(b"grant_type=x", 415, "invalid_request", "unsupported", kind=kind)

    def test_t04_repeated_parameters(self) -> None:
        """Any parameter that comes twice, but for resource and audience."""
        for name, value in self.form().items():
            if name != "resource":
                with self.subTest(name=name):
                    self.refused_form(*BAD_REQUEST, [*self.form().items(), (name, value)])
                    self.refused_form(*BAD_REQUEST, [(name, ""), *self.form().items()])

    def test_t05_x02_empty_is_absent(self) -> None:
        """A subject token that is empty, misspelt or missing never becomes another grant (X-02)."""
        for form in (
            self.form(subject_token=""), self.form(subject_token=...), self.form(subject_token_type=""),
            {**self.form(subject_token=...), "subject_token[]": "x"},
            {**self.form(subject_token=...), "Subject_Token": "x"},
            self.form(grant_type=""), self.form(grant_type=...),
        ):  # fmt: skip
            with self.subTest(form=list(form)):
                self.refused_form(*BAD_REQUEST, form)
        self.assertEqual(self.exchange(self.form(client_secret="", scope="", actor_token="")).status, 200)

    def test_t07_other_grants(self) -> None:
        """A grant type that is not offered."""
        for grant in ("client_credentials", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x", "none"):
            with self.subTest(grant=grant):
                self.refused_form(400, "unsupported_grant_type", "unsupported_grant", self.form(grant_type=grant))

    def test_t10_encodings(self) -> None:
        """Text with two readings."""
        for raw in (b"grant_type=%ff", b"grant_type=%zz", b"grant_type=%", b"grant_type=\xff", b"grant_type=%00",
                    b"grant_type=a;b=c", b"grant_type", b"=x", b"grant_type=a&&", b"grant_type=a b", b"[]",
                    b"&".join(b"a%d=b" % number for number in range(100)), b"grant_type=%c3%28",
                    b"grant_type=%ed%a0%80"):  # fmt: skip
            with self.subTest(raw=raw[:30]):
                self.refuse(raw, *BAD_REQUEST)

    def test_t11_bodies_too_long(self) -> None:
        """A form of more than 64 kB."""
        self.refuse(b"grant_type=" + b"a" * 70000, 413, "invalid_request", "too_large")

    def test_t11_success(self) -> None:
        """The answer is not kept by anybody and open to no other site."""
        response = self.exchange(self.form(), self.agent_line(self.bar))
        self.assertEqual((response.status, response.headers["cache-control"]), (200, "no-store"))
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertNotIn("access-control-allow-origin", response.headers)
        self.assertEqual({*response.json()}, {"access_token", "issued_token_type", "token_type", "expires_in"})
        self.require_silent(self.bar, evolve(response, body=b""), response.json()["access_token"])

    def test_t12_too_many_wrong_attempts(self) -> None:
        """One address that is wrong too often waits; others are served."""
        line = self.line(self.bar, source="45.1.1.1")
        statuses = [line.form("/token", self.form()).status for _ in range(100)]
        self.assertEqual({*statuses}, {401, 429})
        self.assertEqual(statuses, sorted(statuses))
        last = line.form("/token", self.form())
        self.assertGreaterEqual(int(last.headers["retry-after"]), 1)
        self.assertEqual(last.headers["cache-control"], "no-store")
        self.assertEqual({each["refusal"] for each in self.bar.trail.lines}, {"unknown_client"})
        self.assertEqual(self.exchange(self.form()).status, 200)

    def test_t12_requests_that_cannot_be_read_were_not_counted(self) -> None:
        """Who sends what no client is told apart by, waits too; each of them stands in the trail as what it was."""
        for target, body, status in (
            ("/token", b"grant_type=%zz", 400), ("/token", b"grant_type=password", 400), ("/token", b"[" * 70000, 413),
            ("/introspect", b"x=y", 400), ("/revoke", b"x=y", 400),
        ):  # fmt: skip
            with self.subTest(target=target, body=body[:20]):
                self.world.advance(61, 61)
                line = self.line(self.bar, source="45.1.1.1")
                statuses = [line.ask("POST", target, body, Content_Type=FORM).status for _ in range(62)]
                self.assertEqual(statuses, [status] * 60 + [429] * 2)
        self.assertNotIn("too_many", {each["refusal"] for each in self.bar.trail.lines})
        self.assertEqual(self.exchange(self.form()).status, 200)

    def test_t01_methods(self) -> None:
        """Only POST."""
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            with self.subTest(method=method):
                response = self.agent_line(self.bar).ask(method, "/token")
                self.assertEqual((response.status, response.headers["allow"]), (405, "POST"))
                self.assertEqual(response.headers["cache-control"], "no-store")


class Clients(TokenCase):
    """C: a client is the certificate of its connection and nothing else."""

    def test_c01_no_name(self) -> None:
        """A certificate names nobody; `client_id` has to."""
        for name in (
            ...,
            "",
            "_rra.foo.test",
            "_rra.evil.test",
            "_RRA.bar.test",
            "_rra.bar.test.",
            "bob@bar.test",
            "*",
        ):
            with self.subTest(name=name):
                self.refused_form(*UNKNOWN, self.form(client_id=name))

    def test_c03_t13_method_downgrade(self) -> None:
        """No certificate, whatever else is offered instead; unknown and unproved clients look the same (T-13)."""
        extras: tuple[dict[str, str], ...] = (
            {}, {"client_secret": "x"},
            {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
             "client_assertion": impersonation(self.bar).text()},
        )  # fmt: skip
        answers = set()
        for extra in extras:
            for name in ("_rra.bar.test", "_rra.nobody.test"):
                with self.subTest(extra=list(extra), name=name):
                    form = {**self.form(client_id=name), **extra}
                    response = self.line(self.bar).form("/token", form)
                    self.require_refused(self.bar, response, *UNKNOWN, form["subject_token"])
                    answers.add((response.body, response.headers["www-authenticate"]))
        self.assertEqual(len(answers), 1)
        basic = self.line(self.bar).form("/token", self.form(), Authorization="Basic X3JyYS5iYXIudGVzdDp4")
        self.require_refused(self.bar, basic, *UNKNOWN)

    def test_t09_two_proofs(self) -> None:
        """A client that proves itself by its certificate and by something else as well (RFC 6749 2.3)."""
        for extra in ({"client_secret": "x"}, {"client_assertion": "x.y.z"}, {"client_assertion_type": "x"}):
            with self.subTest(extra=extra):
                self.refused_form(*BAD_REQUEST, self.form(**extra))
        for value in ("Basic X3JyYS5iYXIudGVzdDp4", "Bearer x", "DPoP x"):
            response = self.agent_line(self.bar).form("/token", self.form(), Authorization=value)
            self.require_refused(self.bar, response, *BAD_REQUEST)

    def test_m03_same_subject(self) -> None:
        """A self-signed certificate of the same name is another client's."""
        pair = client("_rra", "bar.test")
        response = self.line(self.bar, credential=pair.credential).form("/token", self.form())
        self.require_refused(self.bar, response, *UNKNOWN)

    def test_c04_another_client(self) -> None:
        """A registered client cannot take another one's name or assertion."""
        response = self.agent_line(self.bar, self.foo).form("/token", self.form())
        self.require_refused(self.bar, response, *UNKNOWN)


class Exchanges(TokenCase):
    """X: what a proved client may not ask for."""

    def test_x06_resources(self) -> None:
        """A target that is not exactly one https origin."""
        for resource in ("", ..., "foo.test", "/x", "https://foo.test/", "https://foo.test/x", "https://foo.test#x",
                         "https://u@foo.test", "http://foo.test", "https://FOO.test", "https://1.2.3.4", "https://[::1]",
                         "https://foo.test:443", "urn:x", "https://foo.test?x"):  # fmt: skip
            with self.subTest(resource=resource):
                self.refused_form(400, "invalid_target", "wrong_target", self.form(resource=resource))
        many = [(name, value) for name, value in self.form().items() if name != "resource"]
        for extra in ([("resource", f"https://rs{number}.test") for number in range(50)],
                      [("resource", "https://foo.test"), ("audience", "https://evil.test")],
                      [("audience", "https://foo.test")]):  # fmt: skip
            self.refused_form(400, "invalid_target", "wrong_target", many + extra)

    def test_x08_token_for_another_service(self) -> None:
        """A user's token for another audience, of another issuer, or a delegation, is no subject token."""
        for kind, token in (
            (ACCESS_TOKEN, access(self.bar, audience="https://elsewhere.bar.test").text()),
            (ACCESS_TOKEN, access(self.foo, "bob@bar.test", audience="https://bar.test").text()),
            (ACCESS_TOKEN, delegation(self.bar, self.foo).text()),
            (ACCESS_TOKEN, impersonation(self.bar).text()),
            (JWT, access(self.bar).text()),
            (JWT, delegation(self.bar, self.foo).text()),
            ("urn:ietf:params:oauth:token-type:id_token", access(self.bar).text()),
            ("urn:ietf:params:oauth:token-type:refresh_token", access(self.bar).text()),
            ("urn:ietf:params:oauth:token-type:saml2", "x"),
        ):
            with self.subTest(kind=kind):
                self.refused_form(*BAD_REQUEST, exchange_form(self.bar, self.foo, token, kind))

    def test_x11_impersonation_beyond_the_list(self) -> None:
        """A client names only itself, and users of its domains who exist and are not suspended; an address with an
        extension is its user's, and no way around that."""
        self.bar.add_user("eve", suspended=True)
        good = impersonation(self.bar)
        changes: tuple[dict[str, Any], ...] = (
            {"iss": "_rra.foo.test"}, {"iss": "bar.test"}, {"iss": "https://bar.test"}, {"iss": "bob@bar.test"},
            {"sub": "alice@foo.test"}, {"sub": "bob@evil.test"}, {"sub": "nobody@bar.test"}, {"sub": "eve@bar.test"},
            {"sub": "bob@sub.bar.test"}, {"sub": "postmaster@bar.test"}, {"sub": "eve+x@bar.test"},
            {"sub": "nobody+x@bar.test"}, {"sub": "+x@bar.test"}, {"sub": "bob+x@sub.bar.test"},
        )  # fmt: skip
        for number, change in enumerate(changes):
            with self.subTest(change=change):
                token = good.text(**{**change, "jti": f"x11-{number}"})
                self.refused_form(*BAD_REQUEST, exchange_form(self.bar, self.foo, token))

    def test_x11_registered_client(self) -> None:
        """A client of the settings speaks for nobody unless a list says so, and asks only for its targets."""
        pair = client("_rra", "partner.test")
        path = self.bar.plan.folder / "partner.pem"
        path.write_bytes(pair.certificate_pem)

        def change(**more: Any) -> Any:
            entry = ClientSettings(parse_client_identifier("_rra.partner.test"), certificate=(str(path),), **more)
            return lambda settings: evolve(settings, sts=evolve(settings.sts, clients=(entry,)))

        for name, more, status in (
            ("none.test", {}, 400), ("one.test", {"impersonate": (parse_domain("one.test"),)}, 200),
            ("two.test", {"impersonate": (parse_domain("two.test"),), "targets": ("https://rs.test",)}, 400),
        ):  # fmt: skip
            with self.subTest(name=name):
                domain = self.world.domain(name, change(**more))
                domain.add_user("bob")
                forge = impersonation(self.bar, f"bob@{name}", domain)
                token = Forge(forge.header, forge.claims, pair.key).text(
                    iss="_rra.partner.test", cnf={"x5t#S256": x5t_of(pair.credential).b64}
                )
                form = exchange_form(self.bar, self.foo, token, client_id="_rra.partner.test")
                line = self.line(domain, credential=pair.credential)
                self.assertEqual(line.form("/token", form).status, status)

    def test_x12_confirmation(self) -> None:
        """An assertion that is bound to no certificate, another one, or in another way."""
        cnf: Any
        own = impersonation(self.bar).claims["cnf"]["x5t#S256"]
        other = impersonation(self.foo, "alice@foo.test").claims["cnf"]["x5t#S256"]
        for cnf in (..., None, {}, [], own, {"x5t#S256": other}, {"x5t#S256": own + "="}, {"x5t#S256": own.lower()},
                    {"x5t#S256": ""}, {"x5t": own}, {"jkt": own}, {"x5t#S256": own, "jkt": own}, {"x5t#S256": [own]},
                    {"x5t#S256": own, "jwk": {}}, {"x5t#S256": own[:-1]}, {"X5T#S256": own}):  # fmt: skip
            with self.subTest(cnf=cnf):
                token = impersonation(self.bar).text(cnf=cnf)
                self.refused_form(*BAD_REQUEST, exchange_form(self.bar, self.foo, token))

    def test_x14_x15_actors(self) -> None:
        """An actor token is refused, and so is a subject token that names another actor, or a chain that is none."""
        token = impersonation(self.bar).text()
        for change in ({"actor_token": token, "actor_token_type": JWT},
                       {"actor_token": token}, {"actor_token_type": JWT}):  # fmt: skip
            self.refused_form(*BAD_REQUEST, self.form(**change))
        wrong: tuple[dict[str, Any], ...] = (
            {"act": {}}, {"act": None}, {"act": {"sub": "a", "exp": 1}}, {"may_act": {}}, {"may_act": None},
            {"may_act": {"sub": "_rra.evil.test"}}, {"may_act": "_rra.bar.test"},
        )  # fmt: skip
        for claims in wrong:
            with self.subTest(claims=claims):
                forged = access(self.bar, **claims).text()
                self.refused_form(*BAD_REQUEST, exchange_form(self.bar, self.foo, forged, ACCESS_TOKEN))

    def test_x16_scope_and_details(self) -> None:
        """A scope, or details of another type, is refused and not ignored."""
        self.refused_form(400, "invalid_scope", "wrong_scope", self.form(scope="mail"))
        for details in ("x", "{}", "[]", '[{"type":"other","message_id":"1"}]', '[{"type":"rrs_message"}]', '["x"]',
                        '[{"type":"rrs_message","message_id":"1","more":1}]', '[{"type":"rrs_message","message_id":7}]',
                        "[" * 1000):  # fmt: skip
            with self.subTest(details=details[:20]):
                self.refused_form(*BAD_REQUEST, self.form(authorization_details=details))
        for kind in ("urn:ietf:params:oauth:token-type:access_token", "x"):
            self.refused_form(*BAD_REQUEST, self.form(requested_token_type=kind))

    def test_x13_life(self) -> None:
        """A delegation ends with the token that it was made from, and after five minutes at the latest."""
        form = exchange_form(self.bar, self.foo, access(self.bar).text(), ACCESS_TOKEN)
        self.assertEqual(self.exchange(form).json()["expires_in"], 300)
        now = int(self.world.clock.seconds())
        short = access(self.bar, exp=now + 100).text()
        self.assertLessEqual(
            self.exchange(exchange_form(self.bar, self.foo, short, ACCESS_TOKEN)).json()["expires_in"], 100
        )
        self.assertLessEqual(self.exchange(self.form()).json()["expires_in"], 60)

    def test_m10_another_client_on_the_same_connection(self) -> None:
        """Each request on a kept connection has to name the client of the certificate."""
        line = self.agent_line(self.bar)
        self.assertEqual(line.form("/token", self.form()).status, 200)
        self.bar.trail.lines.clear()
        response = line.form("/token", self.form(client_id="_rra.other.test"))
        self.require_refused(self.bar, response, *UNKNOWN)
        self.assertEqual(line.form("/token", self.form()).status, 200)

    def test_m11_certificates_in_headers(self) -> None:
        """A certificate in a header is nobody's."""
        pem = agent_of(self.bar).chain[0]
        der = base64.b64encode(pem.public_bytes(Encoding.DER)).decode()
        for name, value in (("Client-Cert", f":{der}:"), ("X-Client-Cert", der), ("X-SSL-Client-Cert", der),
                            ("X-Forwarded-Client-Cert", f"Cert={der}"), ("X-SSL-Client-Verify", "SUCCESS"),
                            ("X-SSL-Client-S-DN", "CN=bar.test,OU=_rra"), ("SSL_CLIENT_CERT", der)):  # fmt: skip
            with self.subTest(name=name):
                response = self.line(self.bar).form("/token", self.form(), **{name: value})
                self.require_refused(self.bar, response, *UNKNOWN)

    def test_z08_audit_down(self) -> None:
        """Where no line can be written nothing is issued."""
        self.bar.whole.means.audit.trail = Full()
        response = self.exchange(self.form())
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.assertNotIn(b"access_token", response.body)


class Full:
    """A trail on a full disk."""

    def record(self, event: object) -> None:
        """There is no room."""
        raise OSError(28, "No space left on device")
