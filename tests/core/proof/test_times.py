"""Whether a token holds now."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.times import SKEW, require_current
from rrsd.core.refusals import Expired, Unproven
from rrsd.core.wire import claims
from rrsd.core.wire.claims import LAST, Times
from tests.core.signing import NOW

LIFE = timedelta(seconds=300)
SECOND = timedelta(seconds=1)
TIMES = Times(NOW, NOW, NOW + LIFE)


class TimeTests(SynchronousTestCase):
    """Begin, end and life."""

    def test_skew(self) -> None:
        """Clocks may be 30 seconds apart in both directions, and no more."""
        for now in (NOW, NOW - SKEW, NOW + LIFE, NOW + LIFE + SKEW - SECOND):
            require_current(TIMES, LIFE, now)
        for now in (NOW - SKEW - SECOND, NOW + LIFE + SKEW):
            self.assertRaises(Expired, require_current, TIMES, LIFE, now)

    def test_j16_times_of_the_future(self) -> None:
        """A token that was issued or begins in the future is refused."""
        later = NOW + SKEW + SECOND
        self.assertRaises(Expired, require_current, Times(later, NOW, NOW + LIFE), LIFE, NOW)
        self.assertRaises(Expired, require_current, Times(NOW, later, NOW + LIFE), LIFE, NOW)

    def test_x23_life(self) -> None:
        """A token that lives longer than its kind may is refused."""
        self.assertRaises(Unproven, require_current, Times(NOW, NOW, NOW + LIFE + SECOND), LIFE, NOW)

    def test_j16_end_of_time(self) -> None:
        """The last second that a claim may name is no crash."""
        last = claims.times({"iat": LAST - 1, "exp": LAST})
        self.assertRaises(Expired, require_current, last, LIFE, NOW)
        self.assertRaises(Unproven, require_current, claims.times({"iat": 0, "exp": LAST}), LIFE, NOW)
