"""Introductions, keys, clients and users, over hosts in memory."""

from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.proof.tokens import access_claims
from rrsd.core.refusals import Expired, Forbidden, Malformed, Refusal, TooLarge, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate, Issuer, parse_issuer
from rrsd.core.values.tokens import KeySet, Kind, VerifiedAccess
from rrsd.core.wire.jose import render_key_set
from rrsd.core.wire.metadata import render_issuer_metadata
from rrsd.core.wire.webfinger import client_acct, render_issuer, render_public_key
from rrsd.roles.identity.flow import Identity
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.settings import Method, Settings
from rrsd.runtime.flights import Flights
from tests.support.domains import FlowCase, Hosts, Key, Party, certificate, clock_at, json_answer, now, timers_of

FINGER = "https://bar.test/.well-known/webfinger?resource=acct%3Apostmaster%40bar.test"
FINGER += "&rel=http%3A%2F%2Fopenid.net%2Fspecs%2Fconnect%2F1.0%2Fissuer"
CLIENT = "https://bar.test/.well-known/webfinger?resource=acct%3A_rra%40bar.test&rel=public-key"
METADATA = "https://as.bar.test/.well-known/oauth-authorization-server"
FALLBACK = "https://bar.test/.well-known/oauth-authorization-server"
JWKS = "https://as.bar.test/jwks"


class IdentityCase(FlowCase):
    """foo.test asks about bar.test."""

    def setUp(self) -> None:
        self.home, self.bar = Party("foo.test"), Party("bar.test")
        self.hosts, self.clock = Hosts(), clock_at()
        self.hosts.publish(self.bar)
        self.finger("https://as.bar.test")
        self.identity = self.make()

    def make(self, access_issuer: Issuer | None = None, **changes: Any) -> Identity:
        home = Home(
            domain=self.home.domain,
            metadata=self.home.metadata,
            resource=self.home.origin,
            client=self.home.client,
            access_issuer=access_issuer or self.home.issuer,
            audiences=frozenset({str(self.home.origin)}),
        )
        settings = Settings(**{"allow_reserved": True, **changes})
        agent = Agent(self.home.certificate)
        return Identity(settings, home, self.hosts, Flights(), self.home, agent, timers_of(self.clock))

    def finger(self, issuer: str, subject: str = "acct:postmaster@bar.test", cache: str = "max-age=600") -> None:
        self.hosts.pages[FINGER] = json_answer(render_issuer(subject, parse_issuer(issuer)), cache=cache)

    def metadata(self, **changes: Any) -> None:
        document = {**render_issuer_metadata(self.bar.metadata), **changes}
        self.hosts.pages[METADATA] = json_answer(document)

    def introduce(self) -> Any:
        return self.run_now(self.identity.introduce(self.bar.domain))

    def refuse(self, refusal: type[Refusal]) -> Any:
        return self.refuse_now(self.identity.introduce(self.bar.domain), refusal)


