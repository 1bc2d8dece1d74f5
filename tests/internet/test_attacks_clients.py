"""C, M, T: every way in which a client proves itself to the token service, over TLS."""

from datetime import timedelta
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.jose import parse_key_set
from tests.core import signing
from tests.support.attackers import AttackCase, Line, Response
from tests.support.authorities import CA, SERVER, Issued, root, subject, usage, weakened
from tests.support.certificates import client
from tests.support.forgery import ACCESS_TOKEN, access, agent_of, exchange_form, impersonation
from tests.support.parties import Signing

UNKNOWN = (401, "invalid_client", "unknown_client")
BAD_REQUEST = (400, "invalid_request", "malformed")
NAME, DN = "_api.partner.test", "CN=partner.test,OU=_api"


class ClientCase(AttackCase):
    """bar.test's token service, and a client of partner.test that bob's tokens are meant for."""

    def add(self, name: str = NAME, **document: Any) -> None:
        """The administrator registers a client."""
        given = {"audiences": ["https://bar.test"], **document}
        self.world.result(self.bar.whole.people.registry.add(name, given))
        self.bar.trail.lines.clear()

    def form(self, name: str = NAME, **changes: Any) -> dict[str, str]:
        """Bob's access token becomes a delegation."""
        return exchange_form(self.bar, self.foo, access(self.bar).text(), ACCESS_TOKEN, client_id=name, **changes)

    def send(self, leaf: Issued | None, **changes: Any) -> Response:
        """What the token endpoint says to a client with that certificate."""
        line = self.line(self.bar) if leaf is None else self.line(self.bar, credential=leaf.credential)
        return line.form("/token", self.form(**changes))

    def accept(self, response: Response) -> dict[str, Any]:
        """It is a delegation."""
        self.assertEqual(response.status, 200, response)
        return dict(response.json())

    def refuse(self, response: Response, *as_what: Any) -> None:
        """It is a refusal."""
        status, error, reason = as_what or UNKNOWN
        self.require_refused(self.bar, response, status, error, reason)


