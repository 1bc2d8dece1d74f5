"""Introductions, keys, clients and users, over hosts in memory."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.proof.tokens import access_claims
from rrsd.core.refusals import Expired, Forbidden, Malformed, TooLarge, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.peers import Discovery, Issuer, parse_issuer
from rrsd.core.values.records import RecordType, Verdict
from rrsd.core.values.tokens import KeySet, Kind, VerifiedAccess
from rrsd.core.wire.jose import render_key_set
from rrsd.core.wire.metadata import render_issuer_metadata
from rrsd.core.wire.webfinger import render_issuer
from tests.roles.identity.case import DAY, FALLBACK, FINGER, JWKS, METADATA, IdentityCase
from tests.support.domains import Key, json_answer, now


class Introduce(IdentityCase):
    """Who speaks for a mail domain (protocol 2)."""

    def test_webfinger(self) -> None:
        """WebFinger names the issuer, whose metadata says the rest."""
        found = self.introduce()
        self.assertEqual((found.issuer, found.protected_resources), (self.bar.issuer, (self.bar.origin,)))
        self.assertEqual(found.until, now() + timedelta(minutes=10))
        self.assertEqual(self.hosts.asked, [FINGER, METADATA])

    def test_f18_issuer_of_ours(self) -> None:
        """A stranger that names our own issuer, or is a host of ours, does not make us ask ourselves."""
        for issuer in (self.home.issuer, "https://foo.test", "https://rs.foo.test"):
            self.setUp()
            self.finger(str(issuer))
            self.refuse(Unproven)
            self.assertEqual(self.hosts.asked, [FINGER])
        self.refuse_now(self.identity.introduce(Domain("rs.foo.test")), Unproven)

    def test_our_own_domain_needs_no_network(self) -> None:
        """Our own domain is introduced by the configuration (F-18)."""
        found = self.run_now(self.identity.introduce(self.home.domain))
        self.assertEqual((found.issuer, self.hosts.asked), (self.home.issuer, []))
        self.assertEqual(found.found_by, Discovery.OURSELVES)

    def test_fallback_on_404_only(self) -> None:
        """Without WebFinger the domain itself is the issuer (F-14)."""
        del self.hosts.pages[FINGER]
        own = evolve(self.bar.metadata, issuer=parse_issuer("https://bar.test"))
        document = {**render_issuer_metadata(own), "jwks_uri": "https://bar.test/jwks"}
        self.hosts.pages[FALLBACK] = json_answer(document)
        found = self.introduce()
        self.assertEqual((str(found.issuer), found.found_by), ("https://bar.test", Discovery.WELL_KNOWN))

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


class Record(IdentityCase):
    """The TXT record at `_rrs`, for domains without a web server."""

    NAME = "_rrs.bar.test"

    def setUp(self) -> None:
        super().setUp()
        del self.hosts.pages[FINGER]

    def test_record(self) -> None:
        """A secure record names the issuer; WebFinger is not asked."""
        self.zone.text(self.NAME, "v=spf1 -all", "v=rrs1; iss=https://as.bar.test", life=timedelta(minutes=5))
        found = self.introduce()
        self.assertEqual((found.issuer, found.found_by), (self.bar.issuer, Discovery.DNSSEC))
        self.assertEqual(found.until, now() + timedelta(minutes=5))
        self.assertEqual((self.zone.asked, self.hosts.asked), ([f"{self.NAME} TXT"], [METADATA]))

    def test_reference_zones(self) -> None:
        """The form of the first deployments is read."""
        self.zone.text(self.NAME, "v=RRS1; iss=https://as.bar.test; jwks=/.well-known/jwks.json")
        self.assertEqual(self.introduce().issuer, self.bar.issuer)

    def test_insecure_is_as_if_not_published(self) -> None:
        """A record that DNSSEC does not protect names nobody, not even wrongly."""
        for text in ("v=rrs1; iss=https://as.evil.test", "v=rrs1; iss=nonsense"):
            self.setUp()
            self.zone.text(self.NAME, text, verdict=Verdict.INSECURE)
            self.refuse(Unknown)
            self.assertEqual(self.hosts.asked, [FINGER, FALLBACK])
        self.finger("https://as.bar.test")
        self.clock.advance(60)
        self.assertEqual(self.introduce().found_by, Discovery.WEBFINGER)

    def test_published_nonsense_is_final(self) -> None:
        """Two records, no issuer, an issuer that is none, one at our own host: WebFinger does not help."""
        good = "v=rrs1; iss=https://as.bar.test"
        for texts in ((good, "v=rrs1; iss=https://as.evil.test"), ("v=rrs1",), ("v=rrs1; iss=http://as.bar.test",),
                      ("v=rrs1; iss=https://10.0.0.1",), ("v=rrs1; iss=https://as.foo.test",)):  # fmt: skip
            self.setUp()
            self.finger("https://as.bar.test")
            self.zone.text(self.NAME, *texts)
            self.refuse(Unproven)
            self.assertEqual(self.hosts.asked, [], texts)

    def test_metadata_that_contradict_are_final(self) -> None:
        """The record's issuer says that it is another one."""
        self.zone.text(self.NAME, "v=rrs1; iss=https://as.bar.test")
        self.finger("https://as.bar.test")
        self.metadata(issuer="https://as.evil.test")
        self.refuse(Unproven)
        self.assertEqual(self.hosts.asked, [METADATA])

    def test_o06_bogus_and_outage(self) -> None:
        """Broken signatures are final; an outage is no absence, and a second look a moment later may help."""
        self.finger("https://as.bar.test")
        self.zone.publish(self.NAME, RecordType.TXT, (), Verdict.BOGUS)
        self.refuse(Unproven)
        self.clock.advance(60)
        self.zone.publish(self.NAME, RecordType.TXT, (), Verdict.TEMPORARY)
        self.refuse(Unavailable)
        self.assertEqual(self.hosts.asked, [])
        self.zone.answers.clear()
        self.clock.advance(5)
        self.introduce()

    def test_d09_life_of_an_absence(self) -> None:
        """What WebFinger says ends when the record's absence does: a domain that adds one is heard."""
        self.finger("https://as.bar.test")
        self.zone.text(self.NAME, life=timedelta(minutes=2))
        self.assertEqual(self.introduce().until, now() + timedelta(minutes=2))
        self.zone.text(self.NAME, "v=rrs1; iss=https://as.other.test", life=DAY)
        self.clock.advance(120)
        self.refuse(Unproven)


