"""Introductions, keys, clients and users, over hosts in memory."""

from datetime import timedelta
from itertools import pairwise

from attrs import evolve

from rrsd.core.refusals import Forbidden, TooLarge, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.peers import Discovery, parse_issuer
from rrsd.core.values.records import RecordType, Verdict
from rrsd.core.wire.metadata import render_issuer_metadata
from rrsd.core.wire.webfinger import render_issuer
from tests.roles.identity.case import DAY, FALLBACK, FINGER, JWKS, METADATA, IdentityCase
from tests.support.domains import json_answer, now


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
