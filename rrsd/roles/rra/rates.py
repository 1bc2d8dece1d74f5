"""How fast destinations deliver: a moving average of each, written down seldom."""

from collections import OrderedDict
from datetime import timedelta

from attrs import define, field

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.deadlines import rate_after
from rrsd.roles.rra.ports import Queue, Timers

MOST_RATES = 20_000
"""Destinations whose rate is known in memory; of one that is forgotten the default is assumed."""
FACTOR = 2.0
"""A rate is written down when it is that many times, or a part, of the one that is."""
EVERY = timedelta(hours=1)
"""And of each destination not more often than this."""


@define
class _Known:
    rate: float
    saved: float
    at: float


@define(eq=False)
class Rates:
    """The rates of destinations."""

    queue: Queue
    timers: Timers
    _known: OrderedDict[str, _Known] = field(factory=OrderedDict, init=False)

    async def recall(self) -> None:
        """Take up what was written down."""
        for name, rate in await self.queue.rates(MOST_RATES):
            self._known[name] = _Known(rate, rate, self.timers.monotonic())

    def of(self, origin: Origin) -> float | None:
        """Bytes per second, None when nobody knows."""
        known = self._known.get(str(origin))
        return known.rate if known is not None else None

    async def observed(self, origin: Origin, moved: int, seconds: float) -> None:
        """A transfer of so many bytes ended, however it ended. What cannot be written down now stays in memory."""
        name, moment = str(origin), self.timers.monotonic()
        known = self._known.pop(name, None)
        rate = rate_after(known.rate if known is not None else None, moved, seconds)
        if rate is None:
            return
        known = known or _Known(rate, 0.0, moment - EVERY.total_seconds())
        known.rate = rate
        self._known[name] = known
        if len(self._known) > MOST_RATES:
            self._known.popitem(last=False)
        is_news = not known.saved / FACTOR < rate < known.saved * FACTOR
        if is_news and moment - known.at >= EVERY.total_seconds():
            known.saved, known.at = rate, moment
            await self._save(origin, rate)

    async def _save(self, origin: Origin, rate: float) -> None:
        try:
            await self.queue.save_rate(origin, rate, self.timers.now())
        except (NoSpace, Unavailable):
            return
