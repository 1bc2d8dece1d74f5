"""What is leased of one destination and not yet begun."""

from collections import deque
from collections.abc import Sequence

from attrs import define, field

from rrsd.core.values.digests import Digest
from rrsd.core.values.jobs import Lease


@define(eq=False)
class Lane:
    """One destination's leased jobs: those that wait, how many run, and which job holds which digest.

    It is `overtaken` when a job that somebody waits for is due and not among them.
    """

    waiting: deque[Lease] = field(factory=deque)
    running: int = 0
    held: dict[Digest, int] = field(factory=dict)
    overtaken: bool = False

    def add(self, leases: Sequence[Lease]) -> None:
        """More leases to work on."""
        self.held.update((each.job.digest, each.job.job) for each in leases)
        self.waiting.extend(leases)
        self.overtaken = False

    def take(self, number: int) -> Lease | None:
        """The lease of the job if it waits here; it does not any more."""
        found = next((each for each in self.waiting if each.job.job == number), None)
        if found is not None:
            self.waiting.remove(found)
        return found

    def clear(self) -> list[Lease]:
        """Every lease that waits; none does any more."""
        leases, self.waiting, self.overtaken = list(self.waiting), deque(), False
        for each in leases:
            del self.held[each.job.digest]
        return leases
