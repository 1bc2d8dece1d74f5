"""What the operator is told of a name."""

from typing import Any

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.core.values.records import RecordType, Verdict
from rrsd.core.wire.texts import render_client_keys
from rrsd.core.wire.tlsa import of_key
from rrsd.core.wire.webfinger import client_acct, render_public_key
from rrsd.roles.identity.inspection import Inspection
from tests.roles.identity.case import CLIENT, FINGER, METADATA, Agent, ClientCase
from tests.support.domains import json_answer, timers_of


class InspectionCase(ClientCase):
    """foo.test's operator asks."""

    def setUp(self) -> None:
        super().setUp()
        self.inspection = self.inspect()

    def inspect(self) -> Inspection:
        """An inspection with the identity's settings."""
        identity = self.identity
        agent = Agent(self.home.certificate)
        return Inspection(
            identity.settings, identity.home, self.hosts, identity.zones, agent, timers_of(self.clock)
        )  # fmt: skip

    def look(self, name: str) -> Any:
        """The report, with the methods by name."""
        document = self.run_now(self.inspection.verify(name))
        self.decided = [each["method"] for each in document["methods"] if each["decides"]]
        self.states = {each["method"]: each["state"] for each in document["methods"]}
        self.by = {each["method"]: each for each in document["methods"]}
        return document


class Domains(InspectionCase):
    """Who speaks for a domain."""

    def test_webfinger(self) -> None:
        """Each way is looked at, in order; the first one that is published decides."""
        report = self.look("bar.test")
        self.assertEqual((report["believed"], report["refusal"], report["kind"]), (True, "", "domain"))
        self.assertEqual(self.states, {"dnssec": "absent", "webfinger": "published", "well-known": "absent"})
        self.assertEqual(self.decided, ["webfinger"])
        self.assertEqual(self.by["webfinger"]["seen"], ["https://as.bar.test"])
        self.assertIn("https://rs.bar.test", report["sentence"])
        self.assertEqual(self.by["dnssec"]["place"], "TXT _rrs.bar.test")
        self.assertEqual(self.by["webfinger"]["place"], FINGER)

    def test_address(self) -> None:
        """A user's address is a question about its domain."""
        self.assertEqual(self.look("bob@bar.test")["name"], "bar.test")

    def test_record(self) -> None:
        """A secure record decides before the rest."""
        self.zone.text("_rrs.bar.test", "v=rrs1; iss=https://as.bar.test")
        self.assertTrue(self.look("bar.test")["believed"])
        self.assertEqual((self.decided, self.by["dnssec"]["strength"]), (["dnssec"], "dnssec"))

    def test_refused(self) -> None:
        """What is published and contradicts itself says why, and what it named."""
        self.metadata(issuer="https://as.evil.test")
        report = self.look("bar.test")
        self.assertEqual((report["believed"], report["refusal"]), (False, "unproven"))
        look = self.by["webfinger"]
        self.assertEqual((look["state"], look["seen"]), ("refused", ["https://as.bar.test"]))
        self.assertIn("metadata of another issuer", report["sentence"])

    def test_unavailable(self) -> None:
        """An outage is no absence, here neither."""
        self.hosts.pages[FINGER] = Unavailable("connection")
        report = self.look("bar.test")
        self.assertEqual((report["refusal"], self.decided, self.states["webfinger"]), (
            "unavailable", ["webfinger"], "unavailable",
        ))  # fmt: skip
        self.assertIn("nobody can tell now", report["sentence"])

    def test_nothing(self) -> None:
        """A domain that publishes nothing."""
        del self.hosts.pages[FINGER]
        report = self.look("bar.test")
        self.assertEqual((report["refusal"], self.decided), ("unknown", []))

    def test_ourselves(self) -> None:
        """Our own domain is asked as others ask it."""
        self.hosts.publish(self.home)
        self.hosts.pages[FINGER.replace("bar.test", "foo.test")] = json_answer(
            {"subject": "acct:postmaster@foo.test", "links": [
                {"rel": "http://openid.net/specs/connect/1.0/issuer", "href": "https://as.foo.test"}
            ]}
        )  # fmt: skip
        self.assertTrue(self.look("foo.test")["believed"])
        self.assertEqual(len(self.hosts.asked), 3)

    def test_nothing_is_remembered(self) -> None:
        """Each look asks again."""
        self.look("bar.test")
        before = len(self.hosts.asked)
        self.look("bar.test")
        self.assertEqual(len(self.hosts.asked), 2 * before)

    def test_no_resolver(self) -> None:
        """Without a validating resolver the report says what that costs."""
        self.validates = False
        self.identity = self.make()
        self.inspection = self.inspect()
        self.look("bar.test")
        self.assertIn("[dns]", self.by["dnssec"]["why"])
        self.look("_rra.bar.test")
        self.assertIn("[dns]", self.by["dane"]["why"])

    def test_names_that_are_none(self) -> None:
        """What is no name is refused."""
        for name in ("", "bar", "bob@", "_rra", "_.bar.test", "127.0.0.1", "bob@bar.test@x.test"):
            self.refuse_now(self.inspection.verify(name), Malformed)

    def test_d07_reserved(self) -> None:
        """A name that nobody can own is refused before anything is asked."""
        self.identity = self.make(allow_reserved=False)
        self.inspection = self.inspect()
        self.assertEqual(self.look("bar.test")["refusal"], "unproven")
        self.assertEqual(self.look("_rra.bar.test")["refusal"], "unproven")
        self.assertEqual((self.hosts.asked, self.zone.asked), ([], []))


