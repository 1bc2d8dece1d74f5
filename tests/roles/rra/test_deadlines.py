"""How a job stands with its time, and what that is worth among others."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Candidate, Priority, State
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra import deadlines
from rrsd.roles.rra.deadlines import ALLOWANCE, DEFAULT_RATE, LATE, SOON
from rrsd.roles.rra.fairness import Fair
from tests.roles.rra.samples import NOW, RS, job

MIB, DAY, HOUR = 1 << 20, timedelta(days=1), timedelta(hours=1)
EVIL = parse_origin("https://rs.evil.test")
SIZES = st.integers(0, 1 << 45)
RATES = st.one_of(st.none(), st.floats(0, 1e10))
AWAY = st.integers(-30 * 86400, 30 * 86400).map(lambda each: timedelta(seconds=each))


def presses(each: Candidate, now: Instant) -> bool:
    """As the picker asks, of a destination that nobody knows."""
    return deadlines.is_urgent(each.deadline, each.size, None, now)


class Estimates(SynchronousTestCase):
    """Rates, and what a job still needs."""

    def test_the_rate_is_a_moving_average(self) -> None:
        """The first that tells something counts whole, later ones a third; small quick ones tell nothing."""
        self.assertIsNone(deadlines.rate_after(None, 1000, 0.1))
        self.assertEqual(deadlines.rate_after(None, 1000, 10.0), 100.0)
        self.assertEqual(deadlines.rate_after(None, 4 * MIB, 2.0), 2 * MIB)
        self.assertEqual(deadlines.rate_after(100.0, 2000, 10.0), 130.0)
        self.assertEqual(deadlines.rate_after(100.0, 0, 60.0), 100.0, "nothing came: that is another's business")
        self.assertEqual(deadlines.rate_after(100.0, 2000, 0.0), 100.0)

    def test_what_is_needed(self) -> None:
        """Bytes at the rate, the default where there is none, and an allowance; bounded, whatever somebody promises."""
        self.assertEqual(deadlines.need_of(10 * MIB, None), ALLOWANCE + timedelta(seconds=10 * MIB / DEFAULT_RATE))
        self.assertEqual(deadlines.need_of(1000, 10.0), ALLOWANCE + timedelta(seconds=100))
        self.assertEqual(deadlines.need_of(-5, 10.0), ALLOWANCE)
        self.assertLess(deadlines.need_of(1 << 60, 0.0), timedelta(days=3651))

    @given(left=SIZES, rate=RATES, away=AWAY)
    @settings(derandomize=True, max_examples=300)
    def test_urgent_is_a_quarter_of_the_time_left(self, left: int, rate: float | None, away: timedelta) -> None:
        """From when it is said to become urgent on it is, and not before; more time or rate never makes it urgent."""
        deadline = NOW + away
        at = deadlines.urgent_at(deadline, left, rate)
        second = timedelta(seconds=1)
        self.assertTrue(deadlines.is_urgent(deadline, left, rate, at + second))
        self.assertFalse(deadlines.is_urgent(deadline, left, rate, at - second))
        if not deadlines.is_urgent(deadline, left, rate, NOW):
            self.assertFalse(deadlines.is_urgent(deadline + HOUR, left, rate, NOW))
            self.assertFalse(deadlines.is_urgent(deadline, left // 2, rate, NOW))
        self.assertTrue(deadlines.is_urgent(deadline, left, rate, deadline + second), "no time is left")


class Risks(SynchronousTestCase):
    """When a job's time will not do, and when that is looked at."""

    def test_a_measured_rate_that_will_not_do(self) -> None:
        """A rate that nobody measured accuses nobody."""
        large = job(size=1000 * MIB, deadline=NOW + HOUR, accepted=NOW)
        self.assertEqual(deadlines.risk(large, large.size, None, "", NOW), "")
        self.assertEqual(
            deadlines.risk(large, large.size, 100 * 1024.0, "", NOW),
            "1048576000 bytes are left, 100 KiB/s come from there, and its time ends in 60 minutes",
        )
        self.assertIn("1.5 MiB/s", deadlines.risk(evolve(large, deadline=NOW), 1, 1.5 * MIB, "", NOW))
        self.assertEqual(deadlines.risk(large, 10 * MIB, 100 * 1024.0, "", NOW), "")

    def test_the_last_quarter_with_something_in_the_way(self) -> None:
        """A job that nothing keeps back is not at risk while its time will do."""
        waits = job(state=State.DEFERRED, deadline=NOW + 7 * DAY, evidence="connect: refused")
        closed = deadlines.hindrance_of(waits, is_closed=True)
        self.assertEqual(deadlines.risk(waits, 5, None, closed, NOW + 5 * DAY), "")
        found = deadlines.risk(waits, 5, None, closed, NOW + 5.3 * DAY)
        self.assertEqual(found, "its time ends in 40 hours, and the sender's resource server does not answer")
        self.assertEqual(deadlines.risk(waits, 5, None, "", NOW + 6.9 * DAY), "")
        self.assertIn("5 days", deadlines.risk(evolve(waits, deadline=NOW + 25 * DAY), 5, None, closed, NOW + 20 * DAY))

    def test_every_waiting_state_says_what_keeps_it_back(self) -> None:
        """And one that may run has nothing in its way."""
        said = {state: deadlines.hindrance_of(job(state=state), False) for state in State}
        self.assertEqual({state for state in said if said[state]}, {State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE})
        self.assertIn("operator", deadlines.hindrance_of(job(state=State.READY), True, is_paused=True))
        self.assertIn("token service", deadlines.hindrance_of(job(state=State.READY, condition="issuer"), False))

    @given(left=SIZES, rate=RATES, life=AWAY, at=AWAY, at_risk=st.booleans())
    @settings(derandomize=True, max_examples=300)
    def test_r5_looks_are_few_and_none_is_missed(
        self, left: int, rate: float | None, life: timedelta, at: timedelta, at_risk: bool
    ) -> None:
        """Each look is later than the one before, there are few in all, and the deadline is met within a minute."""
        one, now = job(deadline=NOW + life, at_risk=NOW if at_risk else None), NOW + at
        following = deadlines.next_look(one, left, rate, now)
        if now >= one.deadline:
            self.assertTrue(SOON <= following - now <= HOUR)
            return
        self.assertLessEqual(following, max(one.deadline, now + timedelta(minutes=1)))
        looks, begin = 0, now
        while now < one.deadline:
            following = deadlines.next_look(one, left, rate, now)
            self.assertGreaterEqual(following - now, timedelta(minutes=1))
            looks, now = looks + 1, following
        self.assertLessEqual(looks, 8 + max(0, (one.deadline - begin) // LATE).bit_length())


class Boosts(SynchronousTestCase):
    """Who is urgent goes first, and nobody starves by it."""

    def setUp(self) -> None:
        """A week for everybody, unless a test says otherwise."""
        self.fair = Fair(presses)

    def candidates(self, number: int, first: int, **changes: object) -> list[Candidate]:
        """As many, of a MiB each."""
        plain = Candidate(0, RS, "bob", digest_of(b"x"), MIB, Priority.NORMAL, NOW, NOW + 7 * DAY)
        return [evolve(plain, job=first + each, **changes) for each in range(number)]  # type: ignore[arg-type]

    def taken(self, number: int) -> list[Candidate]:
        """The next ones."""
        found = [self.fair.take(lambda _: None) for _ in range(number)]
        return [each for each in found if each is not None]

    def test_who_has_little_time_is_next(self) -> None:
        """However much was served before, and however many wait; bulk too."""
        self.fair.add(self.candidates(1000, 1), NOW)
        self.taken(100)
        self.fair.add(self.candidates(1, 5000, priority=Priority.BULK, deadline=NOW + ALLOWANCE), NOW)
        self.assertEqual(self.taken(1)[0].job, 5000)

    def test_the_earliest_deadline_goes_first(self) -> None:
        """Among those of one recipient and destination that are urgent, in whatever order they came."""
        for number in (3, 1, 4, 2):
            self.fair.add(self.candidates(1, number, deadline=NOW + timedelta(minutes=number)), NOW)
        self.assertEqual([each.job for each in self.taken(4)], [1, 2, 3, 4])

    def test_urgent_with_waiting(self) -> None:
        """What was put in with time to spare is urgent when little is left of it."""
        self.fair.add(self.candidates(500, 1), NOW)
        for number in (2, 1):
            self.fair.add(self.candidates(1, 1000 + number, deadline=NOW + HOUR * 2 * number), NOW)
        self.fair.age(NOW + 4 * HOUR)
        found = [each.job for each in self.taken(8)]
        self.assertLess(found.index(1001), found.index(1002))

    def test_r6_short_deadlines_starve_nobody(self) -> None:
        """Somebody who gives everything an hour gets the share of one class, and others theirs."""
        self.fair.add(self.candidates(10_000, 100_000, origin=EVIL, size=100 * MIB, deadline=NOW + HOUR / 2), NOW)
        self.fair.add(self.candidates(2000, 1), NOW)
        bytes_of = {RS: 0, EVIL: 0}
        for each in self.taken(505):
            bytes_of[each.origin] += each.size
        self.assertGreater(bytes_of[RS], bytes_of[EVIL] * 0.9)

    def test_r6_a_screen_goes_before_short_deadlines(self) -> None:
        """Somebody who waits now is served first, and twice as much."""
        self.fair.add(self.candidates(1000, 1, deadline=NOW), NOW)
        self.fair.add(self.candidates(1000, 2000, recipient="carol", priority=Priority.INTERACTIVE, deadline=NOW), NOW)
        found = self.taken(30)
        self.assertEqual(found[0].recipient, "carol")
        self.assertEqual(sum(each.recipient == "carol" for each in found), 20)

    @given(parts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(1, 50)), max_size=40))
    @settings(derandomize=True, max_examples=100)
    def test_everybody_is_taken_once(self, parts: list[tuple[int, int, int]]) -> None:
        """Whatever the deadlines, nobody is lost and nobody is taken twice."""
        for number, (recipient, minutes, size) in enumerate(parts):
            deadline = NOW + timedelta(minutes=minutes)
            self.fair.add(self.candidates(1, number, recipient=str(recipient), deadline=deadline, size=size * MIB), NOW)
        found = [each.job for each in self.taken(len(parts) + 1)]
        self.assertEqual(sorted(found), list(range(len(parts))))
