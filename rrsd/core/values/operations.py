"""What an operator lays down about the pull queue, asks of it, and is told."""

from enum import StrEnum
from typing import Generic, TypeVar

from attrs import frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State
from rrsd.core.values.peers import Origin

C = TypeVar("C")


class Kind(StrEnum):
    """What a ruling does: `drain` is about the whole daemon, the others about one destination."""

    DRAIN = "drain"
    PAUSE = "pause"
    LIMIT = "limit"


@frozen
class Ruling:
    """What an operator laid down, by whom, why and since when; it outlives a restart.

    `name` is the destination's origin, "" for the daemon. `most` is the limit of transfers at once.
    """

    kind: Kind
    name: str
    at: Instant
    who: str
    reason: str = ""
    most: int = 0


@frozen
class Filter:
    """Which jobs are meant: those that have everything that is given here.

    `recipient` is an address as text, `sender` a domain; `older` chooses those that were accepted before.
    """

    state: State | None = None
    origin: Origin | None = None
    recipient: str = ""
    sender: str = ""
    condition: str = ""
    older: Instant | None = None
    at_risk: bool = False


@frozen
class Page:
    """Some jobs by number, and after which number to go on; None when that was all.

    A page may be empty and not the last one: so much is looked at in one step, and no more.
    """

    jobs: tuple[Job, ...]
    next: int | None


@frozen
class ShapeRow:
    """How many live jobs of a destination are how old: `counts` by age, youngest first. `name` is "" for all that have
    no row of their own, of which there are `destinations`."""

    name: str
    counts: tuple[int, ...]
    destinations: int = 1

    @property
    def total(self) -> int:
        """Of every age."""
        return sum(self.counts)


class Fault(StrEnum):
    """What the self-check finds: a row that cannot be read, a job that waits for nothing, one that is in no state, one
    that arrived and whose receipt nobody owes, jobs whose turn or destination would be looked at too late, and one of
    which something is said that is not so."""

    DAMAGED = "damaged"
    LOST = "lost"
    STATE = "state"
    RECEIPT = "receipt"
    TURN = "turn"
    DESTINATION = "destination"
    EXPLANATION = "explanation"


@frozen
class Found:
    """One fault: of a job, 0 where it is of a destination, and what it is about."""

    fault: Fault
    job: int
    about: str = ""


@frozen
class Checked(Generic[C]):
    """One step of the self-check: what it found, and where to go on; None when that was all."""

    found: tuple[Found, ...]
    next: C | None
