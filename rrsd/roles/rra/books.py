"""What an operator's verbs need from the store beside the queue."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State
from rrsd.core.values.operations import Checked, Filter, Found, Kind, Page, Ruling, ShapeRow
from rrsd.core.values.peers import Origin


class Books(Protocol):
    """Looking up, and laying down."""

    async def rule(self, ruling: Ruling) -> None:
        """It is so from now on, also after a restart; it takes the place of an earlier one of that kind and name."""
        ...

    async def unrule(self, kind: Kind, name: str) -> None:
        """It is not so any more."""
        ...

    async def chosen(self, wanted: Filter, after: int, most: int) -> Page:
        """The next jobs by number; a page may be empty and not the last one."""
        ...

    async def count(self, wanted: Filter) -> int:
        """How many there are."""
        ...

    async def ahead(self, job: Job) -> int:
        """How many of its destination are due before it; no more than 10,000 of a class are counted."""
        ...

    async def shape(self, edges: Sequence[Instant], most: int) -> Sequence[ShapeRow]:
        """Live jobs by destination and age: those with most jobs first, then one row for the rest. `edges` are the
        instants between the columns, newest first."""
        ...

    async def successor(self, job: int) -> int | None:
        """The job that took the place of the one that has ended."""
        ...

    async def requeue(self, old: Job, fresh: Job, now: Instant) -> int:
        """The number of a new job in the place of one that has ended: the message's part points to it from now on.
        Refuses with Conflict when another took its place already, or its state is another."""
        ...


class Checks(Protocol):
    """What the self-check looks at, in steps of bounded size."""

    async def rows(self, state: State, after: int) -> Checked[int]:
        """The next jobs of the state by number: those that cannot be read, that wait for nothing, or whose receipt
        nobody owes."""
        ...

    async def strangers(self) -> Sequence[Found]:
        """Jobs in a state that there is not."""
        ...

    async def turns(self, after: tuple[str, str, int]) -> Checked[tuple[str, str, int]]:
        """The next groups of waiting jobs; a turn or destination that is missing or later than the truth is found and
        mended."""
        ...

    async def owe(self, job: int, now: Instant) -> None:
        """The job's receipt is owed from now on."""
        ...

    async def late(self, than: Instant, after: str, most: int) -> Sequence[tuple[Origin, Instant]]:
        """Destinations that are looked at later than that, or then and by name after `after`, the soonest first, and
        when."""
        ...


class Shelves(Protocol):
    """What lies under final names."""

    async def names(self, folder: int) -> Sequence[Digest]:
        """What is stored in one of the 256 folders; refuses with NoSpace when the disk fails."""
        ...

    async def verify(self, digest: Digest, pace: Callable[[int], Awaitable[None]]) -> bool:
        """Whether the bytes are those of the digest; `pace` is awaited with the number of bytes after each block.
        Refuses with Unknown when they are gone, NoSpace when the disk fails."""
        ...

    async def set_aside(self, digest: Digest) -> bool:
        """Put it into quarantine; nothing is deleted. False when it is gone."""
        ...

    async def pulls_of(self, digest: Digest, after: int) -> Sequence[int]:
        """Pulls that messages show for it, by number, some of those after `after`; none when there are no more."""
        ...

    async def unreferenced(self, folder: int, now: Instant, grace: float, keep: float) -> Sequence[tuple[Digest, int]]:
        """What the collection would remove from the folder now, with the sizes; `grace` and `keep` in seconds."""
        ...


class Leftovers(Protocol):
    """Partial files."""

    async def leftovers(self, live: frozenset[str]) -> Sequence[tuple[str, int]]:
        """Names and sizes of those that the next sweep would remove."""
        ...
