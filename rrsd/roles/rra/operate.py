"""What an operator may do with pulls, and what a waiting reader causes. Every verb is idempotent and audited."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Conflict, Damaged, Forbidden, Refusal, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import Adjustment, Breaker, Change, Counts, Fetch, HistoryRow, Job, Priority, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.breakers import WAKE_INTERVAL
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.explain import Explanation, explain
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.ports import Audit, Bell, Queue, Subjects, Timers
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.runtime.expiring import Expiring

VERBS = {"retry-now": "woken", "hold": "held", "release": "released", "cancel": "cancelled"}
"""The operator's verbs and the events that they are."""
LOOK_AGAIN = timedelta(milliseconds=200)
AT_ONCE = 500
MOST_HISTORY = 200
MOST_CHANGES = 200
MOST_NUMBER = (1 << 63) - 1
MOST_HURRIED = 10_000
TRIES = 3


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
    """Looks into the queue and moves jobs by hand."""

    queue: Queue
    scheduler: Scheduler
    transfers: Transfers
    delegations: Delegations
    subjects: Subjects
    timers: Timers
    bell: Bell
    feed: Feed
    audit: Audit
    _hurried: Expiring[str, bool] = field(factory=lambda: Expiring(MOST_HURRIED), init=False)

    async def counts(self) -> Counts:
        """The queue in numbers."""
        return await self.queue.counts()

    async def jobs(self, state: State | None, origin: Origin | None, after: int, most: int) -> Sequence[Job]:
        """Jobs by number, those after `after`, at most `most` (500)."""
        return await self.queue.jobs(state, origin, after, min(most, AT_ONCE))

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
        breaker = self.scheduler.health.of(job.origin)
        return Shown(job, fetch, history, explain(job, breaker, self.timers.now()), await self.done(job))

    async def done(self, job: Job) -> int:
        """How many of the job's bytes are here: all, those in the growing file, or those that are durable."""
        if job.state in rules.ARRIVED:
            return job.size
        transfer = self.transfers.of(job)
        if transfer is not None:
            return transfer.done
        return (await self.queue.fetch(job.origin, job.digest)).offset

    async def act(self, verb: str, number: int) -> Job:
        """The job after the verb; a job that the verb would not change stays as it is. One that is being pulled is
        still LEASED here: it changes when its attempt has ended.

        Raises:
            Unknown: there is no such job.
            Conflict: its state does not allow it, or changes all the time.
        """
        event = VERBS[verb]
        for tried in range(TRIES):
            job = await self.find(number)
            if (job.state, event) in _SETTLED:
                return job
            _require_possible(job, event)
            if not tried:
                self._record(verb, job)
            moved = await self._move(job, event)
            if moved is not None:
                self.bell.ring()
                return moved
        raise Conflict("the job changes all the time")

    async def act_on_all(self, verb: str, state: State | None, origin: Origin | None) -> tuple[int, int]:
        """Apply the verb to every job (in the state, of the origin): to how many, and how many did not allow it."""
        applied = refused = after = 0
        while jobs := await self.queue.jobs(state, origin, after, AT_ONCE):
            for job in jobs:
                try:
                    await self.act(verb, job.job)
                    applied += 1
                except (Conflict, Unknown, Damaged):
                    refused += 1
            after = jobs[-1].job
        return applied, refused

    async def _move(self, job: Job, event: str) -> Job | None:
        """The job after the event; None when it became another one meanwhile."""
        if event == "woken":
            return await self._retry(job)
        if job.state is not State.LEASED:
            return await self._change(job, event, job.priority)
        return job if await self.scheduler.wishes.interrupt(job, event) else None

    async def _retry(self, job: Job) -> Job | None:
        """As "woken", for one that is READY too: it may be due later, or its destination left alone."""
        if job.condition == "receipt":
            await self.queue.receipt_again(job.job, self.timers.now())
            self.scheduler.outbox.ring()
            return await self.find(job.job)
        await self.scheduler.wake(job.origin)
        job = await self.find(job.job)
        if (job.state, "woken") in rules.TABLE:
            return await self._change(job, "woken", job.priority)
        waits = job.due is None or job.due > self.timers.now()
        if job.state in (State.NEW, State.READY) and waits:
            return await self._change(job, "hurried", job.priority)
        return job

    async def _change(self, job: Job, event: str, priority: Priority) -> Job | None:
        now = self.timers.now()
        changed = evolve(rules.moved(job, event, now), priority=priority)
        try:
            await self.queue.change([Change(changed, event, now, job.state)])
        except Conflict:
            return None
        self.feed.changed(changed)
        return changed

    async def delegate(self, user: Address, origin: Origin) -> str:
        """A delegation for the user at any resource server, bound to the agent's certificate.

        Raises:
            Unknown, Forbidden: there is no such user, or it is suspended; the detail says who, and what to do.
            Forbidden: the token service will not issue one.
            Unavailable, TooMany: it cannot answer now.
        """
        asked = Event(
            "operate", "granted", who="operator", subject=str(user), resource=str(origin), evidence="delegate"
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

    def _record(self, verb: str, job: Job) -> None:
        self.audit.record(
            Event(
                "operate",
                "granted",
                who="operator",
                subject=str(job.recipient),
                peer=str(job.origin),
                resource=f"pull {job.job}",
                evidence=verb,
            )
        )

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
        return await self._change(job, "hurried", Priority.INTERACTIVE) is not None

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

    async def find(self, number: int) -> Job:
        """The job. Refuses with Unknown or Damaged."""
        if number > MOST_NUMBER:
            raise Unknown("job")
        return await self.queue.find(number)

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


def _require_possible(job: Job, event: str) -> None:
    """Returns None if the job's state allows the event; to wake one that is due or being pulled already is no mistake.

    Raises:
        Conflict: it does not.
    """
    if event == "woken" and job.condition == "receipt":
        return
    if event != "woken" or job.state not in (State.NEW, State.READY, State.LEASED):
        rules.after(job.state, event)


_SETTLED = frozenset(
    {
        (State.HELD, "held"),
        (State.READY, "released"),
        (State.NEW, "released"),
        (State.LEASED, "released"),
        (State.CANCELLED, "cancelled"),
    }
)
"""Verbs that find their work done."""
