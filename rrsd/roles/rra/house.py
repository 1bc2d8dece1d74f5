"""Who holds a slot, and which gates that shuts for others (pure)."""

from collections import Counter

from attrs import define, field

from rrsd.core.values.jobs import Candidate, Job, Priority
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.fairness import SMALL, Gate

LARGE, INTERACTIVE, UNPROVED = "large", "interactive", "unproved"
SLOW_SLOTS = 2
"""Transfers of one destination that may go on although they are slow."""


@define(eq=False)
class Seat:
    """A slot that one job holds, with what it counts as."""

    origin: Origin
    recipient: str
    is_large: bool
    is_interactive: bool
    is_unproved: bool
    is_slow: bool = False


@define(eq=False, kw_only=True)
class House:
    """`active` slots: a quarter is kept for resources up to 8 MiB, at most half goes to those who wait at a screen, and
    at most half to destinations that have not delivered anything of late, so that the dead and the dripping cannot hold
    all. Slow transfers sit in a lane of their own, a quarter more, two of each destination."""

    active: int
    per_recipient: int
    taken: int = field(default=0, init=False)
    slow: int = field(default=0, init=False)
    _people: Counter[str] = field(factory=Counter, init=False)
    _shares: Counter[str] = field(factory=Counter, init=False)
    _slow_at: Counter[Origin] = field(factory=Counter, init=False)

    @property
    def room(self) -> int:
        """Slots that are free."""
        return self.active - self.taken

    @property
    def half(self) -> int:
        """What one destination may have while others wait, and each of the two kinds that are held to a half."""
        return max(1, self.active // 2)

    def slow_at(self, origin: Origin) -> int:
        """Slow transfers of the destination."""
        return self._slow_at[origin]

    def shut(self, size: int, recipient: str, is_interactive: bool, is_unproved: bool) -> Gate | None:
        """The gate that keeps such a job from a slot; None when it may have one."""
        asked: tuple[tuple[Gate, bool], ...] = (
            (LARGE, size > SMALL),
            (INTERACTIVE, is_interactive),
            (UNPROVED, is_unproved),
            (("recipient", recipient), True),
        )
        return next((gate for gate, counts in asked if counts and self.is_shut(gate)), None)

    def is_shut(self, gate: Gate) -> bool:
        """Whether the share, or what a recipient may have, is used up."""
        if isinstance(gate, tuple):
            return self._people[gate[1]] >= self.per_recipient
        most = self.active - self.active // 4 if gate == LARGE else self.half
        return self._shares[str(gate)] >= most

    def keeps_back(self, each: Candidate, is_unproved: bool) -> Gate | None:
        """`shut`, of a candidate."""
        return self.shut(each.size, each.recipient, each.priority is Priority.INTERACTIVE, is_unproved)

    def admits(self, job: Job, is_unproved: bool) -> bool:
        """Whether a job that is leased may have a slot."""
        return self.shut(job.size, str(job.recipient), job.priority is Priority.INTERACTIVE, is_unproved) is None

    def reserve(self, each: Candidate, is_unproved: bool) -> Seat:
        """Take a slot for the candidate."""
        interactive = each.priority is Priority.INTERACTIVE
        return self._seated(Seat(each.origin, each.recipient, each.size > SMALL, interactive, is_unproved))

    def seat(self, job: Job, is_unproved: bool) -> Seat:
        """Take a slot for the job."""
        interactive = job.priority is Priority.INTERACTIVE
        return self._seated(Seat(job.origin, str(job.recipient), job.size > SMALL, interactive, is_unproved))

    def _seated(self, seat: Seat) -> Seat:
        self.taken += 1
        self._count(seat, 1)
        return seat

    def free(self, seat: Seat) -> None:
        """Give the slot back."""
        if seat.is_slow:
            self.slow -= 1
            self._slow_at[seat.origin] -= 1
            self._slow_at += Counter()  # drops what is 0
            return
        self.taken -= 1
        self._count(seat, -1)

    def slow_down(self, seat: Seat) -> bool:
        """Let the slow transfer have a slot of the slow lane; False when it has no room for it."""
        if self.slow >= max(1, self.active // 4) or self._slow_at[seat.origin] >= SLOW_SLOTS:
            return False
        self.taken -= 1
        self._count(seat, -1)
        seat.is_slow = True
        self.slow += 1
        self._slow_at[seat.origin] += 1
        return True

    def _count(self, seat: Seat, number: int) -> None:
        self._people[seat.recipient] += number
        if not self._people[seat.recipient]:
            del self._people[seat.recipient]
        for name, counts in ((LARGE, seat.is_large), (INTERACTIVE, seat.is_interactive), (UNPROVED, seat.is_unproved)):
            if counts:
                self._shares[name] += number
