"""How a large resource gets room beside small ones that always fit: half of what becomes free is put by for it."""

from attrs import define

SMALL = 8 << 20
"""Bytes of a resource that nobody's saving keeps out."""
MOST_SECONDS = 86_400.0
"""How long is saved for one that waits, before it is another's turn."""


@define(eq=False)
class Saving:
    """What is put by for `job`, which needs `wanted` bytes; 0 while nobody has waited long."""

    job: int = 0
    wanted: int = 0
    saved: int = 0
    _free: int = 0
    _since: float = 0.0

    def is_over(self, at: float) -> bool:
        """Whether its time is."""
        return at - self._since >= MOST_SECONDS or at < self._since

    def begin(self, job: int, wanted: int, at: float) -> None:
        """It is the turn of that one."""
        self.job, self.wanted, self._since = job, wanted, at
        self.saved = self._free = 0

    def look(self, free: int) -> None:
        """So much is free now: half of what was not when last looked is put by."""
        gained = max(0, free - self._free)
        self._free = free
        comes = self.wanted if free >= self.wanted else self.saved + gained // 2
        self.saved = max(0, min(self.wanted, comes, free))

    def leaves(self, job: int, needed: int, free: int) -> int:
        """How much of what is free that job may have."""
        return free if job == self.job or needed <= SMALL else free - self.saved
