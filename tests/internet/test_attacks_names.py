"""What DNS can do to a domain: the resolver of tests.support.zones says it, whole domains hear it."""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.core.values.records import Records, RecordType, Text, Verdict
from tests.support.calling import get
from tests.support.world import MemoryDomain, World, without_resolver

NAME = "_rra.bar.test"


class NamesCase(SynchronousTestCase):
    """foo.test, which asks, and bar.test, which is asked about."""

    def setUp(self) -> None:
        """Two domains."""
        self.world = World(Path(self.mktemp()))
        self.foo, self.bar = self.world.domain("foo.test"), self.world.domain("bar.test")

    def ask(self, kind: RecordType = RecordType.TXT, domain: MemoryDomain | None = None) -> Records:
        """What a domain hears about the name."""
        return self.world.result((domain or self.foo).whole.means.doors.names.ask(NAME, kind))

    def call(self) -> None:
        """foo.test calls bar.test."""
        self.world.result(self.foo.whole.means.doors.strangers.ask(get("bar.test", "/nothing")))


class Verdicts(NamesCase):
    """How far the roles are told that they may believe."""

    def test_published(self) -> None:
        """What is published is heard with its verdict, and what is not is denied with that of its zone."""
        self.world.zones.publish(NAME, "TXT", "v=RRA1")
        self.assertEqual((self.ask().verdict, self.ask().records), (Verdict.SECURE, (Text(b"v=RRA1"),)))
        self.assertEqual(self.ask(RecordType.TLSA).verdict, Verdict.INSECURE)
        self.world.zones.sign("bar.test")
        self.assertEqual(self.ask(RecordType.TLSA).verdict, Verdict.SECURE)
        self.world.zones.fake(NAME, Verdict.BOGUS)
        self.assertEqual(self.ask(RecordType.TLSA).verdict, Verdict.BOGUS)

    def test_o05_o07_no_resolver(self) -> None:
        """O-07: without a resolver on this host everything is insecure, whatever AD bit comes along."""
        lone = self.world.domain("lone.test", without_resolver)
        self.world.zones.publish(NAME, "TXT", "v=RRA1")
        found = self.ask(domain=lone)
        self.assertEqual((found.verdict, found.records), (Verdict.INSECURE, (Text(b"v=RRA1"),)))


class Calls(NamesCase):
    """Addresses are names' most dangerous records."""

    def test_f02_private_address(self) -> None:
        """F-02: an address from DNS that points inside is not called, however secure it is."""
        self.world.zones.publish("bar.test", "A", "127.0.0.1", "10.0.0.1", "169.254.169.254")
        self.world.zones.publish("bar.test", "AAAA", "::1", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::7f00:1")
        self.assertRaises(Forbidden, self.call)
        self.assertEqual(self.world.internet.connections, [])

    def test_f04_rebinding(self) -> None:
        """F-04: the address that was checked is the one that is called; the next answer is checked again."""
        self.world.internet.names.later["bar.test"] = ["127.0.0.1"]
        self.call()
        self.assertEqual([each[1] for each in self.world.internet.connections], ["20.0.0.2"])
        self.world.result(self.foo.whole.means.doors.strangers.stop())
        self.assertRaises(Forbidden, self.call)
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_f04_rebinding_of_a_kept_answer(self) -> None:
        """F-04: what is kept is what was checked: a change in DNS is not seen before the answer's life is over."""
        self.world.zones.publish("bar.test", "A", "20.0.0.2", ttl=60)
        self.call()
        self.world.zones.publish("bar.test", "A", "127.0.0.1", ttl=60)
        self.world.result(self.foo.whole.means.doors.strangers.stop())
        self.call()
        self.world.advance(60, 5)
        self.world.result(self.foo.whole.means.doors.strangers.stop())
        self.assertRaises(Forbidden, self.call)

    def test_f18_own_address(self) -> None:
        """F-18: our own public address, which the operator forbade, is not called because DNS names it."""
        self.world.zones.publish("bar.test", "A", "20.0.0.1")
        fetch = self.foo.settings.fetch
        lone = self.world.domain("lone.test", lambda s: evolve(s, fetch=evolve(fetch, forbidden=("20.0.0.1",))))
        calling = lone.whole.means.doors.strangers.ask(get("bar.test", "/nothing"))
        self.assertRaises(Forbidden, self.world.result, calling)
        self.assertEqual(self.world.internet.connections, [])

    def test_o06_bogus_address(self) -> None:
        """O-06: where the address is bogus nobody is called."""
        self.world.zones.publish("bar.test", "A", "20.0.0.2", verdict=Verdict.BOGUS)
        refusal = self.assertRaises(Unavailable, self.call)
        self.assertIn("bogus", refusal.detail)
        self.assertEqual(self.world.internet.connections, [])
