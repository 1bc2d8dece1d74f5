"""An agent on a store in memory, whose peers answer as the tests say."""

from collections.abc import Awaitable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar, cast

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.jobs import Change, HistoryRow, Job, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.core.values.notices import Plight
from rrsd.core.wire.fields import ni_path
from rrsd.drivers.store.memory import MemoryStore
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.contacts import BURST, REFILL, Contacts, Waker
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.greetings import Greeter
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.moving import Moving
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.operate import Operations
from rrsd.roles.rra.receipts import Receipts
from rrsd.roles.rra.renewals import Renewer
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.selfcheck import SelfCheck
from rrsd.roles.rra.service import Agent
from rrsd.roles.rra.settings import Settings
from rrsd.roles.rra.stocktaking import Stock
from rrsd.roles.rra.telling import Waits
from rrsd.roles.rra.watch import Watch
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.bell import Bell
from rrsd.runtime.flights import Flights
from rrsd.runtime.limits import RateLimit
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from tests.roles.rra.peers import (
    HOME,
    Directory,
    Disk,
    Key,
    Members,
    Peers,
    Trail,
    Troubled,
)
from tests.roles.rra.samples import NOW, job

T = TypeVar("T")
WAITS = Waits(timedelta(hours=4), timedelta(hours=24))


class NoBounces:
    """The mail server tells nobody anything."""

    async def bounced(self, plight: Plight) -> bool | None:
        """No."""
        return False


