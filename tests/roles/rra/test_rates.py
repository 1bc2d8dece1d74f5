"""How fast destinations deliver, as it is measured and remembered; and what that is worth to the picker."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import NoSpace
from rrsd.core.values.jobs import State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.deadlines import ALLOWANCE
from rrsd.roles.rra.picker import SHARES
from rrsd.roles.rra.rates import MOST_RATES
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.agents import Desk
from tests.roles.rra.samples import NOW, RS, job
from tests.roles.rra.scheduling import SchedulerCase

MIB = 1 << 20


class RateTests(SynchronousTestCase):
    """Rates beside a store."""

    def setUp(self) -> None:
        """Nobody has delivered anything."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.rates = self.desk.health.rates

    def observe(self, moved: int, seconds: float) -> None:
        """A transfer ends."""
        self.desk.result(self.rates.observed(RS, moved, seconds))

    def saved(self) -> list[tuple[str, float]]:
        """What a restart would know."""
        return list(self.desk.result(self.desk.store.queue.rates(9)))

    def test_written_seldom(self) -> None:
        """The first, and what is twice or half of it, once an hour."""
        self.observe(100, 0.1)
        self.assertIsNone(self.rates.of(RS))
        self.observe(8 * MIB, 1.0)
        self.assertEqual(self.saved(), [(str(RS), 8.0 * MIB)])
        for _ in range(50):
            self.observe(MIB, 1.0)
        self.assertEqual(self.saved(), [(str(RS), 8.0 * MIB)])
        self.desk.clock.advance(3600)
        self.observe(MIB, 1.0)
        self.assertEqual(self.saved(), [(str(RS), self.rates.of(RS))])
        self.desk.crash()
        self.desk.result(self.desk.health.recall())
        self.assertEqual([(str(RS), self.desk.health.rates.of(RS))], self.saved())

    def test_a_full_disk(self) -> None:
        """What cannot be written stays in memory."""
        self.desk.queue.trouble["save_rate"] = NoSpace("full")
        self.observe(8 * MIB, 1.0)
        self.assertEqual(self.rates.of(RS), 8.0 * MIB)

    def test_r6_memory_is_bounded(self) -> None:
        """The rate of whoever delivered least recently is forgotten."""
        self.desk.queue.trouble["save_rate"] = NoSpace("full")
        for number in range(MOST_RATES + 1):
            origin = Origin(RS.host, number + 1)
            self.desk.result(self.rates.observed(origin, 8 * MIB, 1.0))
        self.assertIsNone(self.rates.of(Origin(RS.host, 1)))
        self.assertIsNotNone(self.rates.of(Origin(RS.host, 2)))


class PressTests(SchedulerCase):
    """What a short time is worth."""

    def test_a_transfer_is_measured(self) -> None:
        """An attempt that brought something tells the rate, however it ended."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"x" * 2 * MIB)
        self.desk.start()
        self.desk.advance(10)
        self.gate.all()
        self.desk.advance(1)
        rate = self.desk.health.rates.of(RS)
        assert rate is not None
        self.assertTrue(0.19 * MIB < rate < 0.21 * MIB, rate)

    def test_who_presses_need_not_wait_on_disk(self) -> None:
        """It comes in by itself, once, if it may run at all."""
        picker, now = self.desk.scheduler.picker, self.desk.timers.now()
        late = job(state=State.READY, deadline=NOW + ALLOWANCE, due=NOW)
        for other in (evolve(late, state=State.LEASED), evolve(late, due=None), evolve(late, due=NOW + ALLOWANCE)):
            picker.press(other, now)
        self.assertEqual(len(picker.fair), 0)
        picker.press(late, now)
        picker.press(late, now)
        self.assertEqual(len(picker.fair), 1)

    def test_r6_who_presses_does_not_fill_the_house(self) -> None:
        """Of one destination no more come in than of any other, so that others have room."""
        picker = self.desk.scheduler.picker
        for number in range(400):
            picker.press(job(job=number, state=State.READY, deadline=NOW + ALLOWANCE, due=NOW), NOW)
        self.assertEqual(picker.fair.count(RS), SHARES[0][1])

    def test_who_presses_waits_for_a_closed_destination(self) -> None:
        """One probe is all that such a destination gets."""
        for _ in range(8):
            self.desk.health.charge(RS, Result(Outcome.UNREACHABLE, "down"), NOW, 1)
        late = job(state=State.READY, deadline=NOW + ALLOWANCE, due=NOW)
        self.desk.scheduler.picker.press(late, NOW)
        self.desk.scheduler.picker.press(late, NOW + timedelta(hours=1))
        self.assertEqual(len(self.desk.scheduler.picker.fair), 0)
