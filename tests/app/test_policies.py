"""What the administrator hears about policy."""

from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.app.sites import local_site
from rrsd.config.settings import Settings
from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.drivers.policy.settings import PairSettings
from tests.app.test_window import caller
from tests.support.world import World

FORBID = '@id("small-only") forbid (principal is User, action, resource is Grant) when { resource.size > 100 };\n'


class Explain(SynchronousTestCase):
    """foo.test's administrator asks about bob."""

    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text(f"// ours\n{FORBID}")
        self.file.chmod(0o644)
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", self._with_policies)
        self.digest = self.foo.grant(b"x" * 50, "bob@bar.test")
        self.large = self.foo.grant(b"x" * 101, "bob@bar.test")
        whole = self.foo.whole
        self.desk = caller(local_site(whole.window, whole.retrieving, 1 << 20))

    def _with_policies(self, settings: Settings) -> Settings:
        pair = PairSettings(parse_domain("bar.test"), clients=(parse_client_identifier("_rra.baz.test"),))
        return evolve(settings, policy=evolve(settings.policy, path=str(self.file), pairs=(pair,)))

    def explain(self, **given: Any) -> dict[str, Any]:
        """The report."""
        response = self.desk.send("POST", "/policy/explain", {"user": "bob@bar.test", **given})
        self.assertEqual(response.status, 200, response.body)
        document: dict[str, Any] = response.json()
        return document

    def test_permitted(self) -> None:
        """The policy with its place and text, and the whole question."""
        report = self.explain(resource=self.digest.ni)
        self.assertEqual(
            (report["permitted"], report["because"], report["answer"], report["note"]),
            (True, "grant-names-user", "200", ""),
        )
        (look,) = report["looked_at"]
        self.assertEqual((look["about"], look["state"], look["errors"]), ("1@foo.test", "live", []))
        self.assertEqual([each["file"] for each in look["policies"]], ["default.cedar"])
        asked = look["question"]
        self.assertEqual(asked["principal"]["attributes"]["client"]["name"], "_rra.bar.test")
        self.assertEqual(asked["context"]["proof"], {"method": "webfinger", "strength": "tls"})
        self.assertEqual(asked["resource"]["attributes"]["size"], 50)
        self.assertEqual(self.foo.trail.lines, [], "nothing was decided")

    def test_refused(self) -> None:
        """The operator's own policy, by its line."""
        for action in ("retrieve", "query", "acknowledge"):
            report = self.explain(resource=self.large.b64, action=action)
            self.assertEqual((report["permitted"], report["because"], report["answer"]), (False, "small-only", "403"))
            (policy,) = report["looked_at"][0]["policies"]
            self.assertEqual((policy["file"], policy["line"], policy["text"]), (str(self.file), 2, FORBID.strip()))

    def test_methods(self) -> None:
        """Each method at its best, unless told otherwise."""
        for method, strength in (("dane", "dnssec"), ("dns-txt", "dnssec"), ("issuer", "issuer")):
            report = self.explain(resource=self.digest.ni, method=method)
            self.assertEqual(report["looked_at"][0]["question"]["context"]["proof"]["strength"], strength)
        report = self.explain(resource=self.digest.ni, method="dns-txt", strength="weak")
        self.assertEqual((report["permitted"], report["because"]), (False, "no policy permits"))

    def test_times(self) -> None:
        """At another time a grant has ended; then the answer is 410, or 403 for whom policy refuses."""
        later = {"at": "2099-12-24T18:00:00+01:00"}
        report = self.explain(resource=self.digest.ni, **later)
        self.assertEqual((report["answer"], report["looked_at"][0]["state"]), ("410", "ended"))
        self.assertEqual(report["looked_at"][0]["question"]["context"]["now"], "2099-12-24T17:00:00+00:00")
        self.assertEqual(self.explain(resource=self.large.ni, at="2099-12-24T18:00:00")["answer"], "403")
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "1@foo.test"))
        self.assertEqual(self.explain(resource=self.digest.ni)["looked_at"][0]["state"], "withdrawn")

    def test_what_decides_before_policy(self) -> None:
        """No grant, and a client of another domain."""
        report = self.explain(resource=self.digest.ni, user="carol@bar.test")
        self.assertEqual((report["permitted"], report["looked_at"]), (False, []))
        self.assertIn("no grant", report["note"])
        report = self.explain(resource=self.digest.ni, client="_rra.evil.test")
        self.assertEqual((report["permitted"], report["answer"]), (False, "403"))
        self.assertIn("[policy.pair.bar.test]", report["note"])
        self.assertEqual((report["permitted"], report["because"]), (False, ""))
        self.assertTrue(self.explain(resource=self.digest.ni, client="_rra.baz.test")["permitted"])

    def test_exchanges(self) -> None:
        """Our own agent for our own users, at any target; whoever is not registered is unknown."""
        given = {"client": "_rra.foo.test", "target": "https://rs.bar.test", "user": "alice@foo.test"}
        report = self.explain(**given)
        self.assertEqual((report["permitted"], report["because"]), (True, "client-is-registered"))
        report = self.explain(**{**given, "user": "bob@bar.test"})
        self.assertEqual((report["permitted"], report["answer"]), (False, "400 invalid_target"))
        report = self.explain(**{**given, "user": "bob@bar.test", "evidence": "access token", "chain": 3})
        self.assertTrue(report["permitted"])
        self.assertEqual(report["looked_at"][0]["question"]["context"]["chain"], 3)
        response = self.desk.send("POST", "/policy/explain", {**given, "client": "_rra.evil.test"})
        self.assertEqual(response.status, 404)

    def test_wrong_questions(self) -> None:
        """What is no question is refused, with what would be right, and leaves a line."""
        good = {"user": "bob@bar.test", "resource": self.digest.ni}
        exchange = {"client": "_rra.foo.test", "target": "https://rs.bar.test", "user": "alice@foo.test"}
        for given in (
            {}, {**good, "user": 7}, {**good, "resource": "x"}, {**good, "action": "exchange"}, {**good, "at": "soon"},
            {**good, "method": "rumour"}, {**good, "colour": "red"}, {**exchange, "chain": True},
            {**exchange, "chain": 0}, {**exchange, "target": "rs.bar.test"}, {**exchange, "evidence": "dream"},
        ):  # fmt: skip
            with self.subTest(given=given):
                self.assertEqual(self.desk.send("POST", "/policy/explain", given).status, 400)
                self.assertEqual(self.foo.trail.lines[-1]["what"], "administer")
