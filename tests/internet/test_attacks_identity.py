"""O, D: whose a client's key is: the agent of bar.test knocks at foo.test, with what its zone and WebFinger say."""

from typing import Any

from attrs import evolve
from cryptography import x509

from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.peers import Strength
from rrsd.core.values.records import Verdict
from rrsd.core.wire.texts import render_client_keys, render_issuer_text
from rrsd.core.wire.tlsa import of_key, render_tlsa
from rrsd.roles.identity.settings import Method
from tests.support import authorities
from tests.support.attackers import AttackCase, Line, Response
from tests.support.forgery import delegation, pair_of
from tests.support.world import MemoryDomain, without_resolver

NAME = "_rra.bar.test"
FORGOTTEN = 61
OTHER = digest_of(b"another key")


def by(*methods: Method, **changes: Any) -> Any:
    """Settings with these methods."""
    return lambda settings: evolve(settings, identity=evolve(settings.identity, methods=methods, **changes))


class IdentityCase(AttackCase):
    """foo.test has resources for bob@bar.test, and remembers nothing between two of bob's requests."""

    def setUp(self) -> None:
        """Records live for a second only."""
        super().setUp()
        self.spki = pair_of(self.bar).certificate.spki

    def tlsa(self, *data: str, verdict: Verdict | None = None, ttl: int = 1, name: str = NAME) -> None:
        """TLSA records."""
        self.world.zones.publish(name, "TLSA", *data, verdict=verdict, ttl=ttl)

    def key(self, spki: Digest) -> str:
        """3 1 1."""
        return render_tlsa(of_key(spki))

    def text(self, *texts: str, verdict: Verdict | None = None, ttl: int = 1, name: str = NAME) -> None:
        """TXT records."""
        self.world.zones.publish(name, "TXT", *texts, verdict=verdict, ttl=ttl)

    def fetch(self, foo: MemoryDomain | None = None, *, forget: bool = True, line: Line | None = None) -> Response:
        """What bob's agent gets."""
        if forget:
            self.world.advance(FORGOTTEN, FORGOTTEN)
        server = foo or self.foo
        server.trail.lines.clear()
        self.world.zones.asked.clear()
        token = delegation(self.bar, server).text()
        response = (line or self.agent_line(server)).ask("GET", self.target, Authorization=f"Bearer {token}")
        (decision,) = server.trail.of("retrieve")
        self.evidence = decision["evidence"]
        return response

    def require_granted(self, evidence: str, foo: MemoryDomain | None = None) -> None:
        """The bytes, and what was believed in the trail."""
        response = self.fetch(foo)
        self.assertEqual((response.status, response.body), (200, self.DATA), self.evidence)
        self.assertEqual(self.evidence.rpartition(" ")[0], f"{evidence} https://bar.test")

    def require_not_granted(self, status: int = 401, foo: MemoryDomain | None = None) -> None:
        """Refused for this reason, and nothing else asked after the method that failed."""
        response = self.fetch(foo)
        reason = {401: "unproven", 503: "unavailable"}[status]
        self.assertEqual((response.status, response.json()["reason"]), (status, reason), self.evidence)

    def questions(self) -> list[str]:
        """What was asked about the client."""
        return [each for each in self.world.zones.asked if NAME in each]


