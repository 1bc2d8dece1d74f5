"""Deadlines, sleeping, sharing, limits."""

import time
from datetime import UTC, datetime, timedelta

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.networks import network_of
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.flights import Flights
from rrsd.runtime.limits import RateLimit
from rrsd.runtime.timers import Timers, steady_timers


class TooLate(Exception):
    """The refusal of these tests."""


class Clocks(SynchronousTestCase):
    """`Timers` tells time and keeps deadlines."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)

    def test_now_is_aware(self) -> None:
        """The time of day is an aware UTC instant of the wall clock that was given."""
        timers = Timers(self.clock, lambda: 86400.0)
        self.assertEqual(timers.now(), datetime(1970, 1, 2, tzinfo=UTC))
        self.assertEqual(timers.monotonic(), 0.0)

    def test_r10_durations_do_not_go_by_the_time_of_day(self) -> None:
        """Twisted's reactor does: whoever sets the clock would set it, and a jump would look like time that passed."""
        timers = steady_timers(self.clock)
        before = time.monotonic()
        self.assertTrue(before <= timers.monotonic() <= time.monotonic())

    def test_s20_time_never_goes_back(self) -> None:
        """A clock that is set back stands still until it has caught up; a large step is said once."""
        wall = [1000.0]
        timers = Timers(self.clock, lambda: wall[0])
        for told, seen in ((1000.0, 1000), (970.0, 1000), (1010.0, 1010), (400.0, 1010), (300.0, 1010), (1011.0, 1011)):
            wall[0] = told
            with capturedLogs() as logs:
                self.assertEqual(timers.now(), datetime.fromtimestamp(seen, UTC))
            self.assertEqual(len(logs), int(told == 400.0))

    def test_sleep(self) -> None:
        """Sleeping takes as long as it says."""
        sleeping = deferred_of(self.timers.sleep(timedelta(seconds=3)))
        self.clock.advance(2.9)
        self.assertNoResult(sleeping)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(sleeping))

    def test_within_in_time(self) -> None:
        """What comes in time passes, and no timer stays behind."""
        answer: Deferred[int] = Deferred()
        waiting = deferred_of(self.timers.within(timedelta(seconds=5), answer, TooLate))
        answer.callback(7)
        self.assertEqual(self.successResultOf(waiting), 7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_within_too_late(self) -> None:
        """What does not come in time is cancelled and refused."""
        answer: Deferred[int] = Deferred()
        waiting = deferred_of(self.timers.within(timedelta(seconds=5), answer, TooLate))
        self.clock.advance(5)
        self.failureResultOf(waiting, TooLate)
        self.assertTrue(answer.called)

    def test_within_cancelled_from_outside(self) -> None:
        """A caller who gives up hears of that, not of the deadline."""
        answer: Deferred[int] = Deferred()
        waiting = deferred_of(self.timers.within(timedelta(seconds=5), answer, TooLate))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_within_failure_passes(self) -> None:
        """What fails in time fails as it did."""

        async def failing() -> None:
            raise ValueError

        waiting = deferred_of(self.timers.within(timedelta(seconds=5), failing(), TooLate))
        self.failureResultOf(waiting, ValueError)


class SharedQuestions(SynchronousTestCase):
    """`Flights` lets many wait for one answer (F-17)."""

    def setUp(self) -> None:
        self.flights = Flights()
        self.asked: list[Deferred[str]] = []

    def ask(self) -> Deferred[str]:
        """One question that the test answers."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def test_hundred_askers_one_fetch(self) -> None:
        """F-17: the same question asked a hundred times in parallel is one question."""
        waiting = [deferred_of(self.flights.share("key", self.ask)) for _ in range(100)]
        self.assertEqual(len(self.asked), 1)
        self.asked[0].callback("answer")
        self.assertEqual([self.successResultOf(one) for one in waiting], ["answer"] * 100)
        self.assertEqual(len(self.flights), 0)

    def test_refusal_reaches_everyone(self) -> None:
        """Whoever waits hears the refusal; who comes later asks anew."""
        waiting = [deferred_of(self.flights.share("key", self.ask)) for _ in range(3)]
        self.asked[0].errback(TooLate())
        for one in waiting:
            self.failureResultOf(one, TooLate)
        deferred_of(self.flights.share("key", self.ask))
        self.assertEqual(len(self.asked), 2)

    def test_one_gives_up(self) -> None:
        """A waiter who gives up does not take the answer from the others."""
        first = deferred_of(self.flights.share("key", self.ask))
        second = deferred_of(self.flights.share("key", self.ask))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.asked[0].callback("answer")
        self.assertEqual(self.successResultOf(second), "answer")

    def test_gives_up_while_others_hear(self) -> None:
        """One who hears makes another give up: the rest hear all the same."""
        first, second, third = (deferred_of(self.flights.share("key", self.ask)) for _ in range(3))
        first.addCallback(lambda _: second.cancel())
        self.asked[0].callback("answer")
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.successResultOf(third), "answer")

    def test_all_give_up(self) -> None:
        """When the last waiter gives up the question is cancelled."""
        waiting = [deferred_of(self.flights.share("key", self.ask)) for _ in range(2)]
        for one in waiting:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.assertTrue(self.asked[0].called)
        self.assertEqual(len(self.flights), 0)

    def test_answered_at_once(self) -> None:
        """An answer that is there already needs no flight."""

        async def ask() -> int:
            return 3

        self.assertEqual(self.successResultOf(deferred_of(self.flights.share("key", ask))), 3)
        self.assertEqual(len(self.flights), 0)


class Rates(SynchronousTestCase):
    """`RateLimit` is a bucket per key (T-12)."""

    def test_burst_then_rate(self) -> None:
        """T-12: after the burst a key waits, another one does not, and the wait is told."""
        clock = Clock()
        limit = RateLimit(0.5, 3, clock)
        self.assertEqual([limit.take("mallory") for _ in range(4)], [0, 0, 0, 2])
        self.assertEqual(limit.take("bob"), 0)
        clock.advance(2)
        self.assertEqual(limit.take("mallory"), 0)
        self.assertEqual(limit.take("mallory"), 2)

    def test_bounded_memory(self) -> None:
        """A million keys cost no more than the most that is remembered."""
        limit = RateLimit(1, 1, Clock(), most_keys=10)
        for number in range(1000):
            limit.take(str(number))
        self.assertEqual(len(limit), 10)

    def test_t12_addresses_of_one_network(self) -> None:
        """T-12: whoever changes the IPv6 address with each request is still the same."""
        limit = RateLimit(1, 2, Clock(), whose=network_of)
        self.assertEqual([limit.take(f"2001:db8::{number}") for number in range(3)], [0, 0, 1])
        self.assertEqual(limit.take("2001:db8:0:1::1"), 0)

    def test_clock_set_back(self) -> None:
        """A clock that goes backwards gives nobody more."""
        clock = Clock()
        clock.advance(100)
        limit = RateLimit(1, 1, clock)
        limit.take("key")
        clock.rightNow = 50
        self.assertEqual(limit.take("key"), 1)
