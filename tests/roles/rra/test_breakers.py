"""When a destination or an issuer is left alone."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis.strategies import floats, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.jobs import Breaker
from rrsd.roles.rra import breakers
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.samples import NOW

DOWN = Result(Outcome.UNREACHABLE, "connect: refused")
GOOD = Result(Outcome.STORED, authorized=True, reached=True)


def after(breaker: Breaker, *results: Result) -> Breaker:
    """The breaker after the results, one after the other."""
    for result in results:
        breaker = breakers.after_destination(breaker, result, NOW, 0.5, 4, 4)
    return breaker


class Destinations(SynchronousTestCase):
    """A destination's breaker (scheduler semantics 5.4, 5.5)."""

    def test_five_connection_failures_in_a_row_open_it(self) -> None:
        """Four do not; the fifth leaves the destination alone for a minute or so."""
        four = after(Breaker("d"), *[DOWN] * 4)
        self.assertIsNone(four.opened)
        five = after(four, DOWN)
        self.assertEqual(five.opened, NOW)
        self.assertTrue(breakers.is_open(five, NOW))
        self.assertEqual(five.not_before, NOW + timedelta(seconds=45))

    def test_three_cohorts_of_broken_bodies_open_it(self) -> None:
        """Body failures count too, though not as connection failures."""
        breaker, count = Breaker("d"), 0
        while breaker.opened is None:
            breaker, count = after(breaker, Result(Outcome.BROKEN)), count + 1
        self.assertEqual((breaker.failures, count <= 12), (0, True))

    def test_a_failure_takes_a_slot_and_one_is_left(self) -> None:
        """Concurrency goes down by one at once, never to nothing (`test_slots` has the rest)."""
        self.assertEqual(after(Breaker("d"), DOWN).limit, 3)
        self.assertEqual(after(Breaker("d"), DOWN, DOWN).limit, 3)  # the second is about the same moment
        self.assertEqual(after(Breaker("d", limit=1), DOWN).limit, 1)

    def test_half_open_lets_one_probe_through(self) -> None:
        """None while open, one when its time has come."""
        opened = after(Breaker("d"), *[DOWN] * 5)
        assert opened.not_before is not None
        self.assertEqual(breakers.slots(opened, NOW), 0)
        self.assertEqual(breakers.slots(opened, opened.not_before), 1)

    def test_probes_become_rarer_and_never_cease(self) -> None:
        """The cap is 15 minutes on the first day, an hour in the first week, then six hours."""
        self.assertEqual(breakers.probe_cap(timedelta(hours=23)), timedelta(minutes=15))
        self.assertEqual(breakers.probe_cap(timedelta(days=6)), timedelta(minutes=60))
        self.assertEqual(breakers.probe_cap(timedelta(days=400)), timedelta(hours=6))

    def test_a_failed_probe_waits_longer(self) -> None:
        """60 s x 2 per probe, at most the cap for the time since it opened."""
        opened = after(Breaker("d"), *[DOWN] * 5)
        assert opened.not_before is not None
        again = breakers.after_destination(opened, DOWN, opened.not_before, 1.0, 4, 4)
        self.assertEqual(again.not_before, opened.not_before + timedelta(minutes=2))
        old = evolve(opened, opened=NOW - timedelta(days=30), probes=50, not_before=NOW)
        late = breakers.after_destination(old, DOWN, NOW, 1.0, 4, 4)
        self.assertEqual(late.not_before, NOW + timedelta(hours=6))

    def test_g9_a_dead_destination_costs_at_most_150_probes_on_day_one(self) -> None:
        """Probes are bounded, however many jobs wait."""
        breaker, at, probes = after(Breaker("d"), *[DOWN] * 5), NOW, 0
        while at < NOW + timedelta(days=1):
            assert breaker.not_before is not None
            at, probes = breaker.not_before, probes + 1
            breaker = breakers.after_destination(breaker, DOWN, at, 0.5, 4, 4)
        self.assertLessEqual(probes, 150)

    def test_recovery_starts_slowly(self) -> None:
        """After the probe's success 1, then 2, then 4."""
        opened = after(Breaker("d"), *[DOWN] * 5)
        limits = []
        for _ in range(3):
            opened = after(opened, GOOD)
            limits.append(opened.limit)
        self.assertEqual(limits, [1, 2, 4])

    def test_a_healthy_breaker_is_not_written_again(self) -> None:
        """A success that changes nothing returns the same value."""
        healthy = Breaker("d", limit=4)
        self.assertEqual(after(healthy, GOOD), healthy)

    def test_pushed_back_is_polite(self) -> None:
        """Retry-After is clamped, spread by a tenth, and opens no breaker."""
        pushed = after(Breaker("d"), Result(Outcome.PUSHED_BACK, retry_after=100))
        self.assertEqual((pushed.not_before, pushed.opened, pushed.limit), (NOW + timedelta(seconds=105), None, 3))
        absurd = after(Breaker("d"), Result(Outcome.PUSHED_BACK, retry_after=10**9))
        assert absurd.not_before is not None
        self.assertLessEqual(absurd.not_before, NOW + timedelta(days=1.1))
        silent = after(Breaker("d"), Result(Outcome.PUSHED_BACK))
        self.assertEqual(silent.not_before, NOW + timedelta(seconds=1.05))

    def test_one_jobs_trouble_is_not_the_destinations(self) -> None:
        """403, 404 and wrong bytes show that it lives; our own trouble says nothing of it."""
        worse = after(Breaker("d"), DOWN, DOWN)
        self.assertEqual(after(worse, Result(Outcome.NOT_PERMITTED, reached=True)).failures, 0)
        self.assertIs(after(worse, Result(Outcome.NO_SPACE)), worse)

    def test_a_refusal_of_our_own_sts_says_nothing_of_the_destination(self) -> None:
        """Nobody who was not asked is alive by it."""
        opened = after(Breaker("d"), *[DOWN] * 5)
        self.assertIs(after(opened, Result(Outcome.NOT_PERMITTED)), opened)

    def test_attempts_that_began_before_it_opened_count_once(self) -> None:
        """Sixteen that fail together do not make the first probe wait for a quarter of an hour."""
        opened = after(Breaker("d"), *[DOWN] * 5)
        self.assertIs(after(opened, *[DOWN] * 11), opened)

    def test_a_success_under_way_does_not_undo_a_retry_after(self) -> None:
        """Who asked for an hour is left alone for an hour, whatever was still running."""
        pushed = after(Breaker("d"), Result(Outcome.PUSHED_BACK, retry_after=3600), GOOD)
        self.assertEqual(pushed.not_before, NOW + timedelta(seconds=3780))

    def test_a_later_word_does_not_shorten_an_earlier_one(self) -> None:
        """Neither a shorter Retry-After nor a failure brings the next request forward."""
        long = after(Breaker("d"), Result(Outcome.PUSHED_BACK, retry_after=3600))
        for more in ([Result(Outcome.PUSHED_BACK, retry_after=1)], [DOWN] * 5):
            self.assertEqual(after(long, *more).not_before, long.not_before)

    def test_r5_who_pushes_back_for_ever_is_asked_ever_more_rarely(self) -> None:
        """429 without a Retry-After is no invitation to ask every second for a week."""
        breaker, at, asked = Breaker("d"), NOW, 0
        while at < NOW + timedelta(days=1):
            breaker = breakers.after_destination(breaker, Result(Outcome.PUSHED_BACK, reached=True), at, 0.5, 4, 4)
            assert breaker.not_before is not None
            at, asked = breaker.not_before, asked + 1
        self.assertLess(asked, 150)