class Agent:
    """The holder of our client certificate."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate

    def published(self) -> tuple[Digest, ...]:
        return (self.certificate.spki,)


class Introduce(IdentityCase):
    """Who speaks for a mail domain (protocol 2)."""

    def test_webfinger(self) -> None:
        """WebFinger names the issuer, whose metadata says the rest."""
        found = self.introduce()
        self.assertEqual((found.issuer, found.protected_resources), (self.bar.issuer, (self.bar.origin,)))
        self.assertEqual(found.until, now() + timedelta(minutes=10))
        self.assertEqual(self.hosts.asked, [FINGER, METADATA])

    def test_our_own_domain_needs_no_network(self) -> None:
        """Our own domain is introduced by the configuration (F-18)."""
        found = self.run_now(self.identity.introduce(self.home.domain))
        self.assertEqual((found.issuer, self.hosts.asked), (self.home.issuer, []))

    def test_fallback_on_404_only(self) -> None:
        """Without WebFinger the domain itself is the issuer (F-14)."""
        del self.hosts.pages[FINGER]
        own = evolve(self.bar.metadata, issuer=parse_issuer("https://bar.test"))
        document = {**render_issuer_metadata(own), "jwks_uri": "https://bar.test/jwks"}
        self.hosts.pages[FALLBACK] = json_answer(document)
        self.assertEqual(str(self.introduce().issuer), "https://bar.test")

    def test_nothing_published(self) -> None:
        """A domain that publishes nothing is unknown."""
        del self.hosts.pages[FINGER]
        self.refuse(Unknown)
        self.assertEqual(self.hosts.asked, [FINGER, FALLBACK])

    def test_downgrade_by_trouble_is_refused(self) -> None:
        """5xx, time-outs and TLS errors never fall through to the next method (F-14)."""
        for page in (Answer(503, {}), Unavailable("time"), Unavailable("TLS")):
            self.setUp()
            self.hosts.pages[FINGER] = page
            self.refuse(Unavailable)
            self.assertEqual(self.hosts.asked, [FINGER])

    def test_private_address_is_refused(self) -> None:
        """An address that the guard forbids proves nothing (F-02)."""
        self.hosts.pages[FINGER] = Forbidden("private address")
        self.refuse(Unproven)

    def test_endless_document_is_refused(self) -> None:
        """A document beyond the limit proves nothing (F-09)."""
        self.hosts.pages[FINGER] = TooLarge("64 KiB")
        self.refuse(Unproven)

    def test_duplicate_members_are_refused(self) -> None:
        """A document with two readings proves nothing (F-09)."""
        self.hosts.pages[METADATA] = Answer(200, {"content-type": "application/json"}, b'{"issuer":"a","issuer":"b"}')
        self.refuse(Unproven)

    def test_webfinger_about_another_is_refused(self) -> None:
        """The subject must be the one asked for (F-12)."""
        self.finger("https://as.bar.test", subject="acct:postmaster@evil.test")
        self.refuse(Unproven)

    def test_two_issuer_links_are_refused(self) -> None:
        """Exactly one link decides (F-13)."""
        link = render_issuer("acct:postmaster@bar.test", self.bar.issuer)
        self.hosts.pages[FINGER] = json_answer({**link, "links": link["links"] * 2})
        self.refuse(Unproven)

    def test_metadata_of_another_issuer_is_refused(self) -> None:
        """The metadata's issuer is identical to the one asked for (RFC 8414 3.3, D-02)."""
        for issuer in ("https://as.evil.test", "https://as.bar.test:8443", "https://as.bar.test/a"):
            self.setUp()
            self.metadata(issuer=issuer)
            self.refuse(Unproven)

    def test_keys_on_another_host_are_refused(self) -> None:
        """An issuer's keys are on its own host (F-11)."""
        self.metadata(jwks_uri="https://as.evil.test/jwks")
        self.refuse(Unproven)

    def test_named_issuer_without_metadata_is_refused(self) -> None:
        """A published issuer that publishes nothing is a contradiction, not an absence."""
        del self.hosts.pages[METADATA]
        self.refuse(Unproven)

    def test_reserved_domains_are_refused(self) -> None:
        """Without the tests' setting, a reserved domain is refused before anything is asked (D-07)."""
        self.identity = self.make(allow_reserved=False)
        self.refuse(Unproven)
        self.assertEqual(self.hosts.asked, [])

    def test_issuer_on_a_reserved_host_is_refused(self) -> None:
        """A public domain cannot send us to a reserved host (F-02)."""
        self.identity = self.make(allow_reserved=False)
        url = FINGER.replace("bar.test", "bar.org")
        self.hosts.pages[url] = json_answer(render_issuer("acct:postmaster@bar.org", self.bar.issuer))
        self.refuse_now(self.identity.introduce(Domain("bar.org")), Unproven)
        self.assertEqual(self.hosts.asked, [url])