class Dane(IdentityCase):
    """TLSA records at the client's name. bar.test's own WebFinger has the right key all the time."""

    def test_without_records(self) -> None:
        """No TLSA record, secure or not: WebFinger decides."""
        self.require_granted("webfinger tls")
        self.world.zones.sign("bar.test")
        self.require_granted("webfinger tls")

    def test_o13_records(self) -> None:
        """The key, old and new keys together, the whole certificate, and the stronger digest."""
        whole = f"3 0 1 {pair_of(self.bar).certificate.x5t.hex}"
        for data in ((self.key(self.spki),), (self.key(OTHER), self.key(self.spki)), (whole, f"0 0 1 {OTHER.hex}")):
            self.tlsa(*data)
            self.require_granted("dane dnssec")
            self.assertEqual(self.questions(), [f"TLSA {NAME}"])

    def test_o09_o10_records_that_do_not_match(self) -> None:
        """Another key, unusable numbers, other data: final, whatever WebFinger and TXT say."""
        self.text(render_client_keys([self.spki]))
        good = self.spki.hex
        for data in (
            self.key(OTHER), f"3 0 1 {good}", f"2 1 1 {good}", f"0 1 1 {good}", f"1 1 1 {good}", f"4 1 1 {good}",
            f"3 2 1 {good}", f"3 1 3 {good}", f"3 1 0 {good}", f"255 255 255 {good}", f"3 1 2 {good}{good}",
        ):  # fmt: skip
            with self.subTest(data=data):
                self.tlsa(data)
                self.require_not_granted()
                self.assertEqual(self.questions(), [f"TLSA {NAME}"])

    def test_o05_insecure(self) -> None:
        """The right record in a zone without DNSSEC is refused."""
        self.tlsa(self.key(self.spki), verdict=Verdict.INSECURE)
        self.require_not_granted()

    def test_o06_bogus_and_temporary(self) -> None:
        """Broken signatures are final; an outage is none of ours, and the agent may come back."""
        self.tlsa(self.key(self.spki))
        for verdict, status in ((Verdict.BOGUS, 401), (Verdict.TEMPORARY, 503)):
            self.world.zones.fake(NAME, verdict)
            self.require_not_granted(status)
        self.world.zones.fake(NAME, None)
        self.require_granted("dane dnssec")

    def test_o07_resolver_elsewhere(self) -> None:
        """AD from a resolver that is not on this host counts for nothing: no record is believed, or asked for."""
        lone = self.world.domain("lone.test", without_resolver)
        lone.grant(self.DATA, "bob@bar.test")
        self.tlsa(self.key(OTHER))
        self.require_granted("webfinger tls", lone)
        self.assertEqual(self.questions(), [])

    def test_o12_record_of_a_server(self) -> None:
        """A TLSA record of the domain's web server is not the client's."""
        for name in ("_443._tcp.bar.test", f"_443._tcp.{NAME}", "bar.test"):
            self.tlsa(self.key(self.spki), name=name)
        dane = self.world.domain("dane.test", by(Method.DANE))
        dane.grant(self.DATA, "bob@bar.test")
        self.require_not_granted(foo=dane)
        self.tlsa(self.key(self.spki))
        self.require_granted("dane dnssec", dane)

    def test_o14_past_its_life(self) -> None:
        """A proof is believed for the record's life and asked for again after it."""
        self.tlsa(self.key(self.spki), ttl=120)
        self.require_granted("dane dnssec")
        self.tlsa(self.key(OTHER), ttl=120)
        self.world.advance(50, 50)
        self.assertEqual(self.fetch(forget=False).status, 200)
        self.assertEqual(self.questions(), [])
        self.world.advance(80, 80)
        self.assertEqual(self.fetch(forget=False).status, 401)

    def test_f17_one_question_for_all(self) -> None:
        """Twenty that come at once cause one question of each method."""
        foo = self.world.domain("many.test", by(Method.DANE, Method.TXT, Method.WEBFINGER))
        foo.grant(self.DATA, "bob@bar.test")
        lines = [self.agent_line(foo) for _ in range(20)]
        for line in lines:
            token = delegation(self.bar, foo).text()
            head = f"GET {self.target} HTTP/1.1\r\nHost: many.test\r\nAuthorization: Bearer {token}\r\n\r\n"
            line.wire.send(head.encode())
        self.world.internet.pump()
        self.assertEqual({line.response().status for line in lines}, {200})
        self.assertEqual(sorted(self.questions()), [f"TLSA {NAME}", f"TXT {NAME}"])


