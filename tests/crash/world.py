"""One process of the store, from its start to its end, and what it told others before it ended."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from attrs import define, field, frozen

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.instants import Instant
from rrsd.core.values.settings import Size
from rrsd.drivers.store.blobs.chunking import QUICK
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.runtime.workers import InlineWorkers
from tests.crash.database import Rows, Transactions, Version, Versions
from tests.crash.disk import State
from tests.crash.files import AmnesiacFiles, Broken, Calls, Fault
from tests.drivers.store.samples import NOW

T = TypeVar("T")
ROOT = "/srv/store"
MOST_TRIES = 4
"""How often anything is tried when one call fails; more is a loop (R5)."""

Fact: TypeAlias = tuple[str | int, ...]
"""What was told to somebody outside, and cannot be taken back."""


@frozen(eq=False)
class Moment:
    """What a crash at this point finds: the disk, the rows, and what had been told."""

    number: int
    what: str
    disk: State
    versions: tuple[Version, ...]
    facts: tuple[Fact, ...]

    @property
    def version(self) -> Version:
        """The rows as they are when no commit is lost; there is another only where commits are not synced."""
        return self.versions[-1]


@frozen
class Traits:
    """What kind of disk and settings a scenario has."""

    small: int = 1 << 20
    has_nameless: bool = True
    tick: float = 0.0
    formatted: bool = True
    collects: bool = False
    quick: int = QUICK
    spoils: bool = False
    """Whether the first block of what comes is damaged."""


@define(eq=False)
class World:
    """A store that begins with what an earlier process left; what it tells others is remembered in `facts`."""

    traits: Traits
    versions: Versions
    moment: Moment
    calls: Calls
    connection: Transactions
    moments: list[Moment] = field(factory=list)
    facts: tuple[Fact, ...] = field(init=False)
    files: AmnesiacFiles = field(init=False)
    store: Store = field(init=False)
    _ticks: float = field(default=0.0, init=False)
    _versions: tuple[Version, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.facts, self._versions = self.moment.facts, self.moment.versions[-1:]
        traits = self.traits
        self.files = AmnesiacFiles(self.moment.disk, self.now, self.calls, traits.has_nameless, traits.collects)
        self.connection.calls, self.connection.committed = self.calls, self._committed
        workers = InlineWorkers()
        settings = Settings(path=ROOT, keep_free=Size(0), small=Size(self.traits.small))
        threads = Threads(workers, workers, workers)
        self.store = Store(settings, threads, self.now, self._tick, self.files, Rows(self.connection))
        self.store.blobs._desk.quick = traits.quick

    def now(self) -> Instant:
        """Time stands still."""
        return NOW

    def _tick(self) -> float:
        self._ticks += self.traits.tick
        return self._ticks

    def _committed(self, fails: bool) -> None:
        """A commit that fails may have reached the disk: a crash right after it finds it done or not."""
        if self.calls.changed is None:
            return
        before, now = self._versions[-1], self.versions.save(self.connection.serialize())
        self._versions = (now,) if self.connection.is_durable() else (before, now)
        self.note("commit")
        if fails:
            self._versions = (before,)
            self.versions.restore(before, self.connection)
            self.note("commit failed")

    def note(self, what: str) -> None:
        """A crash may come now."""
        moment = Moment(len(self.moments), what, self.files.state, self._versions, self.facts)
        self.moments.append(moment)

    def tell(self, *fact: str | int) -> None:
        """Somebody outside knows it now."""
        if fact not in self.facts:
            self.facts = (*self.facts, fact)
            if self.calls.changed is not None:
                self.note("told")

    def has_told(self, *fact: str | int) -> bool:
        """Whether somebody knows."""
        return fact in self.facts

    def done(self, work: Awaitable[T]) -> T:
        """What the work returns or raises; it must not wait for anything."""
        try:
            _awaited(work).send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        raise Broken("R7", "work waits for something that never comes")

    def insist(self, work: Callable[[], T]) -> T:
        """What comes of it when it is tried again after this host could not store; not for ever (R5)."""
        for _ in range(MOST_TRIES - 1):
            try:
                return work()
            except (NoSpace, Unavailable):
                continue
        return work()

    def require(self, promise: str, holds: object, seen: str) -> None:
        """Fail unless it holds."""
        if not holds:
            raise Broken(promise, seen)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def recorded(traits: Traits, versions: Versions, moment: Moment, fault: Fault | None = None) -> World:
    """A process every moment of which is kept."""
    calls = Calls(fault)
    world = World(traits, versions, moment, calls, versions.recorded(moment.version))
    calls.changed = world.note
    world.note("start")
    return world


def borrowed(traits: Traits, versions: Versions, moment: Moment) -> World:
    """A process that only has to get through."""
    return World(traits, versions, moment, Calls(), versions.borrowed(moment.version))
