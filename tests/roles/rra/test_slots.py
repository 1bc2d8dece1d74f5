"""How many at once, and what attempts teach about it."""

import heapq
import random  # noqa: TID251 (of a fixed seed)
from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.jobs import Breaker
from rrsd.roles.rra import slots
from tests.roles.rra.samples import NOW


def seconds(count: float) -> timedelta:
    """A span of time."""
    return timedelta(seconds=count)


def good(breaker: Breaker, times: int, most: int = 16) -> Breaker:
    """After that many good completions in a full house."""
    for _ in range(times):
        breaker = slots.better(breaker, most, breaker.limit)
    return breaker


class Slots(SynchronousTestCase):
    """Scheduler semantics 5.5."""

    def test_as_many_good_ones_as_it_has_earn_one_more(self) -> None:
        """1/N each: four for the fifth, five for the sixth; never more than the configured limit."""
        limits = [good(Breaker("d"), times).limit for times in (3, 4, 8, 9, 14, 15)]
        self.assertEqual(limits, [4, 5, 5, 6, 6, 7])
        self.assertEqual(good(Breaker("d"), 1000).limit, 16)

    def test_what_is_not_used_earns_nothing(self) -> None:
        """One file a day is no proof that sixteen at once are borne."""
        breaker = Breaker("d")
        self.assertIs(slots.better(breaker, 16, 3), breaker)

    def test_a_push_back_takes_one_at_once_and_then_by_parts(self) -> None:
        """The first takes a slot; of those that come with it, the fourth takes the next."""
        breaker, limits = Breaker("d"), []
        for _ in range(5):
            breaker = slots.worse(breaker, NOW, True, "429")
            limits.append(breaker.limit)
        self.assertEqual(limits, [3, 3, 3, 2, 2])

    def test_one_failure_in_a_minute_takes_no_second_slot(self) -> None:
        """Two do (a balancer with one bad server); after a minute one alone takes one again."""
        lower = evolve(slots.worse(Breaker("d", limit=8), NOW, False, "reset"), ceiling=0, spared=0.0)
        once = slots.worse(lower, NOW + seconds(30), False, "reset")
        self.assertEqual((lower.limit, once.limit), (7, 7))
        self.assertEqual(slots.worse(once, NOW + seconds(40), False, "reset").limit, 6)
        self.assertEqual(slots.worse(once, NOW + seconds(60), False, "reset").limit, 6)

    def test_what_was_too_many_is_tried_ever_more_rarely(self) -> None:
        """After 5 were too many, a fifth costs four times four good ones, then eight times, up to 64."""
        breaker, paid = good(Breaker("d"), 4), []
        for _ in range(7):
            breaker, count = slots.worse(breaker, NOW, False, "refused"), 0
            while breaker.limit < 5:
                breaker, count = good(breaker, 1), count + 1
            paid.append(count // 4)
        self.assertEqual(paid, [4, 8, 16, 32, 64, 64, 64])

    def test_a_failure_with_less_teaches_that_the_number_was_not_it(self) -> None:
        """What fails with four when five were too many fails for another reason: five costs no more than ever."""
        lower = slots.worse(good(Breaker("d"), 4), NOW, False, "refused")
        again = slots.worse(lower, NOW, False, "refused")
        self.assertEqual((lower.ceiling, again.ceiling, good(again, 4).limit), (4, 0, 5))

    def test_the_last_slot_stays(self) -> None:
        """One is left whatever happens, and nothing is known of what is borne."""
        one = slots.worse(Breaker("d", limit=1), NOW, True, "429")
        self.assertEqual((one.limit, one.ceiling), (1, 0))

    def test_a_failure_ends_the_slow_start(self) -> None:
        """What begins to fail again does not go on doubling."""
        starting = Breaker("d", limit=2, starting=True)
        self.assertEqual(slots.better(starting, 16, 2).limit, 4)
        self.assertFalse(slots.worse(starting, NOW, False, "reset").starting)

    @given(lists(tuples(integers(0, 2), integers(0, 90), booleans()), max_size=80), integers(1, 16))
    def test_bounds(self, moves: list[tuple[int, int, bool]], most: int) -> None:
        """The limit moves by one at a time, between one and the most; parts stay parts."""
        breaker, at = Breaker("d", limit=slots.first(most)), NOW
        for kind, gap, is_used in moves:
            at += seconds(gap)
            used = breaker.limit if is_used else 0
            after = slots.worse(breaker, at, kind == 1, "r") if kind else slots.better(breaker, most, used)
            self.assertLessEqual(abs(after.limit - breaker.limit), 1)
            self.assertTrue(1 <= after.limit <= most and 0 <= after.ceiling < most)
            self.assertTrue(0 <= after.earned < 1 and 0 <= after.spared < 1)
            self.assertTrue(1 <= after.patience <= slots.MOST_PATIENCE)
            breaker = after


def limited(borne: int, pulls: int, is_told: bool) -> float:
    """The share of attempts that a server refuses which bears `borne` connections and hangs up on the next."""
    chance, breaker, at, done, burned = random.Random(1), Breaker("d"), 0.0, 0, 0
    running: list[float] = []
    while done < pulls:
        while len(running) < breaker.limit:
            if len(running) >= borne:
                burned += 1
                breaker = slots.worse(breaker, NOW + seconds(at), is_told, "refused")
            else:
                heapq.heappush(running, at + chance.uniform(0.5, 1.5))
        used, at, done = len(running), heapq.heappop(running), done + 1
        breaker = slots.better(breaker, 16, used)
    return burned / (done + burned)


class Laws(SynchronousTestCase):
    """What comes of the rules when they meet servers."""

    def test_g8_a_limiter_of_five_burns_at_most_one_in_twenty(self) -> None:
        """Postfix's best is 16.5 %; 429 and hanging up alike, in the first 200 pulls and in the long run."""
        for pulls, share in ((200, 0.05), (2000, 0.01)):
            for is_told in (True, False):
                self.assertLessEqual(limited(5, pulls, is_told), share)

    def test_one_bad_server_behind_a_balancer_does_not_hold_the_rest_down(self) -> None:
        """With one of five that fails, Postfix's feedback alone stays near five at once."""
        chance, breaker, total = random.Random(1), Breaker("d"), 0
        for number in range(4000):
            at = NOW + seconds(number / 20)
            failed = chance.random() < 0.2
            breaker = slots.worse(breaker, at, False, "502") if failed else good(breaker, 1)
            total += breaker.limit
        self.assertGreater(total / 4000, 10)
