"""Slots and their shares, and who is slow."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.jobs import Priority
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra.fairness import SMALL
from rrsd.roles.rra.house import INTERACTIVE, LARGE, UNPROVED, House
from rrsd.roles.rra.pace import Pace
from tests.roles.rra.samples import job
from tests.roles.rra.test_fairness import PLAIN

MINUTE = 60.0
KIB = 1024


class Shares(SynchronousTestCase):
    """Scheduler semantics 5.5, 5.6."""

    def setUp(self) -> None:
        """Sixteen slots."""
        self.house = House(active=16, per_recipient=8)

    def fill(self, **changes: object) -> tuple[int, object]:
        """Take slots for different recipients until a gate is shut; how many, and which gate."""
        for number in range(100):
            each = evolve(PLAIN, recipient=f"u{number}", **{k: v for k, v in changes.items() if k != "unproved"})  # type: ignore[arg-type]
            gate = self.house.keeps_back(each, bool(changes.get("unproved")))
            if gate is not None:
                return number, gate
            self.house.reserve(each, bool(changes.get("unproved")))
        return 100, None

    def test_a_quarter_is_kept_for_small_ones(self) -> None:
        """Large ones have three quarters at most."""
        self.assertEqual(self.fill(size=SMALL + 1), (12, LARGE))
        self.assertIsNone(self.house.keeps_back(PLAIN, False))

    def test_who_waits_at_a_screen_has_half(self) -> None:
        """The other half goes on with what nobody looks at."""
        self.assertEqual(self.fill(priority=Priority.INTERACTIVE), (8, INTERACTIVE))

    def test_who_has_not_delivered_has_half(self) -> None:
        """A thousand dead destinations hold half of the slots, not all."""
        self.assertEqual(self.fill(unproved=True), (8, UNPROVED))
        self.assertIsNone(self.house.keeps_back(PLAIN, False))

    def test_a_recipient_has_eight(self) -> None:
        """And gets one back with each that ends."""
        seats = [self.house.reserve(PLAIN, False) for _ in range(8)]
        self.assertEqual(self.house.keeps_back(PLAIN, False), ("recipient", "bob"))
        self.house.free(seats[0])
        self.assertIsNone(self.house.keeps_back(PLAIN, False))
        self.assertEqual(self.house.room, 9)

    def test_a_small_house(self) -> None:
        """With one slot there are no shares, and it can be had."""
        house = House(active=1, per_recipient=8)
        large = job(size=SMALL + 1, priority=Priority.INTERACTIVE)
        self.assertTrue(house.admits(large, True))
        seat = house.seat(large, True)
        self.assertEqual((house.room, house.half), (0, 1))
        house.free(seat)
        self.assertEqual(house.room, 1)

    def test_slow_ones_have_a_lane_of_their_own(self) -> None:
        """Two of each destination leave their slots to others; a third does not, nor a fifth of all."""
        seats = [self.house.reserve(PLAIN, True) for _ in range(3)]
        self.assertEqual([self.house.slow_down(seat) for seat in seats], [True, True, False])
        self.assertEqual((self.house.room, self.house.slow_at(PLAIN.origin)), (15, 2))
        others = [
            self.house.reserve(evolve(PLAIN, origin=parse_origin(f"https://d{n}.test"), recipient=str(n)), True)
            for n in range(4)
        ]
        self.assertEqual([self.house.slow_down(seat) for seat in others], [True, True, False, False])
        for seat in (*seats, *others):
            self.house.free(seat)
        self.assertEqual((self.house.room, self.house.slow, self.house.slow_at(PLAIN.origin)), (16, 0, 0))


class Paces(SynchronousTestCase):
    """Less than 16 KiB/s over five minutes."""

    def test_slow(self) -> None:
        """Who drips is named after five minutes, and again after five more; who is fast is not."""
        pace, named = Pace(), []
        for half_minute in range(23):
            at = half_minute * MINUTE / 2
            done = {1: int(at) * 15 * KIB, 2: int(at) * 17 * KIB}
            named += [(job, half_minute) for job in pace.slow(done, at)]
        self.assertEqual(named, [(1, 10), (1, 20)])

    def test_a_job_that_has_gone_begins_anew(self) -> None:
        """Nothing is remembered of what is not transferred any more."""
        pace = Pace()
        pace.slow({1: 0}, 0.0)
        pace.slow({}, 100.0)
        self.assertEqual(pace.slow({1: 0}, 301.0), [])
        self.assertEqual(pace.slow({1: 0}, 602.0), [1])
