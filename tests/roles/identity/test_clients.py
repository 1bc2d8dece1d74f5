"""Who owns a client identifier, over hosts and zones in memory (protocol 3)."""

import hashlib
from datetime import timedelta
from itertools import product

from attrs import evolve
from cryptography import x509
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Unavailable, Unproven
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import Certificate, Strength
from rrsd.core.values.records import Records, RecordType, Tlsa, Verdict
from rrsd.core.wire.texts import render_client_keys
from rrsd.core.wire.tlsa import of_key
from rrsd.core.wire.webfinger import client_acct, render_issuer
from rrsd.core.wire.x509 import public_key_of
from rrsd.roles.identity.settings import Method
from tests.roles.identity.case import CLIENT, DAY, ClientCase
from tests.support import authorities
from tests.support.certificates import START
from tests.support.domains import Key, certificate, json_answer, now

TLSA, TXT = "_rra.bar.test TLSA", "_rra.bar.test TXT"


class Clients(ClientCase):
    """Who owns a client identifier (protocol 3)."""

    def test_webfinger(self) -> None:
        """The client's domain publishes the hash of its key."""
        self.publish(self.bar.agent_key)
        proof = self.prove()
        self.assertEqual((proof.client, proof.method), (self.bar.client, "webfinger"))
        self.assertEqual(proof.until, now() + timedelta(minutes=10))

    def test_rotation(self) -> None:
        """Old and new key are good while both are published; the old one alone refuses the new one (O-13)."""
        self.publish(Key("old"), self.bar.agent_key)
        self.prove()
        self.identity = self.make()
        self.publish(Key("old"))
        self.refuse_client(Unproven)

    def test_proof_past_its_life(self) -> None:
        """A proof is asked for again when its life is over (O-14)."""
        self.publish(self.bar.agent_key)
        self.prove()
        self.prove()
        self.assertEqual(len(self.hosts.asked), 1)
        self.publish(Key("other"))
        self.clock.advance(600)
        self.refuse_client(Unproven)

    def test_published_method_that_fails_is_final(self) -> None:
        """A published key that is another one is not rescued by the issuer method (O-10)."""
        self.publish(Key("other"))
        self.refuse_client(Unproven, "https://bar.test")

    def test_trouble_is_final_too(self) -> None:
        """An outage of WebFinger does not make the next method decide (F-14)."""
        self.hosts.pages[CLIENT] = Answer(500, {})
        self.refuse_client(Unavailable, "https://bar.test")

    def test_issuer(self) -> None:
        """Where nothing is published, the issuer vouches for the client of its own host."""
        self.assertEqual(self.prove("https://bar.test").method, "issuer")
        self.assertEqual(self.hosts.asked, [CLIENT])

    def test_webfinger_without_a_key_publishes_nothing(self) -> None:
        """A WebFinger server that knows only issuers leaves the question to the next method."""
        self.hosts.pages[CLIENT] = json_answer(render_issuer(client_acct(self.bar.client), self.bar.issuer))
        self.assertEqual(self.prove("https://bar.test").method, "issuer")

    def test_nothing_published(self) -> None:
        """An issuer on another host vouches for nobody (O-03)."""
        self.refuse_client(Unproven, "https://as.bar.test")

    def test_order_of_methods(self) -> None:
        """The configured order decides which method is asked first."""
        self.identity = self.make(methods=(Method.ISSUER, Method.WEBFINGER))
        self.publish(Key("other"))
        self.assertEqual(self.prove("https://bar.test").method, "issuer")
        self.assertEqual(self.hosts.asked, [])

    def test_no_client_in_the_certificate(self) -> None:
        """A subject without OU and CN names nobody (O-11)."""
        nameless = certificate(None, self.bar.agent_key)
        self.refuse_now(self.identity.prove_client(nameless, self.bar.issuer), Unproven)

    def test_certificate_for_a_reserved_domain(self) -> None:
        """A reserved domain is not asked (D-07)."""
        self.identity = self.make(allow_reserved=False)
        self.refuse_client(Unproven)
        self.assertEqual(self.hosts.asked, [])

    def test_ourselves(self) -> None:
        """Our own client is proved by the key at hand; another key with its name is not (M-03)."""
        self.assertEqual(self.prove(str(self.home.issuer), self.home.certificate).client, self.home.client)
        thief = certificate("_rra.foo.test", Key("thief"))
        self.refuse_now(self.identity.prove_client(thief, self.home.issuer), Unproven)
        self.assertEqual(self.hosts.asked, [])


