"""The agent's scheduler between a real queue and senders that behave as they are told, under a virtual clock."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Job, Lease, Priority, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.ports import Queue
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.service import PACE_EVERY
from rrsd.roles.rra.settings import Settings
from rrsd.runtime.bell import Bell
from rrsd.runtime.timers import Timers

BEGIN = instant(1_800_000_000)
SENDER = Address("alice", Domain("foo.test"))
WEEK = timedelta(days=7)
GOOD = Result(Outcome.STORED, "came", authorized=True, reached=True)
DEAD = Result(Outcome.UNREACHABLE, "connect: no answer", authorized=True)
REFUSED = Result(Outcome.UNREACHABLE, "connect: refused", authorized=True)
Behaviour = Callable[["Arena", Lease, Transfer], Awaitable[Result]]


def origin_of(kind: str, number: int = 0) -> Origin:
    """The resource server of that kind with that number."""
    return Origin(Domain(f"rs{number}.{kind}.test"))


def message_of(
    origin: Origin, recipient: Address, name: str, sizes: Sequence[int], now: Instant
) -> tuple[Message, list[Job]]:
    """A message from `origin` with an attachment of each of the sizes, and its jobs."""
    jobs = [
        Job(
            0, name, index, recipient, SENDER.domain, name, origin, digest_of(f"{name} {index}".encode()), size,
            State.NEW, Priority.NORMAL, now, now + WEEK, due=now, not_after=None,
        )
        for index, size in enumerate(sizes)
    ]  # fmt: skip
    parts = tuple(Part(each.index, 0, each.digest, each.size, "a/b", "f", Arrival.WAITING) for each in jobs)
    raw = Digest(jobs[0].digest.raw)
    return Message(name, recipient, SENDER, name, "", "", now, raw, 500, parts), jobs


@define(eq=False, kw_only=True)
class Arena:
    """`behaviours` by kind of sender; `started` is told of every attempt."""

    queue: Queue
    behaviours: Mapping[str, Behaviour]
    settings: Settings = field(factory=Settings)
    started: Callable[[Job, Instant], None] = lambda job, now: None
    clock: Clock = field(factory=Clock)
    running: dict[Origin, int] = field(factory=dict, init=False)
    timers: Timers = field(init=False)
    scheduler: Scheduler = field(init=False)
    transfers: Transfers = field(init=False)
    bell: Bell = field(init=False)
    failed: list[BaseException] = field(factory=list, init=False)
    _chances: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(BEGIN.timestamp())
        self.timers, self.transfers = Timers(self.clock), Transfers(Timers(self.clock))
        self.bell = Bell(self.clock)
        health = Health(queue=self.queue, timers=self.timers, settings=self.settings, chance=self.chance)
        self.scheduler = Scheduler(
            queue=self.queue, puller=cast(Any, self), health=health, timers=self.timers, bell=self.bell,
            outbox=Bell(self.clock), feed=Feed(lambda: Bell(self.clock)), audit=cast(Any, self), spawn=self.spawn,
        )  # fmt: skip

    def chance(self) -> float:
        """From 0 to 1, always in the same order."""
        self._chances = (self._chances * 1103515245 + 12345) & 0x7FFFFFFF
        return self._chances / 0x7FFFFFFF

    def record(self, event: Event) -> None:
        """There is no trail here."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> object:
        """Run it; what it raises is kept."""
        return Deferred.fromCoroutine(work).addErrback(self._fail)

    def _fail(self, failure: Failure) -> None:
        self.failed += filter(None, [failure.value])

    async def attempt(self, lease: Lease) -> Result:
        """As `Puller.attempt`."""
        transfer, origin = self.transfers.begin(lease), lease.job.origin
        self.running[origin] = self.running.get(origin, 0) + 1
        self.started(lease.job, self.timers.now())
        try:
            result = await self.behaviours[origin.host.name.split(".")[1]](self, lease, transfer)
        except Refusal as refusal:
            result = Result(Outcome.INTERRUPTED, str(refusal))
        finally:
            self.running[origin] -= 1
            self.transfers.end(transfer, stored=False)
        return evolve(result, authorized=True)

    def begin(self) -> None:
        """Go to work."""
        done(self.scheduler.recover())
        self.spawn(self.scheduler.run(), "pull queue")
        self.spawn(self._watch(), "slow transfers")

    async def _watch(self) -> None:
        while True:
            await self.timers.sleep(PACE_EVERY)
            await self.scheduler.wishes.slow_down()

    def until(self, seconds: float) -> None:
        """Let time pass up to so many seconds after the beginning, from event to event."""
        end = BEGIN.timestamp() + seconds
        while calls := [call for call in self.clock.getDelayedCalls() if call.getTime() <= end]:
            self.clock.advance(max(0.0, min(call.getTime() for call in calls) - self.clock.seconds()))
            if self.failed:
                raise self.failed[0]
        self.clock.advance(end - self.clock.seconds())


async def good(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """A fifth of a second for anything."""
    await arena.timers.sleep(timedelta(seconds=0.2))
    return GOOD


async def dead(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """Nobody answers: the connection is given up after 15 s."""
    await arena.timers.sleep(timedelta(seconds=15))
    return DEAD


async def refusing(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """Nothing listens there."""
    return REFUSED


async def drip(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """A byte now and then, for as long as anybody listens."""
    while True:
        await arena.timers.sleep(timedelta(seconds=30))
        transfer.require_wanted()


async def limiter(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """Five connections at once; who comes sixth is hung up on. Each takes between half a second and one and a half."""
    if arena.running[lease.job.origin] > 5:
        return REFUSED
    await arena.timers.sleep(timedelta(seconds=0.5 + arena.chance()))
    return GOOD


POISON = (Outcome.NOT_PERMITTED, Outcome.MISSING, Outcome.REFUSED, Outcome.MISMATCH, Outcome.UNSTABLE)


async def poison(arena: Arena, lease: Lease, transfer: Transfer) -> Result:
    """Answers quickly, and never well."""
    await arena.timers.sleep(timedelta(seconds=0.05))
    return Result(POISON[lease.job.job % len(POISON)], "poison", reached=True)


def done(work: Any) -> Any:
    """What it comes to; everything here happens at once."""
    outcome: list[Any] = []
    waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    waiting.addBoth(outcome.append)
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return outcome[0]
