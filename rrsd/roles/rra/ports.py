"""What the Resource Retrieval Agent needs from outside."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import (
    Adjustment,
    Ask,
    Breaker,
    Change,
    Counts,
    Fetch,
    HistoryRow,
    Job,
    Lease,
    Looked,
    PendingReceipt,
    State,
    Taken,
)
from rrsd.core.values.messages import Message
from rrsd.core.values.operations import Ruling
from rrsd.core.values.peers import Certificate, Introduction, Origin
from rrsd.core.values.resources import Checkpoint
from rrsd.core.values.tokens import Kind, VerifiedAccess
from rrsd.roles.rra.ports_bytes import Blobs as Blobs
from rrsd.roles.rra.ports_bytes import Partial as Partial
from rrsd.roles.rra.ports_bytes import Remote as Remote
from rrsd.roles.rra.ports_bytes import Reply as Reply
from rrsd.roles.rra.ports_bytes import Sink as Sink


class Queue(Protocol):
    """The durable pull queue. Every change of state and its history row are one transaction."""

    async def accept(self, message: Message, jobs: Sequence[Job]) -> Message | None:
        """Store the message and its jobs in one transaction; `job` numbers are given here and come back in `parts`.
        None when this recipient has this `message` already: nothing changes."""
        ...

    async def has(self, message: Message) -> bool:
        """Whether this recipient has this `message` already."""
        ...

    async def latest(self) -> Instant | None:
        """The newest time that jobs and their history name, looking at the last thousand of each."""
        ...

    async def recover(self, now: Instant, held: Collection[int] = ()) -> int:
        """Turn every LEASED job but these into READY, due now, checkpoints kept (event "restarted"); how many."""
        ...

    async def eligible(self, now: Instant, most: int) -> Sequence[Origin]:
        """The destinations whose time has come, longest first: something is due there, or was when last heard of."""
        ...

    async def look(self, asks: Sequence[Ask], now: Instant) -> Sequence[Looked]:
        """What could run next of each of the destinations: of every recipient and class some, longest due first. None
        of them is `eligible` again before a job is added or changed there, its next job is due, or an hour has
        passed."""
        ...

    async def put_off(self, waits: Sequence[tuple[Origin, Instant]]) -> None:
        """These destinations are not `eligible` before their times, unless a job is added or changed there."""
        ...

    async def lease(self, origin: Origin, most: int, now: Instant, busy: frozenset[Digest]) -> Sequence[Lease]:
        """Up to `most` due jobs of the origin, LEASED from now on: `attempts` and the fetch's and the job's `epoch`
        one higher,
        never two with one digest, none whose digest is in `busy`; interactive first, then by `due`."""
        ...

    async def probe(self, origin: Origin, now: Instant, busy: frozenset[Digest]) -> Sequence[int]:
        """The number of the job to probe the origin with: of the next 64 the smallest, of equal ones that whose
        deadline is first; none when none is due."""
        ...

    async def take(self, jobs: Sequence[int], now: Instant, quota: int) -> Taken:
        """Those of the jobs that still wait and are due, LEASED as by `lease`; the caller minds digests. In the same
        transaction the bytes that are still to come are set apart, on the disk and of what each user may hold (`quota`
        bytes unless the user has a quota of their own; 0 is no limit), until the job is LEASED no more. Where they do
        not fit the job is left as it is. Refuses with NoSpace where the disk does not answer."""
        ...

    async def make_room(self, now: Instant, quota: int) -> int:
        """Wake (event "woken") those that wait for room, condition "quota" or "space", that there is now, a bounded
        number; how many."""
        ...

    async def recount(self) -> Sequence[tuple[str, int, int]]:
        """Count again what every user holds, and correct what was noted: who, what was noted, what it is."""
        ...

    async def next_due(self, now: Instant) -> Instant | None:
        """When the next destination becomes `eligible` after `now`."""
        ...

    async def change(self, changes: Sequence[Change]) -> None:
        """Write all of them or none; refuses with Conflict when a job is not in state `before` with the same epoch."""
        ...

    async def checkpoint(self, lease: Lease, validator: str, checkpoint: Checkpoint) -> None:
        """Add a durable checkpoint; refuses with Conflict when the fetch's epoch has moved on."""
        ...

    async def forget(self, lease: Lease) -> None:
        """Drop the fetch's checkpoints and validator: the next byte is byte 0; Conflict as above."""
        ...

    async def rewind(self, lease: Lease, offset: int) -> None:
        """Drop the checkpoints beyond `offset`; Conflict as above."""
        ...

    async def find(self, job: int) -> Job:
        """The job; refuses with Unknown, or Damaged when its row cannot be read."""
        ...

    async def jobs(self, state: State | None, origin: Origin | None, after: int, most: int) -> Sequence[Job]:
        """Jobs by number, those after `after`."""
        ...

    async def begun(self, after: int, most: int) -> Sequence[Job]:
        """Jobs that were leased and may still be, by number, those after `after`."""
        ...

    async def fetch(self, origin: Origin, digest: Digest) -> Fetch:
        """The shared transfer; a new one when there is none."""
        ...

    async def history(self, job: int, most: int) -> Sequence[HistoryRow]:
        """The job's newest transitions, `most` at most, oldest first."""
        ...

    async def counts(self) -> Counts:
        """The queue in numbers."""
        ...

    async def wake(self, now: Instant, origin: Origin | None, condition: str | None) -> int:
        """Make waiting jobs (DEFERRED, NEEDS_AUTH, NO_SPACE) READY, due now (event "woken"): those of the origin if
        one is given, those with the condition if one is given; how many. The origin is `eligible` now."""
        ...

    async def origins_of(self, sender: Domain, condition: str, most: int) -> Sequence[Origin]:
        """Where jobs of the sender's messages wait (DEFERRED, NEEDS_AUTH, NO_SPACE) with that condition."""
        ...

    async def wake_some(self, now: Instant, sender: Domain, origin: Origin, condition: str, most: int) -> int:
        """As `wake`, for jobs of that sender's messages, at most so many; the cost does not grow with the queue."""
        ...

    async def breakers(self, kind: str) -> Sequence[Breaker]:
        """The saved breakers of a kind: "destination" or "issuer"."""
        ...

    async def save_breaker(self, kind: str, breaker: Breaker, adjustment: Adjustment | None = None) -> None:
        """Remember a breaker by its name, and the change that led there; of each name the newest 20 are kept, 100,000
        in all."""
        ...

    async def adjustments(self, name: str, most: int) -> Sequence[Adjustment]:
        """The changes of the breakers of that name, of all when it is "", newest first."""
        ...

    async def watch(self, now: Instant, most: int) -> Sequence[Job]:
        """Jobs that are not over and not held whose deadlines are to be looked at, longest due first."""
        ...

    async def mend(self, beyond: Instant, now: Instant, most: int) -> int:
        """Let up to `most` waiting jobs that are due after `beyond` be due now; how many."""
        ...

    async def watch_anew(self, now: Instant, most: int) -> int:
        """Let the deadlines of up to `most` jobs that are to be looked at later be looked at now; how many."""
        ...

    async def watched(self, looks: Sequence[tuple[int, Instant]]) -> None:
        """Each of the jobs is to be looked at again then; for one whose deadline was moved meanwhile that is sooner
        than it needs, and never later."""
        ...

    async def rates(self, most: int) -> Sequence[tuple[str, float]]:
        """The newest saved rates of destinations in bytes per second, by the text of the origin, oldest first."""
        ...

    async def save_rate(self, origin: Origin, rate: float, now: Instant) -> None:
        """Remember a destination's rate."""

    async def rulings(self) -> Sequence[Ruling]:
        """What operators have laid down."""
        ...

    async def receipts_due(self, now: Instant, most: int) -> Sequence[PendingReceipt]:
        """Receipts whose time to be sent has come, earliest first."""
        ...

    async def receipts_sent(self, jobs: Sequence[int], now: Instant) -> None:
        """They were acknowledged: jobs become RECEIPTED (event "receipted") and leave the outbox."""
        ...

    async def receipts_deferred(self, receipts: Sequence[PendingReceipt], evidence: str, now: Instant) -> None:
        """They wait as they say now; one without a `due` is given up: its job stays STORED, with the condition
        "receipt" and the evidence (event "unheard")."""
        ...

    async def receipts_put_off(
        self, sender: Domain, origin: Origin, now: Instant, until: Instant, is_try: bool
    ) -> None:
        """What is due there waits until then; `is_try` is whether that counts as a try of each."""
        ...

    async def receipts_wake(self, sender: Domain, now: Instant, most: int) -> int:
        """Some of the sender's that wait and that nobody refused are due now; how many."""
        ...

    async def receipt_again(self, job: int, now: Instant) -> bool:
        """Tell the job's receipt again that was given up, under its old name; whether it was."""
        ...

    async def next_receipt(self) -> Instant | None:
        """When the next receipt is due."""
        ...