class Redirects(IdentityCase):
    """A WebFinger that is elsewhere (RFC 7033 4.2, F-06)."""

    ELSEWHERE = "https://finger.hosting.test/w?d=bar.test"

    def redirect(self, url: str, where: str, status: int = 302) -> None:
        self.hosts.pages[url] = Answer(status, {"location": where})

    def elsewhere(self) -> None:
        self.hosts.pages[self.ELSEWHERE] = self.hosts.pages[FINGER]

    def test_followed(self) -> None:
        """To another https host, by any of the five statuses."""
        for status in (301, 302, 303, 307, 308):
            self.setUp()
            self.elsewhere()
            self.redirect(FINGER, self.ELSEWHERE, status)
            self.assertEqual(self.introduce().issuer, self.bar.issuer)
            self.assertEqual(self.hosts.asked, [FINGER, self.ELSEWHERE, METADATA])

    def test_path(self) -> None:
        """To another path of the same host."""
        self.hosts.pages["https://bar.test/finger?x=1"] = self.hosts.pages[FINGER]
        self.redirect(FINGER, "/finger?x=1")
        self.introduce()

    def test_f06_too_many(self) -> None:
        """Three are followed and a fourth is not; a loop ends there too."""
        steps = [FINGER, *(f"https://bar.test/{number}" for number in range(4))]
        for here, there in pairwise(steps[:-1]):
            self.redirect(here, there)
        self.hosts.pages[steps[3]] = json_answer(render_issuer("acct:postmaster@bar.test", self.bar.issuer))
        self.introduce()
        self.redirect(steps[3], steps[4])
        self.clock.advance(DAY.total_seconds())
        self.hosts.asked.clear()
        self.refuse(Unproven)
        self.assertEqual(self.hosts.asked, steps[:4])
        self.setUp()
        self.redirect(FINGER, FINGER)
        self.refuse(Unproven)
        self.assertEqual(len(self.hosts.asked), 4)

    def test_f06_f18_places_that_are_not_followed(self) -> None:
        """http, an address, another spelling, nothing, and hosts of our own."""
        for where in (
            "http://bar.test/", "https://10.0.0.1/", "https://BAR.test/", "//evil.test/", "https://u@bar.test/", "",
            "https://bar.test/#x", "finger", "https://foo.test/", "https://as.foo.test/", "https://rs.foo.test/x",
            "https://bar.test/a, https://bar.test/b",
        ):  # fmt: skip
            self.setUp()
            self.redirect(FINGER, where)
            self.refuse(Unproven)
            self.assertEqual(self.hosts.asked, [FINGER], where)

    def test_f02_guard(self) -> None:
        """A private address behind the name is refused; so is a reserved name."""
        self.redirect(FINGER, self.ELSEWHERE)
        self.hosts.pages[self.ELSEWHERE] = Forbidden("private address")
        self.refuse(Unproven)
        self.identity = self.make(allow_reserved=False)
        url = FINGER.replace("bar.test", "bar.org")
        self.redirect(url, self.ELSEWHERE)
        self.hosts.asked.clear()
        self.refuse_now(self.identity.introduce(Domain("bar.org")), Unproven)
        self.assertEqual(self.hosts.asked, [url])

    def test_absence_elsewhere(self) -> None:
        """404 where it leads is 404."""
        self.redirect(FINGER, self.ELSEWHERE)
        self.refuse(Unknown)
        self.assertEqual(self.hosts.asked, [FINGER, self.ELSEWHERE, FALLBACK])

    def test_f06_metadata_and_keys_stay(self) -> None:
        """No other document may be elsewhere."""
        self.redirect(METADATA, "https://as.bar.test/other")
        self.refuse(Unproven)
        self.setUp()
        self.redirect(JWKS, "https://as.bar.test/other")
        self.refuse_now(self.identity.keys_of(self.introduce(), "any"), Unproven)


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