class Dane(ClientCase):
    """TLSA records at the client's name (RFC 7671)."""

    def test_dane(self) -> None:
        """A secure record of the key proves the client; no other method is asked."""
        self.zone.tlsa(self.NAME, of_key(self.spki), life=timedelta(minutes=5))
        proof = self.prove()
        self.assertEqual((proof.client, proof.method, proof.strength), (self.bar.client, "dane", Strength.DNSSEC))
        self.assertEqual(proof.until, now() + timedelta(minutes=5))
        self.assertEqual((self.zone.asked, self.hosts.asked), ([TLSA], []))

    def test_o09_whole_certificate(self) -> None:
        """3 0 1 proves this certificate; the same key in another one is not it."""
        self.zone.tlsa(self.NAME, Tlsa(3, 0, 1, self.bar.certificate.x5t.raw))
        self.prove()
        again = certificate(self.NAME, self.bar.agent_key, serial=2)
        self.refuse_now(self.identity.prove_client(again, self.bar.issuer), Unproven)

    def test_o09_o10_no_match_is_final(self) -> None:
        """Records of another key, or none that can be used: TXT, WebFinger and issuer are not asked."""
        raw = self.spki.raw
        for record in (
            of_key(digest_of(b"other")), Tlsa(3, 1, 2, raw * 2), Tlsa(2, 1, 1, raw), Tlsa(2, 0, 0, b"no certificate"),
            Tlsa(0, 1, 1, raw), Tlsa(1, 1, 1, raw), Tlsa(4, 1, 1, raw), Tlsa(3, 2, 1, raw), Tlsa(3, 1, 3, raw),
            Tlsa(3, 1, 1, raw[:-1]), Tlsa(3, 0, 1, raw), Tlsa(3, 1, 0, raw),
        ):  # fmt: skip
            self.publish(self.bar.agent_key)
            self.zone.text(self.NAME, render_client_keys([self.spki]))
            self.zone.tlsa(self.NAME, record)
            self.require_cold()
            self.refuse_client(Unproven, "https://bar.test")
            self.assertEqual((self.zone.asked, self.hosts.asked), ([TLSA], []), record)

    def test_o13_rotation(self) -> None:
        """Records of the old and the new key prove both; the old one alone refuses the new one."""
        old = certificate(self.NAME, Key("old"))
        self.zone.tlsa(self.NAME, of_key(old.spki), of_key(self.spki), Tlsa(0, 0, 1, bytes(32)))
        self.prove()
        self.prove(shown=old)
        self.zone.tlsa(self.NAME, of_key(old.spki))
        self.require_cold(24 * 3600)
        self.refuse_client(Unproven)

    def test_o05_insecure_records_are_refused(self) -> None:
        """TLSA records that DNSSEC does not protect are refused, whatever they say; nothing else is asked."""
        self.zone.tlsa(self.NAME, of_key(self.spki), verdict=Verdict.INSECURE)
        self.publish(self.bar.agent_key)
        self.refuse_client(Unproven, "https://bar.test")
        self.assertEqual((self.zone.asked, self.hosts.asked), ([TLSA], []))

    def test_insecure_absence(self) -> None:
        """In an unsigned zone without such records the next method decides."""
        self.zone.tlsa(self.NAME, verdict=Verdict.INSECURE)
        self.publish(self.bar.agent_key)
        self.assertEqual(self.prove().method, "webfinger")

    def test_o06_bogus_is_final(self) -> None:
        """Broken signatures are a refusal, and the detail says what the resolver said."""
        for kind in (RecordType.TLSA, RecordType.TXT):
            self.zone.answers.clear()
            self.zone.publish(self.NAME, kind, (), Verdict.BOGUS)
            self.require_cold()
            self.assertIn("said the zone", self.refuse_client(Unproven, "https://bar.test").detail)
        self.assertEqual(self.zone.asked, [TLSA, TXT])

    def test_outage_is_no_absence(self) -> None:
        """When DNS cannot answer, no later method decides; a moment later it is asked again (F-14)."""
        self.zone.publish(self.NAME, RecordType.TLSA, (), Verdict.TEMPORARY)
        self.publish(self.bar.agent_key)
        self.refuse_client(Unavailable, "https://bar.test")
        self.assertEqual(self.hosts.asked, [])
        self.zone.answers.clear()
        self.clock.advance(5)
        self.assertEqual(self.prove().method, "webfinger")

    def test_o12_owner_is_the_client(self) -> None:
        """Records of a server at the same domain, of a parent and of a neighbour are never asked for."""
        for name in ("_443._tcp.bar.test", "_443._tcp._rra.bar.test", "bar.test", "_443._tcp.rs.bar.test"):
            self.zone.tlsa(name, of_key(self.spki))
        self.refuse_client(Unproven)
        self.assertEqual(self.zone.asked, [TLSA, TXT])

    def test_without_a_validating_resolver(self) -> None:
        """Nothing can be secure then, hence nothing is asked that would have to be; WebFinger decides."""
        self.validates = False
        self.identity = self.make()
        self.zone.tlsa(self.NAME, of_key(digest_of(b"other")), verdict=Verdict.INSECURE)
        self.publish(self.bar.agent_key)
        self.assertEqual(self.prove().method, "webfinger")
        self.assertEqual(self.zone.asked, [])
        self.introduce()
        self.assertEqual(self.zone.asked, [])

    def test_o14_life(self) -> None:
        """A proof ends with its record, within a minute and a day."""
        for life, expected in ((timedelta(0), timedelta(minutes=1)), (3 * DAY, DAY)):
            self.zone.tlsa(self.NAME, of_key(self.spki), life=life)
            self.require_cold(25 * 3600)
            self.assertEqual(self.prove().until, instant(self.clock.seconds()) + expected)
            self.clock.advance(expected.total_seconds() - 1)
            self.prove()
            self.assertEqual(len(self.zone.asked), 1)
            self.clock.advance(1)
            self.prove()
            self.assertEqual(len(self.zone.asked), 2)

    def test_o14_life_of_an_absence(self) -> None:
        """A proof by WebFinger ends when the absence of TLSA records does: a domain that adds one is heard."""
        self.zone.tlsa(self.NAME, life=timedelta(minutes=2))
        self.publish(self.bar.agent_key)
        self.assertEqual(self.prove().until, now() + timedelta(minutes=2))
        self.zone.tlsa(self.NAME, of_key(digest_of(b"other")))
        self.clock.advance(120)
        self.refuse_client(Unproven)


