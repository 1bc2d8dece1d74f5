"""What is leased of one destination and not yet begun."""

from collections import deque
from collections.abc import Callable, Sequence

from attrs import define, field

from rrsd.core.values.digests import Digest
from rrsd.core.values.jobs import Job, Lease

AHEAD, AHEAD_BYTES = 32, 8 << 20
"""Jobs leased beyond the free slots of a healthy destination, and bytes."""


@define(eq=False)
class Lane:
    """One destination's leased jobs: those that wait, how many run, and which job holds which digest.

    It is `overtaken` when a job that somebody waits for is due and not among them.
    """

    waiting: deque[Lease] = field(factory=deque)
    running: int = 0
    held: dict[Digest, int] = field(factory=dict)
    overtaken: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the destination is leased."""
        return not (self.running or self.waiting or self.held)

    @property
    def bytes_waiting(self) -> int:
        """Of all that wait."""
        return sum(each.job.size for each in self.waiting)

    def hold(self, lease: Lease) -> None:
        """The lease belongs to this lane until it has ended."""
        self.held[lease.job.digest] = lease.job.job

    def add(self, leases: Sequence[Lease]) -> None:
        """More leases to work on."""
        for each in leases:
            self.hold(each)
        self.waiting.extend(leases)
        self.overtaken = False

    def next(self, admits: Callable[[Job], bool]) -> Lease | None:
        """The first lease that waits and may run now; it does not wait any more."""
        found = next((each for each in self.waiting if admits(each.job)), None)
        if found is not None:
            self.waiting.remove(found)
        return found

    def take(self, number: int) -> Lease | None:
        """The lease of the job if it waits here; it does not any more."""
        return self.next(lambda job: job.job == number)

    def clear(self) -> list[Lease]:
        """Every lease that waits; none does any more."""
        leases, self.waiting, self.overtaken = list(self.waiting), deque(), False
        for each in leases:
            del self.held[each.job.digest]
        return leases
