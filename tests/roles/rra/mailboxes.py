"""A mailbox, a store and pulls in memory, for the tests of what the recipient's client may do."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal, Unknown
from rrsd.core.values.addresses import Address, Domain, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Job, Lease, State
from rrsd.core.values.messages import Arrival, Attachment, Message, Outgoing, Part
from rrsd.core.values.peers import Introduction
from rrsd.core.values.resources import Blob
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.mime import render_placeholder
from rrsd.roles.rra.mailbox import HELD_BACK, Acceptance, Arrivals, Arriving, Feed, Reader
from rrsd.roles.rra.ports import Blobs, Mailbox, Partial, Trust
from rrsd.roles.rra.restore import Restorer
from rrsd.runtime.timers import Timers
from tests.roles.rra.samples import RS, job, lease

T = TypeVar("T")

ALICE = parse_address("alice@foo.test")
BOB = parse_address("bob@bar.test")
CAROL = parse_address("carol@bar.test")
DAY = instant(1_800_000_000)
FILM = bytes(range(256)) * 1024
NOTE = b"a note"
BLOCK = 50_000


def attachment(data: bytes, filename: str, media_type: str = "text/plain") -> Attachment:
    """An attachment with this content."""
    return Attachment(digest_of(data), len(data), RS, None, media_type, filename, b"")


RAW = render_placeholder(
    Outgoing(
        "1@foo.test",
        ALICE,
        (BOB,),
        "Holiday",
        "Hello",
        DAY,
        (attachment(FILM, "film.mp4", "video/mp4"), attachment(NOTE, "")),
        "b1",
    )
)


def message(*arrivals: Arrival, recipient: Address = BOB, name: str = "m1") -> Message:
    """The message with film and note, as far as they have come; their jobs are numbered from 1."""
    film = Part(0, 1, digest_of(FILM), len(FILM), "video/mp4", "film.mp4", Arrival.WAITING)
    note = Part(1, 2, digest_of(NOTE), len(NOTE), "text/plain", "", Arrival.WAITING)
    parts = [evolve(part, arrival=arrival) for part, arrival in zip((film, note), arrivals, strict=True)]
    return Message(
        name, recipient, ALICE, "1@foo.test", "Holiday", "today", DAY, digest_of(RAW), len(RAW), tuple(parts)
    )


class FlowCase(SynchronousTestCase):
    """Runs coroutines that wait for nothing but doubles."""

    def run_now(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result, which is there at once."""
        result: T = self.successResultOf(Deferred.fromCoroutine(coroutine))
        return result

    def refuse_now(self, coroutine: Coroutine[Any, Any, object], refusal: type[Refusal]) -> Refusal:
        """The refusal of exactly that class."""
        raised = self.failureResultOf(Deferred.fromCoroutine(coroutine)).value
        assert isinstance(raised, Refusal)
        self.assertIs(type(raised), refusal)
        return raised


@define(eq=False)
class Sessions:
    """Access tokens by their text."""

    known: dict[str, VerifiedAccess | Refusal] = field(factory=dict)

    async def introduce(self, domain: Domain) -> Introduction:
        raise Unknown(str(domain))

    async def prove_user(self, text: str) -> VerifiedAccess:
        found = self.known[text]
        if isinstance(found, Refusal):
            raise found
        return found


@define(eq=False)
class Box:
    """Messages, newest first."""

    kept: list[Message] = field(factory=list)

    async def messages(self, recipient: Address, before: Instant | None, most: int) -> Sequence[Message]:
        mine = [each for each in self.kept if each.recipient == recipient]
        return [each for each in mine if before is None or each.received < before][:most]

    async def message(self, recipient: Address, message: str) -> Message:
        for each in self.kept:
            if (each.recipient, each.message) == (recipient, message):
                return each
        raise Unknown("message")

    def arrive(self, index: int, arrival: Arrival = Arrival.STORED) -> None:
        """Change how far a part of the first message has come."""
        first = self.kept[0]
        parts = [evolve(part, arrival=arrival) if part.index == index else part for part in first.parts]
        self.kept[0] = evolve(first, parts=tuple(parts))


@define(eq=False)
class File:
    """A growing file."""

    data: bytes = b""

    @property
    def offset(self) -> int:
        return len(self.data)

    @property
    def written(self) -> int:
        return len(self.data)

    def write(self, data: bytes) -> None:
        self.data += data

    async def finish(self, digest: Digest, size: int) -> Blob:
        return Blob(digest, size)

    async def chunks(self) -> tuple[Digest, ...]:
        return ()

    async def hold(self) -> None: ...

    def patch(self, start: int) -> "File":
        return self

    async def close(self) -> None: ...

    async def discard(self) -> None: ...


@define(eq=False)
class Store:
    """Bytes under their digests, and growing files."""

    kept: dict[Digest, bytes] = field(factory=dict)

    async def find(self, digest: Digest) -> Blob:
        if digest not in self.kept:
            raise Unknown("blob")
        return Blob(digest, len(self.kept[digest]))

    async def put(self, data: bytes) -> Blob:
        self.kept[digest_of(data)] = data
        return Blob(digest_of(data), len(data))

    async def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, BLOCK):
            yield self.kept[digest][at : min(at + BLOCK, end)]

    async def follow(self, partial: Partial, start: int, end: int) -> AsyncIterator[bytes]:
        assert isinstance(partial, File)
        for at in range(start, end, BLOCK):
            yield partial.data[at : min(at + BLOCK, end)]

    async def partial(self, *_: object) -> tuple[Partial, None]:
        return File(), None

    async def lying(self) -> frozenset[str]:
        return frozenset()

    async def sweep(self, lying: frozenset[str], live: frozenset[str]) -> int:
        return 0


