"""What an operator may do with pulls, and what a waiting reader causes. Every verb is idempotent and audited."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Forbidden, Refusal, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import Adjustment, Breaker, Counts, Fetch, HistoryRow, Job, Priority, State
from rrsd.core.values.operations import Filter, Page, ShapeRow
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.acting import OPERATOR, Acts, Given
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.breakers import WAKE_INTERVAL
from rrsd.roles.rra.bulk import Bulk
from rrsd.roles.rra.circumstances import Circumstances
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.explain import Explanation
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.governing import Governing
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.ports import Audit, Bell, Queue, Subjects, Timers
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.runtime.expiring import Expiring

LOOK_AGAIN = timedelta(milliseconds=200)
AT_ONCE = 500
AGES = tuple(timedelta(minutes=each) for each in (5, 20, 60, 240, 720, 1440, 4320, 10080))
"""The columns of `shape`: up to so old; what is older has the last one."""
MOST_HISTORY = 200
MOST_CHANGES = 200
MOST_HURRIED = 10_000


@frozen
class Shown:
    """Everything about one job."""

    job: Job
    fetch: Fetch
    history: Sequence[HistoryRow]
    explanation: Explanation
    done: int


@define(eq=False, kw_only=True)
class Operations:
    """Looks into the queue; `acts`, `bulk` and `governing` have the verbs that change something."""

    queue: Queue
    books: Books
    scheduler: Scheduler
    transfers: Transfers
    delegations: Delegations
    subjects: Subjects
    timers: Timers
    bell: Bell
    feed: Feed
    audit: Audit
    acts: Acts = field(init=False)
    bulk: Bulk = field(init=False)
    governing: Governing = field(init=False)
    circumstances: Circumstances = field(init=False)
    _hurried: Expiring[str, bool] = field(factory=lambda: Expiring(MOST_HURRIED), init=False)

    def __attrs_post_init__(self) -> None:
        queue, books, scheduler, timers = self.queue, self.books, self.scheduler, self.timers
        self.acts = Acts(
            queue=queue, books=books, scheduler=scheduler, timers=timers, bell=self.bell, feed=self.feed,
            audit=self.audit,
        )  # fmt: skip
        self.bulk = Bulk(acts=self.acts, books=books, timers=timers, audit=self.audit)
        self.governing = Governing(
            queue=queue, books=books, scheduler=scheduler, timers=timers, bell=self.bell, audit=self.audit
        )
        self.circumstances = Circumstances(
            queue=queue, books=books, scheduler=scheduler, transfers=self.transfers, timers=timers
        )

    async def counts(self) -> Counts:
        """The queue in numbers."""
        return await self.queue.counts()

    async def jobs(self, wanted: Filter, after: int, most: int) -> Page:
        """Jobs by number, those after `after`, at most `most` (500)."""
        return await self.books.chosen(wanted, after, min(most, AT_ONCE))

    async def shape(self, most: int) -> Sequence[ShapeRow]:
        """How many live jobs of each destination are how old (`AGES`)."""
        now = self.timers.now()
        return await self.books.shape([now - age for age in AGES], most)

    def destinations(self, name: str) -> Sequence[Breaker]:
        """What is known of the destination or issuer of that name, of all when it is ""; those that are well and have
        earned nothing are not among them."""
        return [each for each in self.scheduler.health.all() if name in ("", each.name)]

    async def adjustments(self, name: str) -> Sequence[Adjustment]:
        """Their newest changes, each with its reason, newest first."""
        return await self.queue.adjustments(name, MOST_CHANGES)

    async def show(self, number: int) -> Shown:
        """Everything about the job. Refuses with Unknown or Damaged."""
        job = await self.find(number)
        fetch = await self.queue.fetch(job.origin, job.digest)
        history = await self.queue.history(number, MOST_HISTORY)
        explanation = await self.circumstances.explain(job)
        return Shown(job, fetch, history, explanation, await self.done(job))

    async def explain(self, number: int) -> Explanation:
        """Why the job is where it is. Refuses with Unknown or Damaged."""
        return await self.circumstances.explain(await self.find(number))

    async def done(self, job: Job) -> int:
        """How many of the job's bytes are here: all, those in the growing file, or those that are durable; none of one
        that has ended without them, whatever another brings."""
        if job.state in rules.TERMINAL | rules.ARRIVED:
            return job.size if job.state in rules.ARRIVED else 0
        transfer = self.transfers.of(job)
        if transfer is not None:
            return transfer.done
        return (await self.queue.fetch(job.origin, job.digest)).offset

    async def delegate(self, user: Address, origin: Origin, who: str = OPERATOR) -> str:
        """A delegation for the user at any resource server, bound to the agent's certificate.

        Raises:
            Unknown, Forbidden: there is no such user, or it is suspended; the detail says who, and what to do.
            Forbidden: the token service will not issue one.
            Unavailable, TooMany: it cannot answer now.
        """
        asked = Event(
            "operate", "granted", who=who, subject=str(user), resource=str(origin), evidence="delegate"
        )  # fmt: skip
        try:
            await self._require_ours(user)
        except Refusal as refusal:
            why = f"delegate: {refusal.detail}"
            self.audit.record(evolve(asked, outcome="refused", refusal=refusal.reason, evidence=why))
            raise
        self.audit.record(asked)
        return await self.delegations.of(user, origin)

    async def _require_ours(self, user: Address) -> None:
        try:
            await self.subjects.require_active(user)
        except Unknown:
            raise Unknown(f"{user} is no user of this domain; rrsctl users list shows who is") from None
        except Forbidden:
            raise Forbidden(f"{user} is suspended; rrsctl users resume {user} ends that") from None

    # --- for a reader who waits (protocol: "raises its priority and streams it while it is being stored")

    async def hurry(self, number: int, access_token: str | None) -> None:
        """Somebody waits for the job: it goes first, and the reader's own token serves for the exchange where none of
        the agent's is at hand. What cannot be hurried stays as it is.

        However often somebody asks, STS and resource server notice it once in 10 s at most.
        """
        job = await self.find(number)
        if (job.state, "hurried") not in rules.TABLE and job.state is not State.LEASED:
            return
        # A reader's token is about the reader: for an address with an extension it would be exchanged in vain.
        if access_token is not None and job.granted is None and self._is_first(f"{job.recipient.key} {job.origin} sts"):
            await self._exchange(job, access_token)
            job = await self.find(number)
        if await self._is_hurried(job):
            self.scheduler.wishes.overtake(job)
            self.bell.ring()

    async def _is_hurried(self, job: Job) -> bool:
        """Whether the job is to go first from now on, and was not before."""
        if job.state is State.LEASED:
            return True
        hurried = job.priority is Priority.INTERACTIVE and job.state is State.READY
        if hurried or (job.state, "hurried") not in rules.TABLE or not self._may_hurry(job):
            return False
        return await self.acts.change(job, "hurried", Priority.INTERACTIVE) is not None

    def _may_hurry(self, job: Job) -> bool:
        """Whether another attempt now is no more than one in 10 s: of this job, or, where the resource server said no,
        of this recipient there."""
        if job.state in (State.NEW, State.READY):
            return True
        refused = job.state is State.NEEDS_AUTH
        return self._is_first(f"{job.recipient.key} {job.origin} rs" if refused else str(job.job))

    def _is_first(self, key: str) -> bool:
        now = self.timers.monotonic()
        if self._hurried.get(key, now) is not None:
            return False
        self._hurried.put(key, True, now + WAKE_INTERVAL.total_seconds())
        return True

    async def _exchange(self, job: Job, access_token: str) -> None:
        """A 3-legged exchange is a courtesy here: where it is refused, the attempt makes its own, 2-legged."""
        try:
            await self.delegations.of(job.recipient, job.origin, access_token)
        except Refusal:
            return

    async def act(self, verb: str, number: int, who: str = OPERATOR, given: Given | None = None) -> Job:
        """The job after the verb; as `Acts.act`."""
        return await self.acts.act(verb, number, who, given)

    async def find(self, number: int) -> Job:
        """The job. Refuses with Unknown or Damaged."""
        return await self.acts.find(number)

    async def progress(self, number: int) -> Transfer | None:
        """The transfer that brings the job's bytes this moment."""
        return self.transfers.of(await self.find(number))

    async def settled(self, number: int, within: timedelta) -> Job:
        """The job as soon as its bytes are here or no attempt can bring them soon; as it is after `within`
        otherwise."""
        end = self.timers.monotonic() + within.total_seconds()
        while True:
            job = await self.find(number)
            moving = job.state in (State.NEW, State.READY, State.LEASED)
            if not moving or self.timers.monotonic() >= end:
                return job
            await self.timers.sleep(LOOK_AGAIN)