@define(eq=False, slots=False)
class Desk:
    """The agent with everything that it works with; nothing runs before `start`."""

    settings: Settings = field(factory=lambda: Settings(active_per_destination=4))
    clock: Clock = field(factory=Clock)
    peers: Peers = field(factory=Peers)
    directory: Directory = field(factory=Directory)
    key: Key = field(factory=Key)
    trail: Trail = field(factory=Trail)
    members: Members = field(factory=Members)
    nursery: Nursery = field(factory=lambda: Nursery(lambda: "ref"))
    store: MemoryStore = field(init=False)
    files: Disk = field(init=False)
    queue: Troubled = field(init=False)
    _numbers: Iterator[int] = field(factory=lambda: count(1))

    def __attrs_post_init__(self) -> None:
        self.clock.advance(NOW.timestamp())
        self.timers = Timers(self.clock)
        self.files = Disk(self.timers.now)
        self.store = MemoryStore(self.timers.now, self.files)
        self.result(self.store.start())
        self.queue = Troubled(self.store.queue)
        self.assemble()

    def assemble(self) -> None:
        """A new agent on the store, as after a crash."""
        self.contacts = Contacts(timers=self.timers, bell=Bell(self.clock))
        self.bell, self.outbox, self.transfers = Bell(self.clock), Bell(self.clock), Transfers(self.timers)
        self.feed = Feed(lambda: Bell(self.clock))
        self.delegations = Delegations(
            domain=HOME, agent=self.key, remote=self.peers, trust=self.directory, timers=self.timers,
            flights=Flights(), audit=self.trail, unique=lambda: f"unique {next(self._numbers)}",
        )  # fmt: skip
        self.puller = Puller(
            queue=self.queue, blobs=self.store.blobs, remote=self.peers, trust=self.directory,
            delegations=self.delegations, transfers=self.transfers, timers=self.timers, settings=self.settings,
        )  # fmt: skip
        self.health = Health(queue=self.queue, timers=self.timers, settings=self.settings, chance=lambda: 0.5)
        self.scheduler = Scheduler(
            queue=self.queue, puller=self.puller, health=self.health, timers=self.timers, bell=self.bell,
            outbox=self.outbox, feed=self.feed, audit=self.trail, spawn=self.nursery.spawn,
        )  # fmt: skip
        self.receipts = Receipts(
            queue=self.queue, remote=self.peers, trust=self.directory, delegations=self.delegations, agent=self.key,
            timers=self.timers, bell=self.outbox, audit=self.trail, answered=self.contacts.answered,
        )  # fmt: skip
        self.operations = Operations(
            queue=self.queue, books=self.store.books, scheduler=self.scheduler, transfers=self.transfers,
            delegations=self.delegations, subjects=self.members, timers=self.timers, bell=self.bell,
            feed=self.feed, audit=self.trail,
        )  # fmt: skip
        self.stock = Stock(
            shelves=self.store.shelves, partial=self.store.blobs, queue=self.queue, acts=self.operations.acts,
            timers=self.timers, audit=self.trail, spawn=self.nursery.spawn, grace=timedelta(days=1),
        )  # fmt: skip
        self.acceptance = Acceptance(
            queue=self.queue, blobs=self.store.blobs, subjects=self.members, timers=self.timers, bell=self.bell,
            audit=self.trail, settings=self.settings, contacts=self.contacts,
        )  # fmt: skip
        self.greeter = Greeter(
            owing=self.store.grants, remote=self.peers, trust=self.directory, delegations=self.delegations,
            timers=self.timers, audit=self.trail, domain=HOME,
        )  # fmt: skip
        self.waker = Waker(
            contacts=self.contacts, queue=self.queue, health=self.health, timers=self.timers, bell=self.bell,
            outbox=self.outbox, budget=RateLimit(1 / REFILL.total_seconds(), BURST, self.clock),
        )  # fmt: skip
        self.notifier = Notifier(
            facts=self.store.facts, notices=None, bounces=NoBounces(), waits=WAITS,
            explain=lambda job: explain(job, None, self.timers.now()), ours=HOME, timers=self.timers,
            bell=Bell(self.clock), audit=self.trail,
        )  # fmt: skip
        self.renewals = Renewer(
            queue=self.queue, remote=self.peers, trust=self.directory, delegations=self.delegations, agent=self.key,
            health=self.health, timers=self.timers, bell=Bell(self.clock), feed=self.feed, audit=self.trail,
            lifetime=self.settings.lifetime, spawn=self.nursery.spawn,
        )  # fmt: skip
        self.watch = Watch(scheduler=self.scheduler, renewals=self.renewals)
        self.moving = Moving(
            books=self.store.books, mailbox=self.store.mailbox, blobs=self.store.blobs, acceptance=self.acceptance,
            acts=self.operations.acts, audit=self.trail,
        )  # fmt: skip
        self.self_check = SelfCheck(
            checks=self.store.checks, queue=self.queue, scheduler=self.scheduler, timers=self.timers, audit=self.trail,
            circumstances=self.operations.circumstances,
        )  # fmt: skip
        self.agent = Agent(
            waker=self.waker, greeter=self.greeter, watch=self.watch, self_check=self.self_check,
            scheduler=self.scheduler, receipts=self.receipts, notifier=self.notifier, transfers=self.transfers,
            feed=self.feed, queue=self.queue, blobs=self.store.blobs, timers=self.timers, nursery=self.nursery,
        )  # fmt: skip

    def start(self) -> None:
        """Go to work."""
        self.result(self.agent.start())
        self.advance(0.01)

    def stop(self) -> None:
        """Stop as the daemon does."""
        self.result(self.agent.stop())

    def close(self) -> None:
        """End whatever a test left running."""
        self.queue.trouble.clear()
        self.queue.gates.clear()
        self.scheduler.stop()
        deferred_of(self.nursery.stop())

    def crash(self) -> None:
        """Everything in memory is gone; what is on the imaginary disk stays."""
        self.queue.trouble["change"] = CancelledError()
        self.stop()
        self.queue.trouble.clear()
        self.nursery = Nursery(lambda: "ref")
        self.assemble()

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step

    def result(self, awaitable: Awaitable[T]) -> T:
        """What it comes to, at once; what it raises is raised."""
        outcome: list[Any] = []
        deferred_of(awaitable).addBoth(outcome.append)
        if not outcome:
            raise AssertionError("no result yet")
        if hasattr(outcome[0], "raiseException"):
            outcome[0].raiseException()
        return cast(T, outcome[0])

    def accept(self, *contents: bytes, name: str = "m", **changes: Any) -> list[int]:
        """A message with these resources, one job each; their numbers."""
        now = instant(self.clock.seconds())
        jobs = [
            job(**{
                "job": 0, "message": name, "index": index, "digest": digest_of(data), "size": len(data),
                "state": State.NEW, "accepted": now, "due": now, "attempts": 0, "epoch": 0,
                "deadline": now + timedelta(days=7), **changes,
            })
            for index, data in enumerate(contents)
        ]  # fmt: skip
        for data in contents:
            self.peers.content[ni_path(digest_of(data))] = data
        parts = tuple(Part(each.index, 0, each.digest, each.size, "a/b", "", Arrival.WAITING) for each in jobs)
        first = jobs[0]
        message = Message(
            name, first.recipient, parse_address("alice@foo.test"), "1@foo.test", "", "", now,
            digest_of(name.encode()), 9, parts,
        )  # fmt: skip
        accepted = self.result(self.store.queue.accept(message, jobs))
        assert accepted is not None
        self.bell.ring()
        return [part.job for part in accepted.parts]

    def job(self, number: int) -> Job:
        """The job as it is in the store."""
        return self.result(self.store.queue.find(number))

    def state(self, number: int) -> State:
        """Where the job is."""
        return self.job(number).state

    def states(self) -> list[State]:
        """Where all are."""
        return [each.state for each in self.result(self.store.queue.jobs(None, None, 0, 1000))]

    def events(self, number: int) -> list[str]:
        """What happened to the job."""
        rows: list[HistoryRow] = list(self.result(self.store.queue.history(number, 1000)))
        return [row.event for row in rows]

    def rewrite(self, number: int, **changes: Any) -> None:
        """Make the row other than any transition would."""
        before = self.job(number)
        change = Change(evolve(before, **changes), "test", instant(self.clock.seconds()), before.state)
        self.result(self.store.queue.change([change]))

    def has(self, digest: Digest) -> bool:
        """Whether the bytes are under their final name."""
        try:
            self.result(self.store.blobs.find(digest))
        except Refusal:
            return False
        return True
