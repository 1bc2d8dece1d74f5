"""An agent on a store in memory, whose peers answer as the tests say."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from errno import EIO
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import Address, Domain, parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.jobs import Change, HistoryRow, Job, State
from rrsd.core.values.messages import Arrival, Message, Part
from rrsd.core.values.peers import Certificate, Introduction, Origin, parse_issuer, parse_origin, parse_url
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import etag, ni_path
from rrsd.drivers.store.memory import MemoryFiles, MemoryStore
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.operate import Operations
from rrsd.roles.rra.ports import AgentKey, Audit, Remote, Reply, Sink, Subjects, Trust
from rrsd.roles.rra.receipts import Receipts
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.service import Agent
from rrsd.roles.rra.settings import Settings
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.bell import Bell
from rrsd.runtime.flights import Flights
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from tests.roles.rra.samples import NOW, RS, job

T = TypeVar("T")
BOB = parse_address("bob@bar.test")
HOME = parse_domain("bar.test")
OTHER = parse_origin("https://rs.other.test")
CLIENT = parse_client_identifier("_rra.bar.test")
STS = parse_origin("https://id.bar.test")
JWT = "urn:ietf:params:oauth:token-type:jwt"


@define(eq=False)
class Body:
    """An answer with a body that stands still after `still` bytes until somebody lets it go on."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    still: int | None = None
    aborted: bool = False
    _stands: Deferred[None] | None = None

    async def pour(self, sink: Sink, most: int) -> int:
        stop = len(self.body) if self.still is None else self.still
        await _give(sink, self.body[:stop])
        if self.still is not None:
            self._stands = Deferred()
            await self._stands
            await _give(sink, self.body[stop:])
        return len(self.body)

    async def abort(self) -> None:
        self.aborted = True
        if self._stands is not None and not self._stands.called:
            self._stands.errback(Unavailable("given up"))

    def go_on(self) -> None:
        """The rest comes."""
        assert self._stands is not None
        self._stands.callback(None)


async def _give(sink: Sink, data: bytes) -> None:
    pause = sink.write(data)
    if pause is not None:
        await pause


def served(data: bytes, still: int | None = None) -> Body:
    """The resource as a good server sends it."""
    return Body(200, {"content-length": str(len(data)), "etag": etag(digest_of(data))}, data, still)


def said(status: int, **headers: str) -> Body:
    """An answer without a body."""
    return Body(status, {name.replace("_", "-"): value for name, value in headers.items()})


def issued(text: str = "delegation", life: object = 300, kind: str = JWT) -> Answer:
    """What the STS says when it says yes."""
    document = {"access_token": text, "expires_in": life, "issued_token_type": kind, "token_type": "N_A"}
    return Answer(200, {}, json.dumps(document).encode())


Told = Body | Answer | Exception


@define(eq=False)
class Peers:
    """The rest of the world. `rules` are asked in order, the newest first; what they leave alone is answered well."""

    content: dict[str, bytes] = field(factory=dict)
    rules: list[Callable[[Call], Told | Awaitable[Told] | None]] = field(factory=list)
    calls: list[Call] = field(factory=list)

    def rule(self, method: str, origin: Origin, told: Callable[[Call], Told | Awaitable[Told] | None]) -> None:
        """From now on requests with this method to this origin are answered so."""
        self.rules.insert(0, lambda call: told(call) if (call.method, call.peer.origin) == (method, origin) else None)

    def always(self, method: str, origin: Origin, told: Told | Awaitable[Told]) -> None:
        """From now on this is the answer."""
        self.rule(method, origin, lambda _: told)

    def to(self, method: str, origin: Origin) -> list[Call]:
        """The requests of that kind."""
        return [call for call in self.calls if (call.method, call.peer.origin) == (method, origin)]

    async def ask(self, call: Call) -> Answer:
        told = await self._told(call)
        if isinstance(told, Body):
            return Answer(told.status, told.headers, told.body)
        return told

    async def fetch(self, call: Call) -> Reply:
        told = await self._told(call)
        assert isinstance(told, Body)
        return told

    async def _told(self, call: Call) -> Body | Answer:
        self.calls.append(call)
        for rule in self.rules:
            told = rule(call)
            if told is not None:
                told = told if isinstance(told, Body | Answer | Exception) else await told
                if isinstance(told, Exception):
                    raise told
                return told
        if call.peer.origin == STS:
            return issued(f"delegation {len(self.to('POST', STS))}")
        if call.method == "POST":
            return Answer(204, {})
        return served(self.content[call.target])