class Remember(IdentityCase):
    """What is kept, and for how long (F-16, F-17, D-09)."""

    def test_kept_for_the_shorter_life(self) -> None:
        """An introduction lives as long as the shorter-lived of its documents."""
        self.finger("https://as.bar.test", cache="max-age=120")
        self.introduce()
        self.clock.advance(119)
        self.introduce()
        self.assertEqual(len(self.hosts.asked), 2)
        self.clock.advance(1)
        self.introduce()
        self.assertEqual(len(self.hosts.asked), 4)

    def test_domain_changed_its_owner(self) -> None:
        """After its life an introduction is asked for again (D-09)."""
        self.introduce()
        self.clock.advance(601)
        self.finger("https://as.evil.test", subject="acct:postmaster@bar.test")
        self.refuse(Unproven)

    def test_negative_answers_are_kept_a_minute(self) -> None:
        """A domain that proved nothing is asked again after a minute."""
        self.metadata(issuer="https://as.evil.test")
        self.refuse(Unproven)
        self.metadata()
        self.clock.advance(59)
        self.refuse(Unproven)
        self.clock.advance(1)
        self.introduce()

    def test_an_outage_is_kept_briefly(self) -> None:
        """A host that cannot be asked is left alone for a few seconds."""
        self.hosts.pages[FINGER] = Unavailable("connection")
        self.refuse(Unavailable)
        self.refuse(Unavailable)
        self.assertEqual(len(self.hosts.asked), 1)
        self.clock.advance(5)
        self.finger("https://as.bar.test")
        self.introduce()

    def test_stampede(self) -> None:
        """A hundred who ask at the same time share one fetch (F-17)."""
        waiting: Deferred[Answer] = Deferred()
        page, self.hosts.pages[FINGER] = self.hosts.pages[FINGER], waiting
        asked = [Deferred.fromCoroutine(self.identity.introduce(self.bar.domain)) for _ in range(100)]
        assert isinstance(page, Answer)
        waiting.callback(page)
        self.assertEqual({self.successResultOf(each).issuer for each in asked}, {self.bar.issuer})
        self.assertEqual(self.hosts.asked, [FINGER, METADATA])

    def test_memory_is_bounded(self) -> None:
        """Strangers cannot fill the memory; the one longest unused is forgotten."""
        self.identity = self.make(most_entries=1)
        self.introduce()
        self.refuse_now(self.identity.introduce(Domain("baz.test")), Unknown)
        self.introduce()
        self.assertEqual(self.hosts.asked.count(FINGER), 2)


class Keys(IdentityCase):
    """The keys of an issuer."""

    def keys(self, kid: str = "key-of-bar.test") -> KeySet:
        return self.run_now(self.identity.keys_of(self.introduce(), kid))

    def fetches(self) -> int:
        return self.hosts.asked.count(JWKS)

    def rotate(self) -> None:
        keys = KeySet((self.bar.key.public, Key("new").public))
        self.hosts.pages[JWKS] = json_answer(render_key_set(keys))

    def test_keys(self) -> None:
        """They are fetched once while they are good."""
        self.assertEqual([key.kid for key in self.keys().keys], ["key-of-bar.test"])
        self.keys()
        self.assertEqual(self.fetches(), 1)

    def test_our_own_keys_need_no_network(self) -> None:
        """Our own issuer's keys are at hand."""
        own = self.run_now(self.identity.introduce(self.home.domain))
        self.assertEqual(self.run_now(self.identity.keys_of(own, "any")), self.home.published())
        self.assertEqual(self.hosts.asked, [])

    def test_unknown_key_after_a_rotation(self) -> None:
        """An unknown kid fetches the set again (J-24)."""
        self.keys()
        self.rotate()
        self.clock.advance(60)
        self.assertEqual(len(self.keys("new").keys), 2)
        self.assertEqual(len(self.keys("new").keys), 2)
        self.assertEqual(self.fetches(), 2)

    def test_flood_of_unknown_keys(self) -> None:
        """Unknown kids cause one fetch a minute, however many there are (F-01)."""
        self.keys()
        for number in range(50):
            self.keys(f"made-up-{number}")
        self.assertEqual(self.fetches(), 1)
        self.clock.advance(60)
        for number in range(50):
            self.keys(f"made-up-{number}")
        self.assertEqual(self.fetches(), 2)

    def test_failed_refetch_keeps_the_keys(self) -> None:
        """An unknown kid during an outage does not lose the keys that are known."""
        self.keys()
        self.clock.advance(60)
        self.hosts.pages[JWKS] = Unavailable("connection")
        self.refuse_now(self.identity.keys_of(self.introduce(), "made-up"), Unavailable)
        self.keys()
        self.keys("made-up")
        self.assertEqual(self.fetches(), 2)

    def test_missing_key_set_is_refused(self) -> None:
        """Metadata that points to nothing proves nothing."""
        del self.hosts.pages[JWKS]
        self.refuse_now(self.identity.keys_of(self.introduce(), "any"), Unproven)

    def test_two_keys_with_one_kid_are_refused(self) -> None:
        """An ambiguous key set is not used (J-09)."""
        keys = KeySet((Key("one").public, Key("one").public))
        self.hosts.pages[JWKS] = json_answer(render_key_set(keys))
        self.refuse_now(self.identity.keys_of(self.introduce(), "one"), Unproven)


