"""What an operator may do with pulls, and what a waiting reader causes. Every verb is idempotent and audited."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve, frozen

from rrsd.core.refusals import Conflict, Refusal
from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import Change, Counts, Fetch, HistoryRow, Job, Priority, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.explain import Explanation, explain
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler

VERBS = {"retry-now": "woken", "hold": "held", "release": "released", "cancel": "cancelled"}
"""The operator's verbs and the events that they are."""
LOOK_AGAIN = timedelta(milliseconds=200)
AT_ONCE = 500
MOST_HISTORY = 200


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
    timers: Timers
    bell: Bell
    feed: Feed
    audit: Audit

    async def counts(self) -> Counts:
        """The queue in numbers."""
        return await self.queue.counts()

    async def jobs(self, state: State | None, origin: Origin | None, after: int, most: int) -> Sequence[Job]:
        """Jobs by number, those after `after`, at most `most` (500)."""
        return await self.queue.jobs(state, origin, after, min(most, AT_ONCE))

    async def show(self, number: int) -> Shown:
        """Everything about the job. Refuses with Unknown or Damaged."""
        job = await self.queue.find(number)
        fetch = await self.queue.fetch(job.origin, job.digest)
        history = await self.queue.history(number, MOST_HISTORY)
        breaker = next((each for each in self.scheduler.health() if each.name == str(job.origin)), None)
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
        """The job after the verb; a job that the verb would not change stays as it is.

        Raises:
            Unknown: there is no such job.
            Conflict: its state does not allow it.
        """
        job = await self.queue.find(number)
        event = VERBS[verb]
        if (job.state, event) in _SETTLED:
            return job
        if job.state is State.LEASED and event != "woken":
            await self.transfers.interrupt(number, event)
        elif job.state is not State.LEASED:
            job = await self._change(job, event)
        self._record(verb, job)
        self.bell.ring()
        return job

    async def act_on_all(self, verb: str, state: State | None, origin: Origin | None) -> tuple[int, int]:
        """Apply the verb to every job (in the state, of the origin): to how many, and how many did not allow it."""
        applied = refused = after = 0
        while jobs := await self.queue.jobs(state, origin, after, AT_ONCE):
            for job in jobs:
                try:
                    await self.act(verb, job.job)
                    applied += 1
                except Conflict:
                    refused += 1
            after = jobs[-1].job
        return applied, refused

    async def _change(self, job: Job, event: str) -> Job:
        now = self.timers.now()
        state = rules.after(job.state, event)
        due = now if state is State.READY else None
        condition = "operator" if state is State.HELD else ""
        priority = Priority.INTERACTIVE if event == "hurried" else job.priority
        changed = evolve(job, state=state, due=due, condition=condition, priority=priority)
        await self.queue.change([Change(changed, event, now, job.state)])
        if event == "woken":
            await self.scheduler.wake(job.origin)
        self.feed.changed(changed)
        return changed

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
        the agent's is at hand. What cannot be hurried stays as it is."""
        job = await self.queue.find(number)
        if access_token is not None and job.state not in rules.TERMINAL:
            await self._exchange(job, access_token)
        if job.priority is Priority.INTERACTIVE and job.state in (State.READY, State.LEASED):
            return
        if (job.state, "hurried") in rules.TABLE:
            try:
                await self._change(job, "hurried")
            except Conflict:
                return
            self.bell.ring()

    async def _exchange(self, job: Job, access_token: str) -> None:
        """A 3-legged exchange is a courtesy here: where it is refused, the attempt makes its own, 2-legged."""
        try:
            await self.delegations.of(job.recipient, job.origin, access_token)
        except Refusal:
            return

    async def find(self, number: int) -> Job:
        """The job. Refuses with Unknown."""
        return await self.queue.find(number)

    async def progress(self, number: int) -> Transfer | None:
        """The transfer that brings the job's bytes this moment."""
        return self.transfers.of(await self.queue.find(number))

    async def settled(self, number: int, within: timedelta) -> Job:
        """The job as soon as its bytes are here or no attempt can bring them soon; as it is after `within`
        otherwise."""
        end = self.timers.monotonic() + within.total_seconds()
        while True:
            job = await self.queue.find(number)
            moving = job.state in (State.NEW, State.READY, State.LEASED)
            if not moving or self.timers.monotonic() >= end:
                return job
            await self.timers.sleep(LOOK_AGAIN)


_SETTLED = frozenset(
    {
        (State.READY, "woken"),
        (State.NEW, "woken"),
        (State.HELD, "held"),
        (State.READY, "released"),
        (State.NEW, "released"),
        (State.CANCELLED, "cancelled"),
    }
)
"""Verbs that find their work done."""