class Authorities(IdentityCase):
    """TLSA usage 2, over TLS with a chain."""

    def setUp(self) -> None:
        """A CA of bar.test's, and what it issued for the agent."""
        super().setUp()
        self.root = authorities.root()
        self.name = (x509.SubjectAlternativeName([x509.DNSName(NAME)]), False)

    def fetch_with(self, leaf: authorities.Issued, *chain: authorities.Issued) -> int:
        """What the agent gets over a connection with that certificate and those above it."""
        self.world.advance(FORGOTTEN, FORGOTTEN)
        credential = leaf.credential
        more = tuple(each.certificate for each in chain)
        credential = evolve(credential, chain=(*credential.chain, *more))
        token = delegation(self.bar, self.foo, credential=credential).text()
        line = self.line(self.foo, credential=credential)
        return line.ask("GET", self.target, Authorization=f"Bearer {token}").status

    def test_o09_usage_2(self) -> None:
        """The chain ends in the CA that is published, and the client is named; else it is refused."""
        self.tlsa(f"2 0 1 {digest_of(self.root.der).hex}")
        between = self.root.authority("Between")
        leaf = between.client("_rra", "bar.test", self.name)
        self.assertEqual(self.fetch_with(leaf, self.root), 200)
        self.assertEqual(self.fetch_with(leaf), 401)
        self.assertEqual(self.fetch_with(between.client("_rra", "bar.test"), self.root), 401)
        other = authorities.root("Other")
        self.assertEqual(self.fetch_with(other.client("_rra", "bar.test", self.name), other, self.root), 401)


class Text(IdentityCase):
    """TXT records at the client's name, where the operator wants them first."""

    def setUp(self) -> None:
        """A domain that asks for TXT before WebFinger, and one that wants DNSSEC."""
        super().setUp()
        self.txt = self.world.domain("txt.test", by(Method.TXT, Method.WEBFINGER, Method.ISSUER))
        self.strict = self.world.domain("strict.test", by(Method.TXT, Method.ISSUER, require_dnssec=True))
        for domain in (self.txt, self.strict):
            domain.grant(self.DATA, "bob@bar.test")

    def test_o05_dnssec(self) -> None:
        """A secure record is as good as DNSSEC; a strict domain believes it too."""
        self.text(render_client_keys([self.spki]))
        self.require_granted("dns-txt dnssec", self.txt)
        self.require_granted("dns-txt dnssec", self.strict)

    def test_o05_insecure(self) -> None:
        """Without DNSSEC the proof is weak, and policy decides; a strict domain refuses it, whoever would vouch."""
        self.text(render_client_keys([self.spki]), verdict=Verdict.INSECURE)
        identity, certificate = self.txt.whole.people.identity, pair_of(self.bar).certificate
        proof = self.world.result(identity.prove_client(certificate, self.bar.settings.domain.issuer))
        self.assertEqual((proof.method, proof.strength), ("dns-txt", Strength.WEAK))
        self.assertEqual(self.fetch(self.txt).status, 403)
        self.assertTrue(self.evidence.startswith("policy; dns-txt weak https://bar.test"), self.evidence)
        self.require_not_granted(foo=self.strict)

    def test_o13_rotation(self) -> None:
        """A list of old and new; the old one alone refuses the new one."""
        self.text("v=spf1 -all", render_client_keys([OTHER, self.spki]))
        self.require_granted("dns-txt dnssec", self.txt)
        self.text(render_client_keys([OTHER]))
        self.require_not_granted(foo=self.txt)

    def test_o04_records_that_are_none(self) -> None:
        """Refused, and neither WebFinger nor the issuer helps."""
        good, other = render_client_keys([self.spki]), render_client_keys([OTHER])
        for texts in (
            (good, other), (good, f"v=grip1; p={self.spki.hex}"), (f"h=sha256; p={self.spki.hex}",),
            (f"p={self.spki.hex}; v=DANCE1; h=sha256",), (good.replace("sha256", "md5"),),
            (f"{good}; p={self.spki.hex}",), (f"{good}; n={'x' * 255}",), (good.upper(),), (f"{good}\x01",),
        ):  # fmt: skip
            with self.subTest(texts=texts):
                self.text(*texts)
                self.require_not_granted(foo=self.txt)

    def test_o04_owner(self) -> None:
        """A record at a parent or a neighbour is not the client's; the next method decides."""
        for name in ("bar.test", "_rrb.bar.test", f"_dane.{NAME}"):
            self.text(render_client_keys([OTHER]), name=name)
        self.require_granted("webfinger tls", self.txt)

    def test_o06_bogus(self) -> None:
        """A bogus answer is final."""
        self.text(render_client_keys([self.spki]))
        self.world.zones.fake(NAME, Verdict.BOGUS)
        self.require_not_granted(foo=self.txt)


