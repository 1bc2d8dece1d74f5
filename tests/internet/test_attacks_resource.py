"""S, D: the Resource Server over mutual TLS, and what its own users' programs may ask."""

import json
from typing import Any

from rrsd.core.values.digests import digest_of
from rrsd.core.wire.fields import chunks_path, etag, ni_path
from tests.support.attackers import AttackCase, Response
from tests.support.certificates import client
from tests.support.forgery import Forge, access, agent_of, delegation, impersonation, pair_of, receipt
from tests.support.world import MemoryDomain

TOKEN = (401, "invalid_token", "unproven")


class Resources(AttackCase):
    """What a stranger may not have."""

    def fetch(self, token: str, target: str = "", of: MemoryDomain | None = None, **headers: Any) -> Response:
        """Ask foo.test with the token over bar.test's certificate, or another domain's."""
        line = self.agent_line(self.foo, of)
        return line.ask("GET", target or self.target, Authorization=f"Bearer {token}", **headers)

    def refuse(self, token: str, status: int, error: str, reason: str, **options: Any) -> None:
        """The Resource Server refuses it."""
        self.require_refused(self.foo, self.fetch(token, **options), status, error, reason, token)

    def test_s01_no_token(self) -> None:
        """The challenge says where to ask, and no error (RFC 6750 3.1, RFC 9728 5.1)."""
        for target in (self.target, chunks_path(self.digest), "/api/outgoing"):
            response = self.agent_line(self.foo).ask("GET", target)
            self.require_refused(self.foo, response, 401, "unauthorized", "unauthenticated")
            self.assertEqual(
                response.headers["www-authenticate"],
                'Bearer resource_metadata="https://foo.test/.well-known/oauth-protected-resource"',
            )

    def test_s03_schemes(self) -> None:
        """The scheme's case does not matter; two tokens, other schemes and other places do."""
        token = delegation(self.bar, self.foo).text()
        line = self.agent_line(self.foo)
        self.assertEqual(line.ask("GET", self.target, Authorization=f"bEaReR {token}").status, 200)
        self.foo.trail.lines.clear()
        for value in (f"Basic {token}", f"DPoP {token}", token, "Bearer", "Bearer ", f"Bearer {token} x",
                      f"Bearer {token}, Bearer {token}", f"Bearer\t{token}",
                      f'Bearer "{token}"', "Bearer ü"):  # fmt: skip
            with self.subTest(value=value[:12]):
                response = line.ask("GET", self.target, Authorization=value)
                self.require_refused(self.foo, response, 400, "invalid_request", "malformed", token)
        head = f"GET {self.target} HTTP/1.1\r\nHost: foo.test\r\n"
        line.send(f"{head}Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        self.require_refused(self.foo, line.response(), 400, "invalid_request", "malformed", token)
        for target in (f"{self.target}?access_token={token}",):
            response = line.ask("GET", target)
            self.require_refused(self.foo, response, 401, "unauthorized", "unauthenticated", token)

    def test_s05_other_audiences(self) -> None:
        """A delegation for another resource server."""
        good = delegation(self.bar, self.foo)
        for aud in ("https://bar.test", "https://rs.foo.test", ["https://foo.test"], "https://foo.test/", "foo.test",
                    ["https://foo.test", "https://bar.test"], "https://FOO.test",
                    "https://foo.test:443", "*"):  # fmt: skip
            with self.subTest(aud=aud):
                self.refuse(good.text(aud=aud), *TOKEN)

    def test_s10_s11_confirmations(self) -> None:
        """Bound to another certificate, in another way, or to none."""
        own = delegation(self.bar, self.foo).claims["cnf"]["x5t#S256"]
        cnf: Any
        for cnf in (..., None, {}, own, {"x5t#S256": own + "="}, {"x5t#S256": digest_of(b"x").b64}, {"x5t": own},
                    {"x5t#S256": pair_of(self.bar).certificate.x5t.hex}, {"jkt": own}, {"x5t#S256": own, "jkt": own},
                    {"x5t#S256": own, "kid": "1"}, {"x5t#S256": [own]}, {"jwk": {}}):  # fmt: skip
            with self.subTest(cnf=cnf):
                self.refuse(delegation(self.bar, self.foo).text(cnf=cnf), *TOKEN)

    def test_s10_stolen_delegation(self) -> None:
        """A good delegation is nothing over another certificate, or none."""
        token = delegation(self.bar, self.foo).text()
        self.assertEqual(self.fetch(token).status, 200)
        self.foo.trail.lines.clear()
        self.refuse(token, *TOKEN, of=self.foo)
        response = self.line(self.foo).ask("GET", self.target, Authorization=f"Bearer {token}")
        self.require_refused(self.foo, response, *TOKEN, token)

    def test_s06_d01_other_issuers(self) -> None:
        """Who speaks for a domain is whom it names: another issuer's word about bob is nothing."""
        evil = self.world.domain("evil.test")
        evil.add_user("eve")
        good = delegation(evil, self.foo, "eve@evil.test")
        self.foo.grant(self.DATA, "eve@evil.test", message_id="2@foo.test")
        self.assertEqual(self.fetch(good.text(), of=evil).status, 200, "evil.test speaks for its own")
        self.foo.trail.lines.clear()
        for change in (
            {"sub": "bob@bar.test"},
            {"sub": "bob@bar.test", "client_id": "_rra.bar.test", "act": {"sub": "_rra.bar.test"}},
            {"sub": "bob@bar.test", "iss": "https://bar.test"},
            {"iss": "https://bar.test"},
            {"iss": "https://evil.test/"},
            {"iss": "https://bar.test.evil.test"},
            {"iss": "https://bar.test@evil.test"},
            {"iss": "https://evil.test:8443"},
            {"sub": "bob@bar.test@evil.test"},
            {"act": {"sub": "_rra.bar.test"}},
            {"client_id": "_rra.bar.test"},
            {"act": {"sub": "_rra.evil.test", "act": []}, "client_id": "_other.evil.test"},
        ):
            with self.subTest(change=change):
                self.refuse(good.text(**change), *TOKEN, of=evil)

    def test_d10_actor_of_another_domain(self) -> None:
        """evil.test's agent cannot carry a delegation for a user of bar.test, even one that bar.test's STS signed."""
        evil = self.world.domain("evil.test")
        x5t = {"x5t#S256": pair_of(evil).certificate.x5t.b64}
        for actor in ("_rra.evil.test", "_rra.bar.test"):
            token = delegation(self.bar, self.foo).text(cnf=x5t, client_id=actor, act={"sub": actor})
            self.refuse(token, *TOKEN, of=evil)

    def test_o11_certificate_that_claims_another_name(self) -> None:
        """A self-made certificate of bar.test's agent is found out by the key that bar.test publishes."""
        fake = client("_rra", "bar.test")
        token = delegation(self.bar, self.foo, credential=fake.credential).text()
        line = self.line(self.foo, credential=fake.credential)
        response = line.ask("GET", self.target, Authorization=f"Bearer {token}")
        self.require_refused(self.foo, response, *TOKEN, token)

    def test_d03_d07_subjects(self) -> None:
        """Domains that nobody can own are not asked; what is no address is nobody's."""
        good = delegation(self.bar, self.foo)
        for sub, domain in (("bob@localhost", "localhost"), ("bob@[127.0.0.1]", "x"), ("bob@169.254.169.254", "x"),
                            ("bob@bar", "bar"), ("bob@nowhere.test", "nowhere.test")):  # fmt: skip
            with self.subTest(sub=sub):
                self.refuse(good.text(sub=sub, client_id=f"_rra.{domain}", act={"sub": f"_rra.{domain}"}), *TOKEN)

    def test_s12_grants_of_others(self) -> None:
        """What was granted to somebody else, and what does not exist, look the same."""
        self.foo.grant(b"for carol", "carol@bar.test", message_id="2@foo.test")
        token, answers = delegation(self.bar, self.foo).text(), set()
        for data in (b"for carol", b"nothing"):
            response = self.fetch(token, ni_path(digest_of(data)))
            answers.add((response.body, json.dumps({n: v for n, v in response.headers.items() if n != "date"})))
            self.require_refused(self.foo, response, 403, "access_denied", "forbidden", token)
        self.assertEqual(len(answers), 1)
        self.refuse(token, 403, "access_denied", "forbidden", target=chunks_path(digest_of(b"for carol")))

    def test_s12_narrowed_delegation(self) -> None:
        """A delegation for one message opens no other."""

        def narrowed(message_id: str) -> str:
            details = [{"type": "rrs_message", "message_id": message_id}]
            return delegation(self.bar, self.foo).text(authorization_details=details)

        self.assertEqual(self.fetch(narrowed("1@foo.test")).status, 200)
        self.foo.trail.lines.clear()
        self.refuse(narrowed("2@foo.test"), 403, "access_denied", "forbidden")
        details: Any
        for details in ([], {}, "x", [{"type": "x", "message_id": "1@foo.test"}], [{"type": "rrs_message"}]):
            self.refuse(delegation(self.bar, self.foo).text(authorization_details=details), *TOKEN)

    def test_s13_our_own_user_is_no_stranger(self) -> None:
        """A user's access token is no delegation; a sender does not read other people's grants with one."""
        self.refuse(access(self.foo, "alice@foo.test").text(), *TOKEN)
        self.refuse(impersonation(self.bar).text(), *TOKEN)

    def test_f01_no_question_before_the_cheap_checks(self) -> None:
        """Nobody is asked for a token that cannot be good: whom it names may be a victim."""
        asked = list(self.world.internet.connections)
        good = delegation(self.bar, self.foo)
        change: dict[str, Any]
        for change in ({"aud": "https://x.test"}, {"exp": 1}, {"cnf": {}}, {"act": {"sub": "_rra.victim.test"}}):
            self.refuse(good.text(**change), 401, "invalid_token", "unproven")
        self.assertEqual(self.world.internet.connections, asked)

    def test_f01_budget(self) -> None:
        """One address can make us ask strangers in vain sixty times a minute, and no more."""
        line = self.line(self.foo, credential=agent_of(self.bar), source="45.9.9.9")
        statuses = []
        for number in range(70):
            forged = delegation(self.bar, self.foo)
            token = Forge(forged.header, forged.claims, pair_of(self.foo).private).text(jti=f"j{number}")
            statuses.append(line.ask("GET", self.target, Authorization=f"Bearer {token}").status)
        self.assertEqual({status: statuses.count(status) for status in {*statuses}}, {401: 60, 429: 10})
        self.assertEqual(self.fetch(delegation(self.bar, self.foo).text()).status, 200, "others are served")

    def test_s17_what_is_said_of_the_bytes(self) -> None:
        """Length, digest and entity tag are those of the whole; nobody between may keep or change it."""
        response = self.fetch(delegation(self.bar, self.foo).text())
        said = {name: response.headers[name] for name in ("content-length", "etag", "cache-control", "accept-ranges")}
        self.assertEqual(said, {"content-length": str(len(self.DATA)), "etag": etag(self.digest),
                                "cache-control": "private, no-transform", "accept-ranges": "bytes"})  # fmt: skip
        self.assertEqual(response.headers["x-content-type-options"], "nosniff")
        self.assertTrue(response.headers["content-disposition"].startswith("attachment"))
        self.assertIn("sha-256=:", response.headers["repr-digest"])
        self.assertNotIn("server", response.headers)
        self.assertEqual(response.body, self.DATA)

    def test_s17_ranges(self) -> None:
        """A range, several, none that fits, and conditions."""
        token, size = delegation(self.bar, self.foo).text(), len(self.DATA)
        other = '"sha-256:' + digest_of(b"x").b64 + '"'
        cases: list[tuple[dict[str, Any], int, bytes]] = [
            ({"Range": "bytes=5-9"}, 206, self.DATA[5:10]), ({"Range": "bytes=-7"}, 206, self.DATA[-7:]),
            ({"Range": f"bytes={size - 1}-"}, 206, self.DATA[-1:]), ({"Range": "bytes=0-99999999999"}, 206, self.DATA),
            ({"Range": "bytes=0-1,3-4"}, 200, self.DATA), ({"Range": "lines=0-1"}, 200, self.DATA),
            ({"Range": "bytes=5-9", "If_Range": other}, 200, self.DATA),
            ({"Range": "bytes=5-9", "If_Range": etag(self.digest)}, 206, self.DATA[5:10]),
            ({"If_None_Match": etag(self.digest)}, 304, b""), ({"If_None_Match": other}, 200, self.DATA),
            ({"Range": "bytes=9-5"}, 200, self.DATA), ({"Range": "bytes=x"}, 200, self.DATA),
        ]  # fmt: skip
        for headers, status, body in cases:
            with self.subTest(headers=headers):
                response = self.fetch(token, **headers)
                self.assertEqual((response.status, response.body), (status, body), headers)
        self.foo.trail.lines.clear()
        for value in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", "bytes=-0"):
            response = self.fetch(token, Range=value)
            self.assertEqual(response.headers.get("content-range"), f"bytes */{size}")
            self.require_refused(self.foo, response, 416, "invalid_request", "unsatisfiable", token)

    def test_s19_withdrawn(self) -> None:
        """A grant that has ended is gone for whom it named, and was never there for others."""
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "1@foo.test"))
        self.refuse(delegation(self.bar, self.foo).text(), 410, "gone", "withdrawn")
        self.refuse(delegation(self.bar, self.foo, "carol@bar.test").text(), 403, "access_denied", "forbidden")

    def test_s20_clock_set_back(self) -> None:
        """A delegation that was over stays over in the memory of this process; it is never believed beyond its end."""
        token = delegation(self.bar, self.foo).text()
        self.assertEqual(self.fetch(token).status, 200)
        self.world.advance(331, 10)
        self.foo.trail.lines.clear()
        self.refuse(token, 401, "invalid_token", "expired")

    def test_s22_challenges(self) -> None:
        """Nothing from the request comes back in the challenge."""
        line = self.agent_line(self.foo)
        response = line.ask("GET", f'{self.target}?x="evil', Authorization='Bearer x", error="none')
        self.assertNotIn("evil", str(response))
        self.assertNotIn("none", str(response))

    def test_r01_receipts_of_others(self) -> None:
        """A receipt speaks for its delegation's user and client, about what they were granted."""
        self.foo.grant(b"for carol", "carol@bar.test", message_id="2@foo.test")
        good = receipt(self.bar, self.foo, self.DATA)
        token = delegation(self.bar, self.foo).text()
        cases: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
            ({"sub": "carol@bar.test"}, TOKEN), ({"iss": "_rra.foo.test"}, TOKEN), ({"aud": "https://bar.test"}, TOKEN),
            ({"message_id": "9@foo.test"}, (403, "access_denied", "forbidden")),
            ({"resource": digest_of(b"for carol").ni}, (403, "access_denied", "forbidden")),
            ({"size": 1}, (403, "access_denied", "forbidden")), ({"size": -1}, (400, "invalid_request", "malformed")),
            ({"size": True}, (400, "invalid_request", "malformed")),
            ({"resource": "ni:///md5;x"}, (400, "invalid_request", "malformed")),
        ]  # fmt: skip
        for change, (status, error, reason) in cases:
            with self.subTest(change=change):
                response = self.agent_line(self.foo).ask(
                    "POST", "/rrs/receipts", good.text(**change).encode(),
                    Authorization=f"Bearer {token}", Content_Type="application/jose",
                )  # fmt: skip
                self.require_refused(self.foo, response, status, error, reason, token)
        grants = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 10))
        self.assertFalse([grant for grant in grants if grant.receipted])

    def test_s02_senders(self) -> None:
        """Another domain's user, no scope, a bound token elsewhere; nobody sends what they did not upload."""
        line = self.line(self.foo)
        token = access(self.foo, "alice@foo.test").text()
        for bad, status, error, reason in (
            (access(self.foo, "bob@bar.test").text(), 403, "access_denied", "forbidden"),
            (access(self.foo, "alice@foo.test", scope="openid").text(), 403, "access_denied", "forbidden"),
            (access(self.foo, "alice@foo.test", cnf={"x5t#S256": digest_of(b"x").b64}).text(), *TOKEN),
            (access(self.bar, "alice@foo.test", "https://foo.test").text(), *TOKEN),
        ):  # fmt: skip
            response = line.ask("GET", "/api/outgoing", Authorization=f"Bearer {bad}")
            self.require_refused(self.foo, response, status, error, reason, bad)
        stranger = self.foo.keep(b"of somebody else")
        draft = {"to": ["eve@evil.test"], "attachments": [{"digest": stranger.b64}]}
        response = line.ask("POST", "/api/outgoing", json.dumps(draft).encode(), Authorization=f"Bearer {token}",
                            Content_Type="application/json")  # fmt: skip
        self.require_refused(self.foo, response, 403, "access_denied", "forbidden", token)
