"""How often somebody may ask: one token bucket per key, in bounded memory."""

import math
from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime


class RateLimit:
    """`rate` requests a second for each key, `burst` of them at once; `most_keys` keys are remembered.

    `whose` says which keys share a bucket, as `rrsd.core.values.networks.network_of` does; by default each has its own.

    A key that was not seen for longest is forgotten first, which is the one whose bucket is fullest.
    """

    def __init__(self, rate: float, burst: int, clock: IReactorTime, most_keys: int = 10_000,
                 whose: Callable[[str], str] = str) -> None:  # fmt: skip
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._most = most_keys
        self._whose = whose
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> int:
        """0 if one more request of `key` is fine, otherwise in how many seconds it will be."""
        now, key = self._clock.seconds(), self._whose(key)
        level, since = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - since) * self._rate)
        fine = level >= 1.0
        self._buckets[key] = (level - 1.0 if fine else level, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0 if fine else max(1, math.ceil((1.0 - level) / self._rate))