class Clients(IdentityCase):
    """Who owns a client identifier (protocol 3)."""

    def publish(self, *keys: Key) -> None:
        hashes = [certificate("_rra.bar.test", key).spki for key in keys]
        self.hosts.pages[CLIENT] = json_answer(render_public_key(client_acct(self.bar.client), hashes))

    def prove(self, issuer: str = "https://as.bar.test", shown: Certificate | None = None) -> Any:
        return self.run_now(self.identity.prove_client(shown or self.bar.certificate, parse_issuer(issuer)))

    def refuse_client(self, refusal: type[Refusal], issuer: str = "https://as.bar.test") -> None:
        self.refuse_now(self.identity.prove_client(self.bar.certificate, parse_issuer(issuer)), refusal)

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


class Users(IdentityCase):
    """Access tokens of our own users."""

    PROVIDER = "https://login.example.org"

    def token(self, issuer: Issuer, key: Key, **changes: Any) -> str:
        access = VerifiedAccess(
            issuer, self.home.address("alice"), "rrsctl", frozenset({"mail"}), now() + timedelta(minutes=5), "j"
        )
        return key.sign(Kind.ACCESS, {**access_claims(access, str(self.home.origin), now()), **changes})

    def provider(self, key: Key, **changes: Any) -> None:
        issuer = parse_issuer(self.PROVIDER)
        document = {
            "issuer": str(issuer), "jwks_uri": "https://keys.example.org/certs",
            "token_endpoint": f"{issuer}/token", **changes,
        }  # fmt: skip
        self.hosts.pages[f"{issuer}/.well-known/openid-configuration"] = json_answer(document)
        self.hosts.pages["https://keys.example.org/certs"] = json_answer(render_key_set(KeySet((key.public,))))

    def test_own_issuer(self) -> None:
        """A token of our own issuer is proved without the network."""
        access = self.run_now(self.identity.prove_user(self.token(self.home.issuer, self.home.key)))
        self.assertEqual((str(access.subject), access.scope), ("alice@foo.test", {"mail"}))
        self.assertEqual(self.hosts.asked, [])

    def test_external_provider(self) -> None:
        """A token of the configured OpenID Provider is proved by its discovery document."""
        key = Key("theirs")
        self.provider(key)
        identity = self.make(parse_issuer(self.PROVIDER))
        token = self.token(parse_issuer(self.PROVIDER), key)
        self.assertEqual(str(self.run_now(identity.prove_user(token)).subject), "alice@foo.test")
        self.run_now(identity.prove_user(token))
        self.assertEqual(len(self.hosts.asked), 2)

    def test_provider_names_another_issuer(self) -> None:
        """A discovery document about another issuer is refused (RFC 8414 3.3)."""
        key = Key("theirs")
        self.provider(key, issuer="https://evil.example.org")
        identity = self.make(parse_issuer(self.PROVIDER))
        self.refuse_now(identity.prove_user(self.token(parse_issuer(self.PROVIDER), key)), Unproven)

    def test_bad_tokens(self) -> None:
        """Garbage, another issuer's token, another audience's and an old one are refused (J-14, J-15, J-16)."""
        self.refuse_now(self.identity.prove_user("x.y"), Malformed)
        self.refuse_now(self.identity.prove_user(self.token(self.bar.issuer, self.home.key)), Unproven)
        self.refuse_now(self.identity.prove_user(self.token(self.home.issuer, self.bar.key)), Unproven)
        other = self.token(self.home.issuer, self.home.key, aud="https://rs.bar.test")
        self.refuse_now(self.identity.prove_user(other), Unproven)
        self.clock.advance(600)
        self.refuse_now(self.identity.prove_user(self.token(self.home.issuer, self.home.key)), Expired)
