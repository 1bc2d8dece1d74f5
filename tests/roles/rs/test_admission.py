"""How many may be inside."""

from twisted.internet.task import Clock

from rrsd.core.refusals import (
    Forbidden,
    TooMany,
    Unavailable,
)
from rrsd.roles.rs.flow.admission import Budget, Gate
from rrsd.roles.rs.settings import Settings
from tests.roles.rs.world import FOO
from tests.support.domains import (
    FlowCase,
    Journal,
    Meter,
    timers_of,
)


class Admission(FlowCase):
    """How many may be inside."""

    def setUp(self) -> None:
        self.meter, self.journal = Meter(), Journal()
        settings = Settings(origin=FOO.origin, concurrent=1, concurrent_all=2)
        self.gate = Gate(settings, self.meter, self.journal)

    def test_one_address(self) -> None:
        """One address has so many requests at a time; leaving makes room."""
        with self.gate.enter("a"):
            self.assertEqual(self.assertRaises(TooMany, self.enter, "a").retry_after, 1)
            self.enter("b")
        self.enter("a")
        self.assertEqual(self.journal.events[0].refusal, "too_many")

    def test_one_network(self) -> None:
        """The addresses of one IPv6 network are one caller; the trail has the address itself."""
        with self.gate.enter("2001:db8::1"):
            self.assertRaises(TooMany, self.enter, "2001:db8::2")
            self.enter("2001:db8:0:1::1")
        self.enter("2001:db8::2")
        self.assertEqual(self.journal.events[0].peer, "2001:db8::2")

    def test_f01_budget_of_one_network(self) -> None:
        """F-01: whoever may ask strangers in vain so often may not do so again from the next address."""
        budget = Budget(2, timers_of(Clock()))
        budget.charge("2001:db8::1")
        budget.charge("2001:db8::2")
        self.assertRaises(TooMany, budget.charge, "2001:db8::3")
        budget.charge("2001:db8:0:1::1")

    def test_everybody(self) -> None:
        """All together have so many."""
        with self.gate.enter("a"), self.gate.enter("b"):
            self.assertRaises(Unavailable, self.enter, "c")
        self.enter("c")

    def test_rate(self) -> None:
        """Who asks too often is told when to come back."""
        self.meter.wait = 9
        self.assertEqual(self.assertRaises(TooMany, self.enter, "a").retry_after, 9)

    def test_refused_inside(self) -> None:
        """A refusal inside makes room as well."""

        def fail() -> None:
            with self.gate.enter("a"):
                raise Forbidden()

        self.assertRaises(Forbidden, fail)
        self.enter("a")

    def enter(self, peer: str) -> None:
        with self.gate.enter(peer):
            pass
