"""Whether a pull whose time is over may end: never without an attempt at its sender, and never because a clock jumped.

An attempt that is made at the deadline or later decides for its own job. Where the sender's resource server cannot be
reached at all it decides for every job of that server whose time was over when it began, so that a thousand of them are
not a thousand connections; where it breaks off, three in a row do. In the first hour after a start, and after the clock
jumped forward, nothing ends: the network may not be there yet, and the clock may come back.
"""

from collections import OrderedDict
from datetime import timedelta

from attrs import define, field, frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.ports import Timers
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.runtime.expiring import Expiring
from rrsd.runtime.timers import Jumps

GRACE = timedelta(hours=1)
ENOUGH = 3
"""Attempts in a row that broke off."""
FINAL_EVERY = timedelta(minutes=40)
"""A destination that is left alone is asked out of turn once in this time."""
SOON = timedelta(minutes=30)
"""A probe that is nearer than this is waited for."""
MOST = 20_000


@frozen
class _Heard:
    """The newest failed attempt: when it began, what came of it, how many failed in a row."""

    began: Instant
    evidence: str
    failures: int


@define(eq=False)
class Endings:
    """What is known of the last attempts at destinations that fail, and of the clocks."""

    timers: Timers
    _last: OrderedDict[Origin, _Heard] = field(factory=OrderedDict, init=False)
    _asked: Expiring[Origin, bool] = field(factory=lambda: Expiring(MOST), init=False)
    _jumps: Jumps = field(init=False)
    _since: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._since = self.timers.monotonic()
        self._jumps = Jumps(self.timers)

    def grace(self) -> timedelta:
        """How long nothing ends yet; 0 when something may."""
        moment = self.timers.monotonic()
        if self._jumps.seen():
            self._since = moment
        return max(timedelta(0), GRACE - timedelta(seconds=moment - self._since))

    def heard(self, origin: Origin, result: Result, took: float) -> None:
        """An attempt at the destination ended after so many seconds."""
        if result.outcome in (Outcome.UNREACHABLE, Outcome.BROKEN):
            before = self._last.pop(origin, None)
            failures = ENOUGH if result.outcome is Outcome.UNREACHABLE else (before.failures if before else 0) + 1
            began = self.timers.now() - timedelta(seconds=took)
            self._last[origin] = _Heard(began, result.evidence, failures)
            if len(self._last) > MOST:
                self._last.popitem(last=False)
        elif result.reached:
            self._last.pop(origin, None)

    def verdict(self, job: Job) -> str:
        """Why the job, whose time is over, ends without an attempt of its own; "" when nothing says so."""
        last = self._last.get(job.origin)
        if last is None or last.began < job.deadline or last.failures < ENOUGH:
            return ""
        return f"the attempt at {job.origin} that began {last.began:%Y-%m-%d %H:%M:%S} UTC failed: {last.evidence}"

    def may_ask(self, origin: Origin, until: Instant | None, now: Instant) -> bool:
        """Whether the destination, which is left alone until then, is to be asked out of turn; counted as done."""
        moment = self.timers.monotonic()
        if until is None or until - now <= SOON or self._asked.get(origin, moment) is not None:
            return False
        self._asked.put(origin, True, moment + FINAL_EVERY.total_seconds())
        return True