class Clients(InspectionCase):
    """Which keys a client has."""

    def test_every_method(self) -> None:
        """All that is published is shown, whatever decides."""
        other = digest_of(b"other")
        self.zone.tlsa(self.NAME, of_key(self.spki))
        self.zone.text(self.NAME, render_client_keys([other]), verdict=Verdict.INSECURE)
        self.publish(self.bar.agent_key)
        report = self.look(self.NAME)
        self.assertEqual((report["believed"], report["kind"], self.decided), (True, "client", ["dane"]))
        self.assertEqual(list(self.states), ["dane", "webfinger", "dns-txt", "issuer"])
        self.assertEqual(self.by["dane"]["seen"], [f"3 1 1 {self.spki.hex}"])
        self.assertEqual((self.by["dns-txt"]["seen"], self.by["dns-txt"]["strength"]), ([other.hex], "weak"))
        self.assertIn("policies", self.by["dns-txt"]["why"])
        self.assertEqual((self.by["webfinger"]["place"], self.by["webfinger"]["strength"]), (CLIENT, "tls"))
        self.assertEqual(self.states["issuer"], "absent")

    def test_issuer(self) -> None:
        """Where the domain itself is the issuer, it vouches."""
        own = {
            "issuer": "https://bar.test",
            "jwks_uri": "https://bar.test/jwks",
            "token_endpoint": "https://bar.test/t",
        }
        self.hosts.pages.clear()
        self.hosts.pages["https://bar.test/.well-known/oauth-authorization-server"] = json_answer(own)
        self.assertTrue(self.look(self.NAME)["believed"])
        self.assertEqual((self.decided, self.by["issuer"]["seen"]), (["issuer"], ["https://bar.test"]))

    def test_o05_o10_refused(self) -> None:
        """TLSA without DNSSEC is final, and the report says it before somebody wonders."""
        self.zone.tlsa(self.NAME, of_key(self.spki), verdict=Verdict.INSECURE)
        self.publish(self.bar.agent_key)
        report = self.look(self.NAME)
        self.assertEqual((report["refusal"], self.states["dane"], self.decided), ("unproven", "refused", ["dane"]))
        self.assertIn("without DNSSEC", report["sentence"])

    def test_trouble(self) -> None:
        """Bogus and temporary answers say what the resolver said."""
        self.zone.publish(self.NAME, RecordType.TLSA, (), Verdict.BOGUS)
        self.assertIn("said the zone", self.look(self.NAME)["sentence"])
        self.zone.publish(self.NAME, RecordType.TLSA, (), Verdict.TEMPORARY)
        self.assertEqual(self.look(self.NAME)["refusal"], "unavailable")

    def test_nothing(self) -> None:
        """Nothing is published, and the domain's issuer cannot be asked."""
        self.hosts.pages[METADATA] = Answer(500, {})
        report = self.look(self.NAME)
        self.assertEqual((report["refusal"], self.decided), ("unproven", []))

    def test_our_own_client(self) -> None:
        """Our own records are held against the certificate in use."""
        name, spki = "_rra.foo.test", self.home.certificate.spki
        self.zone.tlsa(name, of_key(spki))
        self.assertIn("certificate in use", self.look(name)["sentence"])
        self.zone.tlsa(name, of_key(digest_of(b"the key before")))
        page = json_answer(render_public_key(client_acct(self.home.client), [spki]))
        self.hosts.pages[CLIENT.replace("bar.test", "foo.test")] = page
        report = self.look(name)
        self.assertEqual((report["refusal"], self.states["dane"]), ("unproven", "refused"))
        self.assertEqual(self.states["webfinger"], "published")
        self.assertEqual(len(self.by["dane"]["seen"]), 1)