class ByAuthority(ClientCase):
    """M: tls_client_auth. The client's own CA issued the certificate, in the name of its registration."""

    def setUp(self) -> None:
        """A CA of the partner's."""
        super().setUp()
        self.root = root("Partner")

    def register(self, **named: str) -> None:
        """The client, by that name in its certificate."""
        self.add(
            auth="tls_client_auth", ca=[self.root.pem.decode()], **(named or {"subject_dn": "CN=partner.test,OU=_api"})
        )

    def test_good(self) -> None:
        """Directly below the CA, and below others that come with the certificate."""
        self.register()
        self.accept(self.send(self.root.client("_api", "partner.test")))
        self.accept(self.send(self.root.authority("I").authority("J").client("_api", "partner.test")))

    def test_each_kind_of_name(self) -> None:
        """A host, a URI, an IP address or a mail address in the certificate, each by its own meaning."""
        kinds: tuple[tuple[str, str, x509.GeneralName, x509.GeneralName], ...] = (
            ("san_dns", "api.partner.test", x509.DNSName("API.partner.test"), x509.DNSName("*.partner.test")),
            ("san_uri", "https://partner.test/api", x509.UniformResourceIdentifier("https://partner.test/api"),
             x509.UniformResourceIdentifier("https://partner.test/API")),
            ("san_ip", "2001:db8::1", x509.IPAddress(ip_address("2001:db8:0::1")),
             x509.DNSName("2001.db8")),
            ("san_email", "api@partner.test", x509.RFC822Name("API@partner.test"), x509.RFC822Name("b@partner.test")),
        )  # fmt: skip
        for number, (kind, text, right, wrong) in enumerate(kinds):
            with self.subTest(kind=kind):
                name = f"_api{number}.partner.test"
                self.add(name, auth="tls_client_auth", ca=[self.root.pem.decode()], **{kind: text})
                leaf = self.root.client(f"_api{number}", "partner.test", (x509.SubjectAlternativeName([right]), False))
                self.accept(self.send(leaf, name=name))
                self.bar.trail.lines.clear()
                leaf = self.root.client(f"_api{number}", "partner.test", (x509.SubjectAlternativeName([wrong]), False))
                self.refuse(self.send(leaf, name=name))
                self.refuse(self.send(self.root.client(f"_api{number}", "partner.test"), name=name))

    def test_names_of_subjects(self) -> None:
        """A subject is compared attribute by attribute: order counts, so does every attribute."""
        self.register()
        organised = x509.Name([*subject("_api", "partner.test"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "X")])
        turned = x509.Name(list(reversed(list(subject("_api", "partner.test")))))
        for name in (organised, turned, subject("_api", "partner.tests"), subject(None, "partner.test"),
                     subject(None, "partner.test,OU=_api"), subject("_API", "partner.test")):  # fmt: skip
            self.refuse(self.send(self.root.issue(name)))

    def test_m07_certificates_of_the_right_name(self) -> None:
        """The right subject from another CA, a CA's certificate, one for servers, beyond a name constraint, at the end
        of a long chain."""
        self.register()
        limited = x509.NameConstraints(permitted_subtrees=[x509.DNSName("foo.test")], excluded_subtrees=None)
        host = (x509.SubjectAlternativeName([x509.DNSName("api.partner.test")]), False)
        long = self.root
        for number in range(6):
            long = long.authority(f"I{number}")
        for label, leaf in (
            ("self-signed", None),
            ("another CA", root("Partner").client("_api", "partner.test")),
            ("CA:true", self.root.client("_api", "partner.test", (CA, True))),
            ("for servers", self.root.client("_api", "partner.test", SERVER)),
            ("for agreement", self.root.client("_api", "partner.test", (usage(agreement=True), True))),
            ("constraint", self.root.authority("I", (limited, True)).client("_api", "partner.test", host)),
            ("long", long.client("_api", "partner.test")),
            ("a leaf issued it", self.root.client("_x", "partner.test").client("_api", "partner.test")),
            ("chain left out", evolve(self.root.authority("I").client("_api", "partner.test"), above=())),
        ):
            with self.subTest(label):
                credential = client("_api", "partner.test").credential if leaf is None else leaf.credential
                self.refuse(self.line(self.bar, credential=credential).form("/token", self.form()))

    def test_m07_old_signatures(self) -> None:
        """A certificate signed by SHA-1 or MD5, whatever TLS itself thinks of it."""
        key = signing.rsa_key()
        self.root = root("Old", key)
        self.register()
        good = self.root.client("_api", "partner.test")
        self.accept(self.send(good))
        self.bar.trail.lines.clear()
        for algorithm in (hashes.SHA1(), hashes.MD5()):
            line = Line.to(self.world, "bar.test", credential=weakened(good, key, algorithm).credential)
            if not line.closed:
                self.refuse(line.form("/token", self.form()))

    def test_m06_dates(self) -> None:
        """What is over, or has not begun, proves nothing here; that differs from a self-signed certificate."""
        self.register()
        now, day = self.world.now, timedelta(days=1)
        name = subject("_api", "partner.test")
        self.refuse(self.send(self.root.issue(name, end=now - day)))
        self.refuse(self.send(self.root.issue(name, start=now + day)))

    def test_a_token_needs_a_certificate_in_the_clients_name(self) -> None:
        """Another OU.CN proves the client, by its host name, and no token can be bound to it (protocol 4)."""
        self.register(san_dns="api.partner.test")
        host = (x509.SubjectAlternativeName([x509.DNSName("api.partner.test")]), False)
        self.refuse(self.send(self.root.client("_other", "partner.test", host)), *BAD_REQUEST)

    def test_m06_self_signed_has_no_dates(self) -> None:
        """A certificate on the registration is good until it is taken off, dates or not."""
        now = self.world.now
        pair = client("_api", "partner.test", end=now - timedelta(days=1))
        self.add(certificates=[pair.certificate_pem.decode()])
        self.accept(self.line(self.bar, credential=pair.credential).form("/token", self.form()))


