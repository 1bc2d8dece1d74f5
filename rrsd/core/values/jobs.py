"""The pull queue's nouns: jobs, fetches, destinations, and why each of them waits."""

from enum import StrEnum

from attrs import field, frozen

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Checkpoint


class State(StrEnum):
    """The persisted life of a pull job; `rrsd.roles.rra.rules.TABLE` says what leads where."""

    NEW = "new"
    READY = "ready"
    LEASED = "leased"
    STORED = "stored"
    RECEIPTED = "receipted"
    DEFERRED = "deferred"
    NEEDS_AUTH = "needs_auth"
    NO_SPACE = "no_space"
    HELD = "held"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"


ENDED = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED, State.QUARANTINED})
"""States that a pull ends in without its bytes."""


class Phase(StrEnum):
    """Where a leased job is; kept in memory and written into the evidence of its attempt."""

    INTRODUCE = "introduce"
    AUTH = "auth"
    CONNECT = "connect"
    BODY = "body"
    VERIFY = "verify"
    COMMIT = "commit"


class Blame(StrEnum):
    """Who a failed attempt is charged to; one party's failure never burns another's attempts."""

    NOBODY = "nobody"
    JOB = "job"
    DESTINATION = "destination"
    ISSUER = "issuer"
    OURSELVES = "ourselves"


class Priority(StrEnum):
    """The class of a job: interactive while somebody waits for it."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BULK = "bulk"


@frozen
class Job:
    """One attachment of one message for one recipient, to be pulled.

    `recipient` is whose mailbox it is for. `granted` is the address that the sender wrote and granted it to, where that
    is another one of theirs: with an extension.
    `due` is when it may run next, None when it waits for the condition that `condition` names. `retries` is the
    back-off exponent, `attempts` counts leases. `accepted` starts the lifetime that ends at `deadline`. `at_risk` is
    when it was first seen that the time until then will not do, None as long as it will. `held` is since when somebody
    holds it. `again` is the job that had ended and that this one does over, 0 for none.
    """

    job: int
    message: str
    index: int
    recipient: Address
    sender: Domain
    message_id: str
    origin: Origin
    digest: Digest
    size: int
    state: State
    priority: Priority
    accepted: Instant
    deadline: Instant
    due: Instant | None = None
    condition: str = ""
    retries: int = 0
    attempts: int = 0
    restarts: int = 0
    blame: Blame = Blame.NOBODY
    evidence: str = ""
    epoch: int = 0
    not_after: Instant | None = None
    stored: Instant | None = None
    granted: Address | None = None
    at_risk: Instant | None = None
    held: Instant | None = None
    again: int = 0

    @property
    def subject(self) -> Address:
        """Whom tokens and receipts name: the address that may have it."""
        return self.granted or self.recipient


@frozen
class Fetch:
    """The shared transfer of one resource from one resource server; at most one job leases it at a time.

    `epoch` grows with each lease and names the partial file. `checkpoints` are durable, oldest first. `validator` is
    the strong ETag that the bytes so far belong to, "" before the first answer.
    """

    origin: Origin
    digest: Digest
    epoch: int = 0
    validator: str = ""
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def offset(self) -> int:
        """How many bytes are durable."""
        return self.checkpoints[-1].offset if self.checkpoints else 0


def partial_name(fetch: Fetch) -> str:
    """The file name of the fetch's bytes so far: what is fetched from where, a full stop, the epoch that writes it."""
    return f"{digest_of(str(fetch.origin).encode() + fetch.digest.raw).b64}.{fetch.epoch}"


@frozen
class Lease:
    """A job taken out of the queue by the one attempt that may now write under `fetch.epoch`.

    `here` is False when there was nothing under the digest's final name yet.
    """

    job: Job
    fetch: Fetch
    here: bool = True


@frozen
class Shortage:
    """A job that was not leased, for there is no room: `condition` is "quota" or "space", `needed` the bytes that are
    still to come, `free` how many its user, or the disk, has left for it, `most` how many that could ever be."""

    job: Job
    condition: str
    needed: int
    free: int
    most: int