class Authorities(ClientCase):
    """TLSA usage 2: the record is about a CA of the client's domain."""

    def setUp(self) -> None:
        super().setUp()
        self.root = authorities.root()
        self.between = self.root.authority("Between")
        self.client = (x509.SubjectAlternativeName([x509.DNSName(self.NAME)]), False)
        self.leaf = self.between.client("_rra", "bar.test", self.client)
        # The fixtures' certificates are good at another time than the other tests' clock says.
        self.clock.advance((START + timedelta(days=1)).timestamp() - self.clock.seconds())

    def shown(self, issued: authorities.Issued | None = None, *more: bytes) -> Certificate:
        """The certificate with its chain, and the root, which RFC 7671 5.2.2 wants sent."""
        peer = (issued or self.leaf).peer
        return evolve(peer, chain=(*peer.chain, *more))

    def require(self, record: Tlsa, shown: Certificate, *, good: bool) -> None:
        """The record proves what is shown, or does not."""
        self.zone.tlsa(self.NAME, record)
        self.identity = self.make()
        if good:
            self.assertEqual(self.prove(shown=shown).strength, Strength.DNSSEC)
        else:
            self.refuse_now(self.identity.prove_client(shown, self.bar.issuer), Unproven)

    def test_usage_2(self) -> None:
        """The CA's key or certificate, by either digest or whole, directly above or one step up."""
        for above, selector, matching in product((self.root, self.between), (0, 1), (0, 1, 2)):
            record = authorities_record(above.der, selector, matching)
            self.require(record, self.shown(None, self.root.der), good=True)
        self.require(Tlsa(2, 0, 0, self.root.der), self.shown(), good=True)

    def test_o09_chain_that_ends_elsewhere(self) -> None:
        """Another CA, a CA that did not sign, one that was not sent, and the client's own certificate."""
        other = authorities.root("Other")
        shown = self.shown(None, self.root.der, other.der)
        for record in (
            authorities_record(other.der, 1, 1), Tlsa(2, 0, 0, other.der), Tlsa(2, 0, 0, b"no certificate"),
            authorities_record(self.leaf.der, 1, 1), Tlsa(2, 0, 0, self.leaf.der),
        ):  # fmt: skip
            self.require(record, shown, good=False)
        self.require(authorities_record(self.root.der, 1, 1), self.shown(), good=False)

    def test_o11_client_of_the_same_authority(self) -> None:
        """The CA may have other clients: the name has to be a dNSName of the certificate, not only its subject."""
        record = authorities_record(self.root.der, 1, 1)
        for extensions in ((), ((x509.SubjectAlternativeName([x509.DNSName("_rrb.bar.test")]), False),)):
            leaf = self.between.client("_rra", "bar.test", *extensions)
            self.require(record, self.shown(leaf, self.root.der), good=False)

    def test_m07_expired(self) -> None:
        """Dates count here: an authority's word ends with its certificate."""
        names, end = authorities.subject("_rra", "bar.test"), START + timedelta(hours=1)
        leaf = self.between.issue(names, [self.client], end=end)
        self.require(authorities_record(self.root.der, 1, 1), self.shown(leaf, self.root.der), good=False)

    def test_no_certificate_at_hand(self) -> None:
        """A certificate whose bytes cannot be read has no names."""
        record = authorities_record(self.root.der, 1, 1)
        self.require(record, evolve(self.leaf.peer, der=b"?", chain=(self.root.der,)), good=False)


