"""What an attempt's end makes of its job, of the parties that it is charged to, and of those who wait behind them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, NoSpace, Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, Lease, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.endings import Endings
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.house import UNPROVED
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.picker import Picker
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.rules import Result

SETTLE_AGAIN = timedelta(seconds=5)


@define(eq=False, kw_only=True)
class Settling:
    """Writes down how attempts ended, and wakes those who may run because of it."""

    queue: Queue
    health: Health
    picker: Picker
    transfers: Transfers
    timers: Timers
    bell: Bell
    outbox: Bell
    feed: Feed
    audit: Audit
    endings: Endings = field(init=False)
    is_stopping: bool = field(default=False, init=False)
    _amended: dict[int, dict[str, Any]] = field(factory=dict, init=False)

    def amend(self, job: int, changes: Mapping[str, Any]) -> None:
        """What the leased job is to have when it is written next: its attempt began before somebody said so."""
        self._amended.setdefault(job, {}).update(changes)

    def amend_no_more(self, job: int) -> None:
        """It was written, or is leased no more."""
        self._amended.pop(job, None)

    def _as_amended(self, job: Job) -> Job:
        return evolve(job, **self._amended.get(job.job, {}))

    def __attrs_post_init__(self) -> None:
        self.endings = Endings(self.timers)

    async def settle(self, lease: Lease, result: Result, started: float, used: int) -> None:
        """The job first, then what only saves probes: a lease without an end would wait for a restart."""
        now = self.timers.now()
        charged = self.health.charge(lease.job.origin, result, now, used)
        self.endings.heard(lease.job.origin, result, self.timers.monotonic() - started)
        job = await self._write(lease.job, result, now)
        if job is not None:
            self.feed.changed(job)
            self._record(job, result, started)
        await self.health.save(charged)
        await self.health.rates.observed(lease.job.origin, result.moved, self.timers.monotonic() - started)
        if charged.more_may_run:
            self.bell.ring()
        if charged.closed_until is not None:
            self.picker.drop(lease.job.origin)
            await self._put_off(lease.job.origin, charged.closed_until)
        if charged.is_new_proof:
            self.picker.fair.release(UNPROVED, lease.job.origin)
        if charged.answers_again:
            await self._wake(lease.job.origin, now)

    async def _put_off(self, origin: Origin, until: Instant) -> None:
        try:
            await self.queue.put_off([(origin, until)])
        except (NoSpace, Unavailable):
            self.health.pause()  # it is looked at and put off again

    async def _write(self, leased: Job, result: Result, now: Instant) -> Job | None:
        """The job after its attempt; None when it was fenced off: an operator has moved it meanwhile."""
        leased = self._as_amended(leased)
        not_before = self.health.not_before(leased, result.outcome)
        leased = await self._with_its_end(leased) if now >= leased.deadline else leased
        ends = not self.endings.grace()
        planned = rules.plan(leased, result, now, self.health.chance(), not_before, ends)
        job, stored = planned.job, planned.job.state is State.STORED
        change = Change(job, planned.event, now, State.LEASED, job.evidence, receipt=stored, forget=planned.forget)
        if not await self.commit([change]):
            return None
        if stored:
            self.outbox.ring()
        return job

    async def _with_its_end(self, leased: Job) -> Job:
        """The job with the deadline that it has by now: it may have been given more time while its attempt ran."""
        try:
            found = await self.queue.find(leased.job)
        except Refusal:
            return leased
        return evolve(leased, deadline=found.deadline, not_after=found.not_after, at_risk=found.at_risk)

    async def commit(self, changes: Sequence[Change]) -> bool:
        """Until it is written; False when a job was fenced off, or the daemon stops and the next start recovers."""
        while True:
            try:
                await self.queue.change([evolve(each, job=self._as_amended(each.job)) for each in changes])
            except Conflict:
                is_written = False
            except (NoSpace, Unavailable):
                if self.is_stopping:
                    return False
                self.health.pause()
                await self.timers.sleep(SETTLE_AGAIN)
                continue
            else:
                is_written = True
            for each in changes:
                self.amend_no_more(each.job.job)
            return is_written

    def _record(self, job: Job, result: Result, started: float) -> None:
        outcome = "granted" if job.state is State.STORED else "failed"
        event = Event(
            "pull",
            outcome,
            who=str(job.recipient),
            subject=str(job.subject),
            peer=str(job.origin),
            resource=job.digest.ni,
            refusal="" if outcome == "granted" else result.outcome,
            evidence=result.evidence,
            took=self.timers.monotonic() - started,
            size=job.size,
        )
        try:
            self.audit.record(event)
        except Unavailable:
            self.health.pause()  # nothing is decided without a trace

    async def wake(self, origin: Origin) -> int:
        """Jobs that wait for the destination run now, and its breaker lets a probe through; at most once in 10 s."""
        now = self.timers.now()
        charged = self.health.let_probe(origin, now)
        if charged is not None:
            await self.health.save(charged)
        return await self._wake(origin, now) if charged is not None else 0

    async def _wake(self, origin: Origin, now: Instant) -> int:
        try:
            return await self.queue.wake(now, origin, "destination")
        except (NoSpace, Unavailable):
            self.health.pause()
            return 0
        finally:
            self.bell.ring()
