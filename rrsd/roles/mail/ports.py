"""What the mail role needs from outside."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import ParamSpec, Protocol, TypeVar

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, Fate, Offer, Reply, Standing
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice
from rrsd.core.values.peers import Introduction
from rrsd.core.values.records import Records, RecordType
from rrsd.core.values.resources import Grant
from rrsd.roles.mail.ports_store import Blobs as Blobs
from rrsd.roles.mail.ports_store import Deposit as Deposit
from rrsd.roles.mail.ports_store import Deposits as Deposits
from rrsd.roles.mail.ports_store import Grants as Grants
from rrsd.roles.mail.ports_store import Passages as Passages
from rrsd.roles.mail.ports_store import Spool as Spool
from rrsd.roles.mail.ports_store import Spools as Spools

T = TypeVar("T")
P = ParamSpec("P")


class Relay(Protocol):
    """The next mail server."""

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What it said about each recipient, in their order; a yes means that it has the message.

        Refuses with Unavailable when it cannot be reached or left before it had answered, Malformed when the message
        has a bare CR or LF, Unsupported when it cannot take such a message; and with what `message` refuses.
        """
        ...

    async def offers(self) -> Mapping[str, str]:
        """The extensions that it announces; refuses with Unavailable."""
        ...


class Together(Protocol):
    """The same server, for messages that have one reply."""

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes], *, together: bool) -> tuple[Reply, ...]:
        """As `Relay.send`, but nothing is sent unless it takes every recipient: a yes beside a no is none."""
        ...


class Trust(Protocol):
    """Who other domains are."""

    async def introduce(self, domain: Domain) -> Introduction:
        """Who speaks for the domain; refuses with Unknown when it publishes nothing, Unproven when what it publishes
        contradicts itself, Unavailable when it cannot be asked now."""
        ...


class Domains(Protocol):
    """What the recipients' domains support."""

    async def standings(self, domains: Sequence[Domain]) -> Mapping[Domain, Standing]:
        """Whether each of them collects attachments; never refuses."""
        ...


class Doubts(Protocol):
    """What the next server knows of messages that it never answered for."""

    async def fate_of(self, offer: Offer) -> Fate:
        """Whether it has the message; never refuses."""
        ...


class Restored(Protocol):
    """A complete message."""

    @property
    def size(self) -> int: ...

    @property
    def blocks(self) -> AsyncIterator[bytes]:
        """Exactly `size` bytes."""
        ...


class Pulls(Protocol):
    """The domain's agent, which retrieves what placeholders stand for. A placeholder goes by its digest."""

    async def accept(
        self, raw: bytes, recipient: Address, granted: Address | None = None, *, is_proved: bool = False
    ) -> None:
        """Pull what it stands for, for this recipient, from now on whatever happens: durable when this returns. What
        was accepted before stays as it is. `granted` is the address that it was sent to, where that is another one.
        `is_proved` is whether its author has sent it, and may be told what becomes of it.
        Refuses with Malformed, TooLarge, Unknown, Forbidden or NoSpace."""
        ...

    async def progress(self, recipient: Address, digest: Digest) -> Progress:
        """How far it is; refuses with Unknown when it was never accepted."""
        ...

    async def settled(self, recipient: Address, digest: Digest, within: timedelta) -> None:
        """Return when nothing more happens to its pulls by itself, or after `within`; refuses as `progress`."""
        ...

    async def restored(self, recipient: Address, digest: Digest) -> Restored:
        """The complete message, what was kept of it as it came to the byte. Refuses with Unavailable when this
        recipient's pulls have not all arrived, and as `progress`."""
        ...


class Notices(Protocol):
    """Small messages that we write ourselves."""

    async def send(self, notice: Notice) -> None:
        """Take the notice, durable when this returns; the same key again changes nothing. Refuses with Forbidden for
        an address that nothing proves, Malformed, NoSpace."""
        ...


