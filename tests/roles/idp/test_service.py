"""The room forgets what has ended."""

from datetime import timedelta

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.instants import Instant
from rrsd.roles.idp.service import SWEEP, IdentityProvider
from rrsd.runtime.timers import Timers
from tests.support.issuer import MemoryLogins


@define(eq=False)
class Failing(MemoryLogins):
    """A store that is down once."""

    async def sweep(self, now: Instant) -> None:
        """Refuse the first time."""
        await super().sweep(now)
        if len(self.swept) == 1:
            raise Unavailable("store")


class SweepTests(SynchronousTestCase):
    """Sweeping goes on until the room stops."""

    def test_every_ten_minutes_until_it_stops(self) -> None:
        """The store is swept in the rhythm, a failure does not end that, a stop does."""
        clock, logins = Clock(), Failing()
        room = IdentityProvider(logins, Timers(clock))
        self.assertEqual(room.name, "idp")
        self.successResultOf(Deferred.fromCoroutine(room.start()))
        for _ in range(3):
            clock.advance(SWEEP.total_seconds())
        self.assertEqual(len(logins.swept), 3)
        self.assertEqual(logins.swept[1] - logins.swept[0], timedelta(minutes=10))
        self.successResultOf(Deferred.fromCoroutine(room.stop()))
        clock.advance(SWEEP.total_seconds())
        self.assertEqual(len(logins.swept), 3)
