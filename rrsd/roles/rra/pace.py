"""Which transfers are slow: less than 16 KiB/s over five minutes (pure)."""

from collections.abc import Iterable, Mapping

from attrs import define, field

LEAST_RATE, OVER = 16 << 10, 300.0
"""Bytes per second, and seconds over which they are counted."""


@define(eq=False)
class Pace:
    """Looks at how far each transfer is, now and then, and remembers it for five minutes."""

    _marks: dict[int, tuple[float, int]] = field(factory=dict, init=False)

    def slow(self, done: Mapping[int, int], moment: float) -> list[int]:
        """Those of the transfers, by job with their bytes so far, that were slow over the last five minutes; each is
        named once in that time. `moment` is in monotonic seconds."""
        self._forget(done)
        return [job for job, size in done.items() if self._is_slow(job, size, moment)]

    def _is_slow(self, job: int, size: int, moment: float) -> bool:
        began, before = self._marks.setdefault(job, (moment, size))
        if moment - began < OVER:
            return False
        self._marks[job] = (moment, size)
        return size - before < LEAST_RATE * (moment - began)

    def _forget(self, live: Iterable[int]) -> None:
        for job in self._marks.keys() - set(live):
            del self._marks[job]