class Text(ClientCase):
    """TXT records at the client's name (source 004)."""

    def test_secure(self) -> None:
        """A secure record is as strong as DNSSEC."""
        self.zone.text(self.NAME, "v=spf1 -all", render_client_keys([self.spki]))
        proof = self.prove()
        self.assertEqual((proof.method, proof.strength), ("dns-txt", Strength.DNSSEC))
        self.assertEqual((self.zone.asked, self.hosts.asked), ([TLSA, TXT], [CLIENT]))

    def test_o05_insecure(self) -> None:
        """Without DNSSEC it is weak, or refused where the operator says so."""
        self.zone.text(self.NAME, render_client_keys([self.spki]), verdict=Verdict.INSECURE)
        self.assertEqual(self.prove().strength, Strength.WEAK)
        self.identity = self.make(require_dnssec=True)
        self.refuse_client(Unproven, "https://bar.test")

    def test_o04_nonsense_is_final(self) -> None:
        """A record that means to be ours and is none, or two that disagree, are not saved by the issuer."""
        good, other = render_client_keys([self.spki]), render_client_keys([digest_of(b"other")])
        for records in (("v=DANCE1; h=md5; p=0",), (f"h=sha256; p={self.spki.hex}",), (good, other), (other,)):
            self.zone.text(self.NAME, *records)
            self.require_cold()
            self.refuse_client(Unproven, "https://bar.test")

    def test_o04_noise_is_no_publication(self) -> None:
        """Records of other protocols leave the question to the next method."""
        self.zone.text(self.NAME, "v=spf1 -all", verdict=Verdict.INSECURE)
        self.assertEqual(self.prove("https://bar.test").method, "issuer")

    def test_o13_rotation(self) -> None:
        """One record lists the old and the new key."""
        old = certificate(self.NAME, Key("old"))
        self.zone.text(self.NAME, render_client_keys([self.spki, old.spki]))
        self.prove()
        self.prove(shown=old)

    def test_outage(self) -> None:
        """A name server that does not answer is no absence."""
        self.zone.publish(self.NAME, RecordType.TXT, (), Verdict.TEMPORARY)
        self.refuse_client(Unavailable, "https://bar.test")