@frozen
class Taken:
    """The jobs that were leased, their bytes set apart, and those for which there is no room."""

    leases: tuple[Lease, ...]
    short: tuple[Shortage, ...] = ()


@frozen
class Holding:
    """What a user's pulls take up: bytes that have come or are set apart (`reserved` of them), and the user's own
    quota, None where the domain's holds, 0 where there is none."""

    held: int = 0
    reserved: int = 0
    quota: int | None = None


@frozen
class Candidate:
    """A job that may run, as the picker knows it; `recipient` is the text of the address, `due` since when it waits,
    `deadline` when its time is over."""

    job: int
    origin: Origin
    recipient: str
    digest: Digest
    size: int
    priority: Priority
    due: Instant
    deadline: Instant


@frozen
class Ask:
    """A question for up to `most` candidates of a destination, those that are `known` already left out."""

    origin: Origin
    most: int
    known: frozenset[int] = frozenset()


@frozen
class Looked:
    """The answer; `is_more` is whether more of them wait on disk."""

    origin: Origin
    candidates: tuple[Candidate, ...]
    is_more: bool


@frozen
class Change:
    """A job's new state with the history row that explains it; both are written in one transaction.

    `receipt` is whether the outbox gains a receipt for it. `forget` is whether the fetch's checkpoints are dropped.
    """

    job: Job
    event: str
    at: Instant
    before: State
    evidence: str = ""
    receipt: bool = False
    forget: bool = False


@frozen
class HistoryRow:
    """One transition of one job."""

    job: int
    at: Instant
    before: State
    after: State
    event: str
    evidence: str


@frozen
class Breaker:
    """The health of a destination or an issuer: closed while `not_before` is None or past.

    `failures` counts connection-class failures in a row; `cohorts` sums 1/limit over all failures in a row
    (pseudo-cohorts);
    `probes` counts the probes since it opened. `limit` is how many
    transfers it may have at once. `reason` says in words why it is as it is.

    `ceiling` is the limit that was last known to be borne when one more was too many, 0 when none is known; `patience`
    how many times as many good completions one more than that costs. The rest is of the moment and not stored:
    `earned` is the part of a further transfer that good completions have earned, `spared` how much more failures may
    cost before the next is taken, `taken` when the last one was, `blows` the failures since, and `starting` whether it
    recovers from an outage.
    """

    name: str
    failures: int = 0
    cohorts: float = 0.0
    opened: Instant | None = None
    not_before: Instant | None = None
    probes: int = 0
    limit: int = 4
    reason: str = ""
    ceiling: int = 0
    patience: int = 1
    earned: float = 0.0
    spared: float = 0.0
    taken: Instant | None = None
    blows: int = 0
    starting: bool = False


@frozen
class Adjustment:
    """One change of what a destination or an issuer may have at once, or of when it is asked again, and why.

    `before` and `after` are the limits; `until` is when it may be asked again if it is left alone.
    """

    kind: str
    name: str
    at: Instant
    event: str
    before: int
    after: int
    until: Instant | None
    reason: str


@frozen
class Counts:
    """The queue in numbers: jobs by state, and bytes still to come; bytes that users hold, each counted alone, those
    that are set apart on the disk and not written, and those that are still free."""

    by_state: dict[State, int] = field(factory=dict)
    bytes_waiting: int = 0
    held: int = 0
    reserved: int = 0
    free: int = 0


@frozen
class PendingReceipt:
    """A receipt that the sender's resource server has not acknowledged yet.

    It was tried `tries` times and refused `refusals` times; `is_alone` when it may spoil a request for others. `due` is
    None when it was given up.
    """

    job: int
    sender: Domain
    origin: Origin
    recipient: Address
    digest: Digest
    size: int
    stored: Instant
    message_id: str
    jti: str
    tries: int = 0
    refusals: int = 0
    is_alone: bool = False
    due: Instant | None = None
