"""A bell wakes the loop that waits on it."""

from datetime import timedelta

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.bell import Bell


class Bells(SynchronousTestCase):
    """`Bell` loses no ring and leaves no timer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bell = Bell(self.clock)

    def test_ring_while_waiting(self) -> None:
        """A ring ends the wait, and its timer with it."""
        waiting = deferred_of(self.bell.wait(timedelta(seconds=5)))
        self.bell.ring()
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ring_before_waiting(self) -> None:
        """A ring that nobody heard ends the next wait, once."""
        self.bell.ring()
        self.bell.ring()
        self.successResultOf(deferred_of(self.bell.wait(None)))
        self.assertNoResult(deferred_of(self.bell.wait(None)))

    def test_time_passes(self) -> None:
        """Without a ring the wait ends in time."""
        waiting = deferred_of(self.bell.wait(timedelta(seconds=5)))
        self.clock.advance(5)
        self.successResultOf(waiting)

    def test_cancelled(self) -> None:
        """Who gives up waiting leaves nothing behind; the next ring is kept."""
        waiting = deferred_of(self.bell.wait(timedelta(seconds=5)))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.bell.ring()
        self.successResultOf(deferred_of(self.bell.wait(None)))