class Shared(ClientCase):
    """A cold proof costs one question of each method, however many ask."""

    def test_f17_concurrent_askers(self) -> None:
        """A hundred who wait for the first answer share every question."""
        waiting: Deferred[Records] = Deferred()
        self.zone.answers[self.NAME, RecordType.TLSA] = waiting
        self.zone.text(self.NAME, render_client_keys([self.spki]))
        asked = [
            Deferred.fromCoroutine(self.identity.prove_client(self.bar.certificate, self.bar.issuer))
            for _ in range(100)
        ]
        waiting.callback(Records(Verdict.SECURE, DAY))
        self.assertEqual({self.successResultOf(each).method for each in asked}, {"dns-txt"})
        self.assertEqual((self.zone.asked, self.hosts.asked), ([TLSA, TXT], [CLIENT]))
        self.prove()
        self.assertEqual(len(self.zone.asked), 2)

    def test_f17_certificates_of_one_client(self) -> None:
        """Those who come with many certificates of one client at once share its questions; each is judged by itself."""
        waiting: Deferred[Records] = Deferred()
        self.zone.answers[self.NAME, RecordType.TLSA] = waiting
        thieves = [certificate(self.NAME, Key(f"thief {number}")) for number in range(20)]
        asked = [
            Deferred.fromCoroutine(self.identity.prove_client(shown, self.bar.issuer))
            for shown in (*thieves, self.bar.certificate)
        ]
        waiting.callback(Records(Verdict.SECURE, DAY, (of_key(self.spki),)))
        for each in asked[:-1]:
            self.failureResultOf(each, Unproven)
        self.assertEqual(self.successResultOf(asked[-1]).method, "dane")
        self.assertEqual(self.zone.asked, [TLSA])

    def test_o03_host_is_the_common_name(self) -> None:
        """Nobody but the CN itself is asked, never its parent: who has a name below github has not github."""
        self.refuse_now(
            self.identity.prove_client(certificate("_rra.client.hub.test", self.bar.agent_key), self.bar.issuer),
            Unproven,
        )
        self.assertEqual({url.split("/")[2] for url in self.hosts.asked}, {"client.hub.test"})
        self.assertEqual({each.split(" ")[0] for each in self.zone.asked}, {"_rra.client.hub.test"})

    def test_f18_client_of_our_own_domain(self) -> None:
        """Another client of our own domain is proved by DNS or our issuer; our own WebFinger is not asked."""
        other = certificate("_app.foo.test", self.bar.agent_key)
        self.refuse_now(self.identity.prove_client(other, self.home.issuer), Unproven)
        self.zone.tlsa("_app.foo.test", of_key(other.spki))
        self.require_cold(24 * 3600)
        self.assertEqual(self.prove(str(self.home.issuer), other).method, "dane")
        self.assertEqual(self.hosts.asked, [])


def authorities_record(der: bytes, selector: int, matching: int) -> Tlsa:
    """The record of usage 2 about that CA."""
    selected = public_key_of(der) if selector else der
    return Tlsa(2, selector, matching, (bytes, sha256, sha512)[matching](selected))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()