class Issuers(IdentityCase):
    """The record at `_rrs`."""

    RECORD = "_rrs.bar.test"

    def test_d01_record_of_another_issuer(self) -> None:
        """A secure record that names another issuer ends what the delegation's one may say, WebFinger or not."""
        self.text(render_issuer_text(self.foo.settings.domain.issuer), name=self.RECORD)
        self.require_not_granted()
        self.text("v=rrs1; iss=https://evil.test", name=self.RECORD)
        self.require_not_granted(503)

    def test_record(self) -> None:
        """The right one is believed, and WebFinger is not asked who speaks."""
        self.text(render_issuer_text(self.bar.settings.domain.issuer), name=self.RECORD)
        self.require_granted("webfinger tls")
        self.assertTrue(self.evidence.endswith(" dnssec"), self.evidence)

    def test_insecure_record(self) -> None:
        """A record without DNSSEC is as if it was not there."""
        self.text("v=rrs1; iss=https://evil.test", name=self.RECORD, verdict=Verdict.INSECURE)
        self.require_granted("webfinger tls")
        self.assertTrue(self.evidence.endswith(" webfinger"), self.evidence)

    def test_o06_f14_bogus_and_temporary(self) -> None:
        """No downgrade to WebFinger."""
        for verdict, status in ((Verdict.BOGUS, 401), (Verdict.TEMPORARY, 503)):
            self.world.zones.fake(self.RECORD, verdict)
            self.require_not_granted(status)

    def test_d09_domain_changed_its_owner(self) -> None:
        """What a record said is asked for again past its life."""
        self.text(render_issuer_text(self.bar.settings.domain.issuer), name=self.RECORD, ttl=120)
        self.require_granted("webfinger tls")
        self.text("v=rrs1; iss=https://foo.test", name=self.RECORD, ttl=120)
        self.assertEqual(self.fetch().status, 200)
        self.assertEqual(self.fetch().status, 401)


class Operators(IdentityCase):
    """The same, as the operator is told."""

    def verify(self, name: str, domain: MemoryDomain | None = None) -> Any:
        """The report."""
        return self.world.result((domain or self.foo).whole.window.identity.verify(name))

    def test_domain_and_client(self) -> None:
        """Another domain, and its client."""
        self.assertTrue(self.verify("bob@bar.test")["believed"])
        self.tlsa(self.key(self.spki))
        report = self.verify(NAME)
        self.assertEqual([look["method"] for look in report["methods"] if look["decides"]], ["dane"])
        self.tlsa(self.key(self.spki), verdict=Verdict.INSECURE)
        self.world.advance(2)
        self.assertFalse(self.verify(NAME)["believed"])

    def test_ourselves(self) -> None:
        """bar.test looks at itself from outside, before and after a mistake in its zone."""
        self.assertTrue(self.verify("bar.test", self.bar)["believed"])
        self.assertIn("certificate in use", self.verify(NAME, self.bar)["sentence"])
        self.tlsa(self.key(OTHER))
        self.world.advance(2)
        self.assertFalse(self.verify(NAME, self.bar)["believed"])