class Owing(Protocol):
    """What this domain's users have granted and nobody has fetched yet."""

    async def waiting(self, now: Instant, most: int) -> Sequence[tuple[Address, Domain]]:
        """The domains whose users may fetch something and have not, each with one of the senders; at most so many."""
        ...


class Mailbox(Protocol):
    """Messages by recipient, as the recipient's client sees them."""

    async def messages(self, recipient: Address, before: Instant | None, most: int) -> Sequence[Message]:
        """Newest first, parts with their state included."""
        ...

    async def message(self, recipient: Address, message: str) -> Message:
        """One of them; refuses with Unknown, also when it is another recipient's."""
        ...


class Trust(Protocol):
    """Who strangers and our own users are."""

    async def introduce(self, domain: Domain) -> Introduction:
        """Who speaks for the domain; refuses with Unproven, Unknown or Unavailable."""
        ...

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What an access token of our own domain proves; refuses with Malformed, Unproven, Expired, Unavailable."""
        ...


class AgentKey(Protocol):
    """The key of the agent's client certificate."""

    @property
    def certificate(self) -> Certificate:
        """The certificate that is presented on the way out."""
        ...

    def sign(self, typ: Kind | str, claims: Mapping[str, object]) -> str:
        """A compact JWS over `claims`."""
        ...


class Subjects(Protocol):
    """Whether an address is one of ours."""

    async def require_active(self, address: Address) -> None:
        """Returns None if it is; refuses with Unknown or Forbidden otherwise."""
        ...

    async def account(self, address: Address) -> Address:
        """Whose mailbox it is: the user's own address where it is one with an extension. Refuses as the store."""
        ...


class Timers(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    def monotonic(self) -> float: ...

    async def sleep(self, delay: timedelta) -> None: ...


class Bell(Protocol):
    """Wakes the one loop that waits on it."""

    def ring(self) -> None:
        """Wake the loop now, or let its next wait return at once."""
        ...

    async def wait(self, delay: timedelta | None) -> None:
        """Return when the bell rings or after `delay`."""
        ...


class Rates(Protocol):
    """How often somebody may ask."""

    def take(self, key: str) -> int:
        """0 if one more request of `key` is fine, otherwise in how many seconds it will be."""
        ...


class Flights(Protocol):
    """Shares one running question among all who ask it at the same time."""

    def share(self, key: str, ask: Callable[[], Awaitable[str]]) -> Awaitable[str]:
        """The answer of the one `ask` that runs for `key`; its refusal reaches everyone who waited."""
        ...


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...