class Issuers(SynchronousTestCase):
    """The STS's breaker: 5 s x 2, at most five minutes."""

    def test_it_opens_at_once_and_backs_off(self) -> None:
        """One failure is enough; the jobs behind it lose nothing."""
        down = Result(Outcome.ISSUER_DOWN, "auth: unavailable")
        one = breakers.after_issuer(Breaker("sts"), down, NOW, 1.0)
        self.assertEqual((one.not_before, one.opened), (NOW + timedelta(seconds=5), NOW))
        many = breakers.after_issuer(evolve(one, failures=30, not_before=NOW), down, NOW, 1.0)
        self.assertEqual(many.not_before, NOW + timedelta(minutes=5))

    def test_its_own_retry_after_counts(self) -> None:
        """What it asks for is granted, up to the cap."""
        asked = breakers.after_issuer(Breaker("sts"), Result(Outcome.ISSUER_DOWN, retry_after=60), NOW, 1.0)
        self.assertEqual(asked.not_before, NOW + timedelta(seconds=60))

    def test_many_that_fail_at_once_are_one_failure(self) -> None:
        """Fifty attempts under way when the STS goes down do not make a wait of minutes."""
        down = Result(Outcome.ISSUER_DOWN)
        one = breakers.after_issuer(Breaker("sts"), down, NOW, 1.0)
        self.assertIs(breakers.after_issuer(one, down, NOW, 1.0), one)

    def test_an_end_before_the_exchange_says_nothing_of_it(self) -> None:
        """Only an attempt that had its delegation shows that the STS answers."""
        down = breakers.after_issuer(Breaker("sts"), Result(Outcome.ISSUER_DOWN), NOW, 1.0)
        self.assertIs(breakers.after_issuer(down, DOWN, NOW, 1.0), down)

    def test_an_end_past_the_exchange_closes_it(self) -> None:
        """An attempt that got past the exchange shows that it answers."""
        down = breakers.after_issuer(Breaker("sts"), Result(Outcome.ISSUER_DOWN), NOW, 1.0)
        self.assertEqual(breakers.after_issuer(down, GOOD, NOW, 1.0), Breaker("sts"))
        healthy = Breaker("sts")
        self.assertIs(breakers.after_issuer(healthy, GOOD, NOW, 1.0), healthy)