class ByAssertion(ClientCase):
    """C: private_key_jwt. The client signs, once, for this issuer alone; its certificate only binds the token."""

    def setUp(self) -> None:
        """The client, with its key in the registration."""
        super().setUp()
        self.issuer = self.bar.settings.domain.issuer
        self.party = Signing(NAME)
        self.leaf = root("Anybody").client("_api", "partner.test")
        self.add(auth="private_key_jwt", jwks=self.party.jwks)

    def sent(self, proof: dict[str, str] | None = None, line: Line | None = None, **changes: Any) -> Response:
        """What the token endpoint says."""
        given = proof or self.party.proof(self.issuer, self.world.now, **changes)
        return (line or self.line(self.bar, credential=self.leaf.credential)).form("/token", {**self.form(), **given})

    def test_good(self) -> None:
        """Both names of the type; the token is bound to the certificate of the connection."""
        for typ in ("client-authentication+jwt", "application/client-authentication+jwt", "JWT"):
            self.accept(self.sent(header={"typ": typ}))
        self.accept(self.sent(exp=int(self.world.clock.seconds()) + 240))

    def test_c03_method_downgrade(self) -> None:
        """A client that signs does not get in by a certificate, by its name alone, or by a secret."""
        self.refuse(self.send(self.leaf))
        self.refuse(self.send(None))
        self.refuse(self.sent({"client_id": NAME, "client_secret": "x"}))
        named = {"client_id": NAME, "client_assertion": self.party.assertion(self.issuer, self.world.now)}
        self.refuse(self.sent(named))
        self.refuse(
            self.sent({**named, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"})
        )

    def test_c03_certificate_clients_do_not_sign(self) -> None:
        """The other way round: a client with certificates does not get in by an assertion."""
        agent = Signing("_rra.bar.test")
        form = {**exchange_form(self.bar, self.foo, impersonation(self.bar).text()),
                **agent.proof(self.issuer, self.world.now)}  # fmt: skip
        self.refuse(self.line(self.bar).form("/token", form))
        self.refuse(self.line(self.bar, credential=agent_of(self.bar)).form("/token", form), *BAD_REQUEST)

    def test_t09_two_proofs(self) -> None:
        """A good assertion and a secret beside it."""
        proof = self.party.proof(self.issuer, self.world.now)
        self.refuse(self.sent({**proof, "client_secret": "x"}), *BAD_REQUEST)

    def test_c04_another_client(self) -> None:
        """`iss`, `sub` and `client_id` are all the client."""
        other = "_job.partner.test"
        self.add(other, auth="private_key_jwt", jwks=Signing(other).jwks)
        for changes in ({"iss": other}, {"sub": other}, {"iss": other, "sub": other}, {"iss": ...}, {"sub": ...},
                        {"iss": "https://partner.test"}, {"sub": "bob@bar.test"}, {"iss": [NAME]}):  # fmt: skip
            with self.subTest(changes=changes):
                self.refuse(self.sent(**changes))
        proof = self.party.proof(self.issuer, self.world.now)
        self.refuse(self.sent({**proof, "client_id": other}))

    def test_c05_audiences(self) -> None:
        """Only the issuer, as one string; neither an endpoint of it, nor a list, nor anybody else (CVE-2025-27370)."""
        issuer = str(self.issuer)
        for aud in (f"{issuer}/token", f"{issuer}/introspect", f"{issuer}/", [issuer], [issuer, "https://evil.test"],
                    "https://foo.test", issuer.upper(), "", ..., None):  # fmt: skip
            with self.subTest(aud=aud):
                self.refuse(self.sent(aud=aud))

    def test_c09_tokens_of_another_kind(self) -> None:
        """Whatever else the client signs is no proof of it."""
        for typ in ("at+jwt", "dpop+jwt", "rrs-impersonation+jwt", "rrs-receipt+jwt", "logout+jwt", "", ...):
            with self.subTest(typ=typ):
                self.refuse(self.sent(header={"typ": typ}))

    def test_j_signatures(self) -> None:
        """No signature, another key's, a key that comes with it, a kid of nobody."""
        other = Signing(NAME)
        self.refuse(self.sent(other.proof(self.issuer, self.world.now)))
        for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256"}, {"jwk": self.party.jwks["keys"][0]},
                       {"jku": "https://evil.test/jwks"}, {"kid": "c2"}, {"crit": ["exp"]}):  # fmt: skip
            with self.subTest(header=header):
                self.refuse(self.sent(header=header))
        self.refuse(self.sent(self.party.with_("x" * 9000)))
        self.refuse(self.sent(self.party.with_("a.b.c")))

    def test_j16_times(self) -> None:
        """Over, not begun, longer than four minutes, or no times at all."""
        now = int(self.world.clock.seconds())
        for changes in ({"exp": now - 60, "iat": now - 120}, {"exp": now + 241}, {"exp": ...}, {"iat": ...},
                        {"iat": now + 300, "exp": now + 360}, {"exp": str(now + 60)}, {"exp": 1e300}):  # fmt: skip
            with self.subTest(changes=changes):
                self.refuse(self.sent(**changes))

    def test_c11_j19_used_once(self) -> None:
        """The same assertion twice, also on another connection; without a `jti`; a `jti` of another client is free."""
        proof = self.party.proof(self.issuer, self.world.now, jti="one")
        self.accept(self.sent(proof))
        self.bar.trail.lines.clear()
        self.refuse(self.sent(proof))
        self.refuse(self.sent(jti=...))
        self.refuse(self.sent(jti=""))
        other = Signing("_job.partner.test")
        self.add(other.name, auth="private_key_jwt", jwks=other.jwks, audiences=["https://bar.test"])
        leaf = root().client("_job", "partner.test")
        line = self.line(self.bar, credential=leaf.credential)
        form = {**self.form(), **other.proof(self.issuer, self.world.now, jti="one")}
        self.assertEqual(line.form("/token", form).status, 200)

    def test_c11_a_refused_request_uses_it_up_all_the_same(self) -> None:
        """A good assertion with a request that is refused is used; one with another proof beside it too."""
        proof = self.party.proof(self.issuer, self.world.now)
        form = {**self.form(), **proof, "resource": "nowhere"}
        line = self.line(self.bar, credential=self.leaf.credential)
        self.refuse(line.form("/token", form), 400, "invalid_target", "wrong_target")
        self.refuse(self.sent(proof))

    def test_a_token_needs_a_certificate(self) -> None:
        """A proved client without a certificate gets no token: there is nothing to bind it to (RFC 8705 4)."""
        self.refuse(self.sent(line=self.line(self.bar)), *BAD_REQUEST)
        other = client("_api", "evil.test").credential
        self.refuse(self.sent(line=self.line(self.bar, credential=other)), *BAD_REQUEST)

    def test_t13_unknown_clients(self) -> None:
        """A client that is not registered, and a wrong proof, are answered alike."""
        proof = self.party.proof(self.issuer, self.world.now)
        wrong = Signing(NAME).proof(self.issuer, self.world.now)
        first = self.sent({**proof, "client_id": "_api.nobody.test"})
        self.refuse(first)
        second = self.sent(wrong)
        self.refuse(second)
        self.assertEqual((first.status, first.body), (second.status, second.body))

    def test_t13_the_key_of_nobody(self) -> None:
        """An unknown client costs a signature check with a key whose private half anyone may know; it opens nothing."""
        nobody = Signing("_api.nobody.test", "nobody", signing.p256(1))
        self.refuse(self.sent(nobody.proof(self.issuer, self.world.now)))

    def test_z12_garbage_is_not_remembered(self) -> None:
        """Only what is signed by a client of ours takes a place in the memory of what was used."""
        stranger = Signing(NAME)
        for number in range(20):
            self.sent(stranger.proof(self.issuer, self.world.now, jti=f"garbage-{number}"))
            self.sent({**self.party.proof(self.issuer, self.world.now, jti=f"late-{number}", exp=1, iat=0)})
        engine = self.bar.store._engine
        count = engine.read(lambda connection: connection.execute("SELECT count(*) FROM replays").fetchone()[0])
        self.assertEqual(self.world.result(count), 0)


class Published(ClientCase):
    """C-13: a client that publishes its keys, foo.test, is asked for them at most once a minute."""

    def setUp(self) -> None:
        """foo.test's agent signs by a key that foo.test publishes."""
        super().setUp()
        self.issuer = self.bar.settings.domain.issuer
        self.party = Signing(NAME)
        self.leaf = root().client("_api", "partner.test")

    def sent(self, party: Signing) -> Response:
        """What the token endpoint says."""
        form = {**self.form(), **party.proof(self.issuer, self.world.now)}
        return self.line(self.bar, credential=self.leaf.credential).form("/token", form)

    def test_c13_kid_storm(self) -> None:
        """A hundred assertions with kids of nobody cause one look a minute; the good one is served from memory."""
        self.asked: list[str] = []
        keyring = self.foo.whole.means.doors.keyring
        real = keyring.published

        def counted() -> KeySet:
            self.asked.append("keys")
            return KeySet((*real().keys, *parse_key_set(self.party.jwks).keys))

        object.__setattr__(self.foo.whole.people.publication, "own_keys", SimpleNamespace(published=counted))
        self.add(auth="private_key_jwt", jwks_uri="https://foo.test/jwks")
        self.accept(self.sent(self.party))
        self.assertEqual(len(self.asked), 1)
        for number in range(50):
            self.assertEqual(self.sent(evolve(self.party, kid=f"storm-{number}")).status, 401)
        self.assertLessEqual(len(self.asked), 1)
        self.world.advance(61)
        for number in range(50, 60):
            self.assertEqual(self.sent(evolve(self.party, kid=f"storm-{number}")).status, 401)
        self.assertLessEqual(len(self.asked), 2)
        self.accept(self.sent(self.party))

    def test_no_keys_there(self) -> None:
        """Where nothing is published, nothing proves anything."""
        self.add(auth="private_key_jwt", jwks_uri="https://foo.test/nothing")
        self.refuse(self.sent(self.party))
