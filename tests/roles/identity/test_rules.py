"""What is believed of other domains' answers, and what is answered about our own."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge, Unavailable, Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.webfinger import ISSUER_REL, PUBLIC_KEY_REL, Query
from rrsd.roles.identity import rules
from tests.support.domains import Party

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class Usable(SynchronousTestCase):
    """Domains that strangers can have (D-07)."""

    def test_public_domain(self) -> None:
        """A name of the public DNS is usable."""
        rules.require_usable(Domain("bar.org"), allow_reserved=False)

    def test_reserved_domain_is_refused(self) -> None:
        """A name that nobody can own is refused, whatever answers there (D-07)."""
        for name in ("foo.test", "mail.localhost", "printer.local"):
            self.assertRaises(Unproven, rules.require_usable, Domain(name), False)

    def test_reserved_domain_for_tests(self) -> None:
        """A configuration for tests may allow them."""
        rules.require_usable(Domain("foo.test"), allow_reserved=True)


class Documents(SynchronousTestCase):
    """Answers of other hosts (F-09, F-14)."""

    def test_document(self) -> None:
        """A JSON body of status 200 is a document, parameters of its media type aside."""
        for kind in ("application/json", "application/jrd+json; charset=utf-8", "Application/JSON"):
            self.assertEqual(rules.require_document(Answer(200, {"content-type": kind}, b"{}")), b"{}")

    def test_only_404_is_an_absence(self) -> None:
        """404 says that nothing is published."""
        self.assertIsNone(rules.require_document(Answer(404, {})))

    def test_trouble_is_never_an_absence(self) -> None:
        """An overloaded or broken host does not make the next method decide (F-14)."""
        for status in (408, 425, 429, 500, 502, 503, 504, 599):
            self.assertRaises(Unavailable, rules.require_document, Answer(status, {"content-type": "application/json"}))

    def test_anything_else_proves_nothing(self) -> None:
        """Redirects, empty answers, other refusals and HTML are a publication that failed (F-06, F-09)."""
        for status in (204, 206, 301, 302, 307, 400, 401, 403, 410):
            self.assertRaises(Unproven, rules.require_document, Answer(status, {"content-type": "application/json"}))
        self.assertRaises(Unproven, rules.require_document, Answer(200, {"content-type": "text/html"}))
        self.assertRaises(Unproven, rules.require_document, Answer(200, {}))

    def test_nonsense_is_unproven(self) -> None:
        """Whoever publishes what cannot be read has published, and has proved nothing."""

        def parse(refusal: Exception) -> None:
            raise refusal

        self.assertRaises(Unproven, rules.understood, parse, Malformed("x"))
        self.assertRaises(Unproven, rules.understood, parse, TooLarge("x"))
        self.assertEqual(rules.understood(int, "7"), 7)


class Lives(SynchronousTestCase):
    """How long answers are kept (F-16)."""

    def life(self, value: str | None) -> timedelta:
        return rules.life_of({} if value is None else {"cache-control": value}, MINUTE, DAY)

    def test_max_age_within_bounds(self) -> None:
        """The answer's own max-age counts."""
        self.assertEqual(self.life("public, max-age=600"), timedelta(minutes=10))
        self.assertEqual(self.life('Max-Age="600"'), timedelta(minutes=10))

    def test_max_age_is_clamped(self) -> None:
        """Nobody is asked more than once a minute or believed for more than a day."""
        self.assertEqual(self.life("max-age=0"), MINUTE)
        self.assertEqual(self.life("max-age=9999999999"), DAY)

    def test_without_a_word(self) -> None:
        """An answer that says nothing, nonsense, or wants not to be kept, is kept for the least time."""
        for value in (None, "private", "max-age=", "max-age=-5", "s-max-age=600", "no-store, max-age=600", "no-cache"):
            self.assertEqual(self.life(value), MINUTE, value)


class Keys(SynchronousTestCase):
    """Whether a key set has to be fetched again."""

    def test_has_key(self) -> None:
        """A known key, or none named, is no reason to fetch."""
        keys = KeySet((Party("bar.test").key.public,))
        self.assertTrue(rules.has_key(keys, "key-of-bar.test"))
        self.assertTrue(rules.has_key(keys, ""))
        self.assertFalse(rules.has_key(keys, "another"))


class WebFinger(SynchronousTestCase):
    """Our own answers (W-08)."""

    def setUp(self) -> None:
        self.home = Party("foo.test")
        self.hash = digest_of(b"key")

    def ask(self, resource: str, *rels: str) -> dict[str, object]:
        home = self.home
        return rules.answer_webfinger(Query(resource, rels), home.domain, home.issuer, home.client, (self.hash,))

    def rels(self, resource: str, *rels: str) -> list[str]:
        links = self.ask(resource, *rels)["links"]
        assert isinstance(links, list)
        return [link["rel"] for link in links]

    def test_user(self) -> None:
        """An address of the domain leads to the issuer."""
        answer = self.ask("acct:alice@foo.test", ISSUER_REL)
        self.assertEqual(answer["subject"], "acct:alice@foo.test")
        self.assertEqual(answer["links"], [{"rel": ISSUER_REL, "href": "https://as.foo.test"}])

    def test_enumeration(self) -> None:
        """Users who exist, users who do not and postmaster get the same links (W-08)."""
        self.assertEqual(self.ask("acct:alice@foo.test")["links"], self.ask("acct:nobody.at.all@foo.test")["links"])
        self.assertEqual(self.ask("acct:alice@foo.test")["links"], self.ask("acct:postmaster@foo.test")["links"])

    def test_percent_encoding(self) -> None:
        """A local part may be percent-encoded (RFC 7565 7)."""
        self.assertEqual(self.rels("acct:a%2Fb@foo.test"), [ISSUER_REL])

    def test_no_link_of_another_relation(self) -> None:
        """Only relations that are asked for are answered, none meaning all."""
        self.assertEqual(self.rels("acct:alice@foo.test", PUBLIC_KEY_REL), [])
        self.assertEqual(self.rels("acct:_rra@foo.test"), [ISSUER_REL, PUBLIC_KEY_REL])
        self.assertEqual(self.rels("acct:_rra@foo.test", PUBLIC_KEY_REL), [PUBLIC_KEY_REL])

    def test_client_forms(self) -> None:
        """The client's key is found under both names of the client."""
        for resource in ("acct:_rra@foo.test", "acct:_rra.foo.test"):
            links = self.ask(resource, PUBLIC_KEY_REL)["links"]
            self.assertEqual(links, [{"rel": PUBLIC_KEY_REL, "properties": {"public-key/hash": self.hash.hex}}])

    def test_others(self) -> None:
        """What is not about this domain is unknown."""
        for resource in (
            "acct:alice@bar.test",
            "https://foo.test/",
            "mailto:alice@foo.test",
            "acct:alice@sub.foo.test",
        ):
            self.assertRaises(Unknown, self.ask, resource)

    def test_malformed(self) -> None:
        """An acct URI that is none is malformed (D-03)."""
        for resource in (
            "acct:alice",
            "acct:@foo.test",
            "acct:a%40b@foo.test",
            "acct:%FF@foo.test",
            "acct:_rrb.foo.test",
        ):
            self.assertRaises(Malformed, self.ask, resource)

    def test_target(self) -> None:
        """A query is percent-encoded."""
        expected = "/.well-known/webfinger?resource=acct%3Apostmaster%40foo.test&rel=public-key"
        self.assertEqual(rules.webfinger_target("acct:postmaster@foo.test", PUBLIC_KEY_REL), expected)