class Adjustments(SynchronousTestCase):
    """Every change has a name and a reason."""

    def told(self, before: Breaker, after: Breaker, kind: str = "destination") -> tuple[object, ...]:
        """The change as it is kept, in short."""
        one = breakers.adjustment(kind, before, after, NOW)
        return () if one is None else (one.event, one.before, one.after, one.reason)

    def test_names(self) -> None:
        """What an operator reads, for each kind of change."""
        healthy = Breaker("d")
        opened = after(healthy, *[DOWN] * 5)
        at = opened.not_before
        assert at is not None
        failed = breakers.after_destination(opened, DOWN, at, 0.5, 4, 1)
        pushed = after(healthy, Result(Outcome.PUSHED_BACK, retry_after=100))
        table = (
            (healthy, after(healthy, DOWN), ("lowered", 4, 3, "connect: refused")),
            (after(healthy, *[DOWN] * 4), opened, ("opened", 2, 2, "connect: refused")),
            (opened, failed, ("probe failed", 2, failed.limit, "connect: refused")),
            (opened, after(opened, GOOD), ("recovered", 2, 1, "answers again")),
            (healthy, pushed, ("asked to wait", 4, 3, "asked to come back in 100 s")),
            (pushed, evolve(pushed, not_before=NOW), ("let through", 3, 3, "asked to come back in 100 s")),
            (evolve(healthy, limit=3), healthy, ("raised", 3, 4, "it answers")),
            (healthy, evolve(healthy, earned=0.5), ()),
        )
        for before, later, wanted in table:
            with self.subTest(wanted):
                self.assertEqual(self.told(before, later), wanted)

    def test_the_issuer_has_them_too(self) -> None:
        """It opens at its first failure and says why."""
        down = breakers.after_issuer(Breaker("sts"), Result(Outcome.ISSUER_DOWN, "auth: unavailable"), NOW, 1.0)
        self.assertEqual(self.told(Breaker("sts"), down, "issuer"), ("opened", 4, 4, "auth: unavailable"))
        self.assertEqual(self.told(down, Breaker("sts"), "issuer"), ("recovered", 4, 4, "it answers"))

    def test_what_is_earned_by_and_by_is_not_written_down(self) -> None:
        """A part of a slot outlives no restart, so that a good pull costs no commit."""
        busy = breakers.after_destination(Breaker("d"), GOOD, NOW, 0.5, 16, 4)
        self.assertEqual((busy.earned, breakers.is_news(Breaker("d"), busy)), (0.25, False))
        self.assertTrue(breakers.is_news(Breaker("d"), after(Breaker("d"), DOWN)))

    @given(lists(sampled_from(list(Outcome)), max_size=60), floats(0, 1), integers(1, 16), integers(0, 40))
    def test_whatever_happens_it_is_explained(self, ends: list[Outcome], chance: float, most: int, gap: int) -> None:
        """The limit stays between one and the configured one, open or asked to wait always has an end, and each change
        of either has a name and a reason."""
        breaker, at = breakers.unknown("d", most), NOW
        for outcome in ends:
            at += timedelta(seconds=gap)
            result = Result(outcome, "why", reached=outcome is not Outcome.UNREACHABLE)
            before, breaker = breaker, breakers.after_destination(breaker, result, at, chance, most, breaker.limit)
            self.assertTrue(1 <= breaker.limit <= most)
            self.assertTrue(0 <= breaker.earned < 1 and 0 <= breaker.spared < 1 and breaker.ceiling < most)
            self.assertTrue(breaker.opened is None or breaker.not_before is not None)
            told = breakers.adjustment("destination", before, breaker, at)
            if (before.limit, before.opened) != (breaker.limit, breaker.opened):
                assert told is not None
                self.assertTrue(told.event and told.reason)
                self.assertTrue(breakers.is_news(before, breaker))