@define(eq=False)
class Transfer:
    """A transfer that goes on when it is told to."""

    lease: Lease = field(factory=lambda: lease(recipient=BOB))
    partial: Partial | None = field(factory=File)
    size: int = len(FILM)
    generation: int = 0
    ended: bool = False
    stored: bool = False
    _waiting: Deferred[None] | None = None

    async def advanced(self, beyond: int) -> bool:
        while not self.ended:
            if self.partial is not None and self.partial.written > beyond:
                return True
            self._waiting = Deferred()
            await self._waiting
        return self.stored

    def grow(self, data: bytes) -> None:
        """The next bytes are written."""
        assert self.partial is not None
        self.partial.write(data)
        self._wake()

    def end(self, stored: bool) -> None:
        """It is over."""
        self.stored, self.ended = stored, True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


@define(eq=False)
class Pulls:
    """Jobs by number. While somebody waits, time passes and `meanwhile` happens, one thing each time."""

    clock: Clock
    jobs: dict[int, Job] = field(factory=dict)
    transfers: dict[int, Transfer] = field(factory=dict)
    hurried: list[tuple[int, str | None]] = field(factory=list)
    meanwhile: list[Callable[[], None]] = field(factory=list)

    async def hurry(self, number: int, access_token: str | None) -> None:
        self.hurried.append((number, access_token))

    async def progress(self, number: int) -> Transfer | None:
        return self.transfers.get(number)

    async def settled(self, number: int, within: timedelta) -> Job:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        elif self.jobs[number].state in (State.READY, State.LEASED):
            self.clock.advance(within.total_seconds())
        return self.jobs[number]


@define(eq=False)
class Gateway:
    """Takes messages and remembers them."""

    taken: list[tuple[bytes, tuple[Address, ...]]] = field(factory=list)
    authors: list[Address | None] = field(factory=list)

    async def accept(
        self, raw: bytes, recipients: Sequence[Address], author: Address | None = None
    ) -> Sequence[Message]:
        self.taken.append((raw, tuple(recipients)))
        self.authors.append(author)
        return [message(Arrival.WAITING, Arrival.WAITING, recipient=each) for each in recipients]


@define(eq=False)
class Paper:
    """News of one recipient, as far as they are printed."""

    printed: list[dict[str, object]] = field(factory=list)
    readers: int = 0
    more: Deferred[None] = field(factory=Deferred)

    async def subscribe(self, recipient: Address) -> AsyncIterator[dict[str, object]]:
        self.readers += 1
        try:
            for news in self.printed:
                yield {"to": str(recipient), **news}
            await self.more
        finally:
            self.readers -= 1


@define(eq=False)
class World:
    """Everything that a reader needs, with one message whose parts have not arrived."""

    clock: Clock = field(factory=Clock)
    box: Box = field(factory=Box)
    store: Store = field(factory=Store)
    pulls: Pulls = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pulls = Pulls(self.clock, {1: job(recipient=BOB), 2: job(job=2, recipient=BOB)})
        self.box.kept.append(message(Arrival.WAITING, Arrival.WAITING))
        self.store.kept[digest_of(RAW)] = RAW

    def arrive(self, index: int) -> None:
        """The part's bytes are stored by this recipient's own pull."""
        data = (FILM, NOTE)[index]
        self.store.kept[digest_of(data)] = data
        self.box.arrive(index)
        self.pulls.jobs[index + 1] = evolve(self.pulls.jobs[index + 1], state=State.STORED)

    def stop(self, index: int, state: State = State.DEFERRED) -> None:
        """The part's job waits for better times."""
        self.pulls.jobs[index + 1] = evolve(self.pulls.jobs[index + 1], state=state)

    @property
    def restorer(self) -> Restorer:
        return Restorer(self.store, len(RAW), 10)

    @property
    def reader(self) -> Reader:
        return Reader(
            mailbox=self.box,
            blobs=self.store,
            arrivals=self.pulls,
            restorer=self.restorer,
            timers=Timers(self.clock),
        )


async def collect(blocks: AsyncIterator[bytes] | None, into: list[bytes]) -> None:
    """Put the blocks into the list as they come."""
    assert blocks is not None
    async for block in blocks:
        into.append(block)


if TYPE_CHECKING:
    _mailbox: type[Mailbox] = Box
    _partial: type[Partial] = File
    _arriving: type[Arriving] = Transfer
    _arrivals: type[Arrivals] = Pulls
    _acceptance: type[Acceptance] = Gateway
    _feed: type[Feed] = Paper
    _trust: type[Trust] = Sessions
    _blobs: type[Blobs] = Store

OPEN_END = len(FILM) - HELD_BACK
"""Bytes of the film that are sent before it was verified."""
