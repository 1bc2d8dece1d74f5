"""The time by which what cannot be undone is decided: a clock that jumps ahead is not believed at once."""

from datetime import timedelta

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.values.instants import Instant
from rrsd.roles.rs.ports import Timers

LEEWAY = timedelta(hours=1)
"""A clock that goes ahead by less is believed: time servers correct, and hosts sleep."""
DOUBT = timedelta(days=1)
"""For so long an operator can put the clock right and start the daemon again, and nothing was lost."""


@define(eq=False)
class Steady:
    """Wall-clock time that a jump of the clock does not move for a day.

    A time that is years ahead for a minute would end every grant, and their bytes could not be had back.
    """

    _log = Logger()

    timers: Timers
    _base: tuple[Instant, float] | None = field(default=None, init=False)
    _doubted: float | None = field(default=None, init=False)

    def now(self) -> Instant:
        """The time of day, or the time that it would be without the jump."""
        wall, moment = self.timers.now(), self.timers.monotonic()
        if self._base is None:
            self._base = wall, moment
        expected = self._base[0] + timedelta(seconds=moment - self._base[1])
        if wall - expected <= LEEWAY:
            self._base, self._doubted = (wall, moment), None
            return wall
        if self._doubted is None:
            self._doubted = moment
            self._log.warn(
                "the clock went ahead by {jump} at once: nothing is collected by the new time for a day; where it is "
                "wrong, put it right and start rrsd again",
                jump=str(wall - expected),
            )
        if moment - self._doubted >= DOUBT.total_seconds():
            self._base, self._doubted = (wall, moment), None
            return wall
        return expected