class Outbox(Protocol):
    """Where they wait."""

    async def add(self, notice: Notice, now: Instant) -> bool:
        """Remember it, durably when this returns; False when its key was there before, whatever became of it."""
        ...

    async def has(self, key: str) -> bool:
        """Whether there was one of that key, whatever became of it."""
        ...

    async def counted(self, notice: Notice, since: Instant, most: int) -> tuple[int, int]:
        """How many of a kind were taken since then for the same address about messages of the same domain, and for
        any address of its domain; each at most `most`."""
        ...

    async def due(self, now: Instant, most: int) -> Sequence[Notice]:
        """At most `most` whose time has come."""
        ...

    async def next_due(self) -> Instant | None:
        """When the next one's time comes; None when nothing waits."""
        ...

    async def later(self, key: str, due: Instant) -> None:
        """It was tried once more, and is to be tried then."""
        ...

    async def end(self, key: str) -> None:
        """It is over; its text is forgotten, its key is not."""
        ...


class Received(Protocol):
    """Messages that came to us."""

    async def answerable(self, number: int) -> Address | None:
        """The sender of the message with that number, if their address was proved; None otherwise."""
        ...


class Granted(Protocol):
    """Who may retrieve what."""

    async def addressed(self, message_id: str, sender: Address, recipient: Address) -> Sequence[Grant]:
        """The grants of one message to one recipient, dead ones too."""
        ...


class Subjects(Protocol):
    """Whether an address is one of ours."""

    async def require_active(self, address: Address) -> None:
        """Returns None if it is; refuses with Unknown or Forbidden otherwise."""
        ...


class Holds(Protocol):
    """Placeholders on their way into mailboxes, durably."""

    async def find(self, recipient: Address, digest: Digest, queue: str) -> Hold | None:
        """How that message stands for that recipient, None when it never came."""
        ...

    async def of(self, recipient: Address, digest: Digest) -> Sequence[Hold]:
        """Every time that the placeholder came for the recipient."""
        ...

    async def standing(self, stand: Stand, most: int) -> Sequence[Hold]:
        """At most `most` that stand so, the oldest first."""
        ...

    async def put(self, hold: Hold) -> None:
        """Remember how it stands, durably when this returns; refuses with NoSpace."""
        ...


class Mailboxes(Protocol):
    """The users' mailboxes."""

    async def swap(
        self,
        recipient: Address,
        message_id: str,
        placeholder: tuple[Digest, int],
        complete: Callable[[bytes], Awaitable[tuple[int, AsyncIterator[bytes]]]],
    ) -> int:
        """Put what `complete` makes of the placeholder, known by its digest and size, in its place wherever the
        recipient has it; how often that is done, earlier times too. A repeat after any interruption does what was
        left undone.

        Refuses with Unsupported when it cannot be done there safely, Forbidden, Unavailable, Malformed, and what
        `complete` and its blocks refuse.
        """
        ...


class Contents(Protocol):
    """What is in the users' mailboxes."""

    async def has(self, recipient: Address, name: str, value: str, path: str) -> bool:
        """Whether the recipient has a message of these days with the field `name` of this value on top that was
        delivered to the address `path`; refuses with Unavailable while that cannot be asked, Forbidden or Malformed
        when it never can."""
        ...


class Names(Protocol):
    """What DNS says."""

    async def ask(self, name: str, kind: RecordType) -> Records:
        """The records at the name and how far they may be believed; never refuses."""
        ...


class Threads(Protocol):
    """Runs what takes long somewhere else."""

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """What `f` returns or raises."""
        ...


class Places(Protocol):
    """So many at a time."""

    def acquire(self) -> Awaitable[object]:
        """Wait for a place."""
        ...

    def release(self) -> object:
        """Give it back."""
        ...


class Bell(Protocol):
    """Wakes the one loop that waits on it."""

    def ring(self) -> None:
        """Wake the loop now, or let its next wait return at once."""
        ...

    async def wait(self, delay: timedelta | None) -> None:
        """Return when the bell rings or after `delay`."""
        ...


class Links(Protocol):
    """Personal links for recipients whose domain collects nothing."""

    async def make(self, message_id: str, sender: Address, recipient: Address, expires: Instant) -> str:
        """The URL of one for the grants of that message, the same each time; "" where the owner has switched links
        off."""
        ...


class Timers(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    def monotonic(self) -> float: ...

    async def sleep(self, delay: timedelta) -> None: ...

    async def within(self, delay: timedelta, awaitable: Awaitable[T], refusal: Callable[[], Exception]) -> T:
        """Its result if that comes within `delay`; otherwise it is cancelled and `refusal()` raised."""
        ...


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...