@define(eq=False)
class Directory:
    """Every domain, introduced; `trouble` says for whom that is refused."""

    listed: set[Origin] = field(factory=lambda: {RS, OTHER})
    trouble: dict[Domain, Exception] = field(factory=dict)

    async def introduce(self, domain: Domain) -> Introduction:
        if domain in self.trouble:
            raise self.trouble[domain]
        home = f"https://id.{domain}"
        return Introduction(
            domain, parse_issuer(home), parse_url(f"{home}/jwks"), parse_url(f"{home}/token"), tuple(self.listed), NOW
        )

    async def prove_user(self, text: str) -> VerifiedAccess:
        raise AssertionError("nobody asks that here")


@define(eq=False)
class Key:
    """A key that signs by writing down what it would sign."""

    certificate: Certificate = field(
        factory=lambda: Certificate(digest_of(b"x5t"), digest_of(b"spki"), b"", CLIENT, NOW, NOW)
    )
    signed: list[Mapping[str, object]] = field(factory=list)

    def sign(self, typ: str, claims: Mapping[str, object]) -> str:
        self.signed.append(claims)
        return f"{typ}.{claims['jti']}"


@define(eq=False)
class Trail:
    """The audit trail; with `refusal` it cannot be written."""

    events: list[Event] = field(factory=list)
    refusal: Refusal | None = None

    def record(self, event: Event) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.events.append(event)

    def of(self, what: str) -> list[Event]:
        """Those about one kind of decision."""
        return [event for event in self.events if event.what == what]


@define(eq=False)
class Members:
    """Our own users: all but those in `refused`."""

    refused: dict[Address, Refusal] = field(factory=dict)

    async def require_active(self, address: Address) -> None:
        if address in self.refused:
            raise self.refused[address]


@define(eq=False)
class Troubled:
    """The queue of a store, which refuses what `trouble` says, by method."""

    whole: Any
    trouble: dict[str, Exception] = field(factory=dict)
    gates: dict[str, Deferred[None]] = field(factory=dict)
    asked: Counter[str] = field(factory=Counter)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.whole, name)

        async def call(*args: Any) -> Any:
            self.asked[name] += 1
            if name in self.trouble:
                raise self.trouble[name]
            result = await real(*args)
            if name in self.gates:
                await self.gates[name]
            return result

        return call


@define(eq=False)
class Disk(MemoryFiles):
    """Files in memory on a disk that may begin to fail."""

    fails: bool = False

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """As always, or as on a disk that fails."""
        if self.fails:
            raise OSError(EIO, "input/output error")
        super().write(descriptor, blocks, offset)


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
            timers=self.timers, bell=self.outbox, audit=self.trail,
        )  # fmt: skip
        self.operations = Operations(
            queue=self.queue, scheduler=self.scheduler, transfers=self.transfers, delegations=self.delegations,
            timers=self.timers, bell=self.bell, feed=self.feed, audit=self.trail,
        )  # fmt: skip
        self.acceptance = Acceptance(
            queue=self.queue, blobs=self.store.blobs, subjects=self.members, timers=self.timers, bell=self.bell,
            audit=self.trail, settings=self.settings,
        )  # fmt: skip
        self.agent = Agent(
            scheduler=self.scheduler, receipts=self.receipts, transfers=self.transfers, feed=self.feed,
            queue=self.queue, blobs=self.store.blobs, timers=self.timers, nursery=self.nursery,
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


if TYPE_CHECKING:
    _remote: type[Remote] = Peers
    _trust: type[Trust] = Directory
    _key: type[AgentKey] = Key
    _audit: type[Audit] = Trail
    _members: type[Subjects] = Members
    _reply: type[Reply] = Body
