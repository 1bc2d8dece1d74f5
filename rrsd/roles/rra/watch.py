"""Looks after deadlines: what is at risk is said and asked for before anything is lost, what is over ends.

Each job is looked at a few times in its life (`deadlines.next_look`), in the order of an index, so that a long queue
costs what is due in it.
"""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, NoSpace, Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Change, Job, State
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import CHUNK
from rrsd.roles.rra import breakers, deadlines
from rrsd.roles.rra.renewals import Renewer
from rrsd.roles.rra.scheduler import Scheduler

EVERY = timedelta(seconds=30)
BETWEEN = timedelta(milliseconds=50)
"""Between two pages of a long list, so that others have their turn."""
AT_ONCE = 200
LONGEST_WAIT = timedelta(seconds=breakers.MOST_RETRY_AFTER) * 1.1 + timedelta(hours=1)
"""The longest that anybody is told to wait, with its jitter, and an hour."""
RUNNING = timedelta(minutes=1)
"""A transfer that runs for so long tells its own rate."""


@define(eq=False)
class _Page:
    """What one page of jobs comes to."""

    looks: list[tuple[int, Instant]] = field(factory=list)
    changes: list[Change] = field(factory=list)
    worried: list[Job] = field(factory=list)
    asked: set[Origin] = field(factory=set)


@define(eq=False, kw_only=True)
class Watch:
    """The loop that looks at deadlines."""

    scheduler: Scheduler
    renewals: Renewer
    _is_mended: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Work until cancelled; where the queue cannot be read or written, wait and go on."""
        while True:
            try:
                await self.round()
            except Refusal:
                self.scheduler.health.pause()
            await self.scheduler.timers.sleep(EVERY)

    async def round(self) -> None:
        """Look at everything that is to be looked at now."""
        scheduler = self.scheduler
        if not self._is_mended:
            await self._mend(scheduler.timers.now())
        while jobs := await scheduler.queue.watch(scheduler.timers.now(), AT_ONCE):
            await self._look(jobs)
            if len(jobs) < AT_ONCE:
                return
            await scheduler.timers.sleep(BETWEEN)

    async def _mend(self, now: Instant) -> None:
        """Nobody is left alone for longer than a day, and nobody at all by a clock that has been set back since: what
        says so was written when it was ahead. In a process time does not go back, so once after its start is enough."""
        beyond = now if self.scheduler.was_ahead else now + LONGEST_WAIT
        await self.scheduler.health.forgive(beyond, now)
        while await self.scheduler.queue.mend(beyond, now, AT_ONCE) == AT_ONCE:
            await self.scheduler.timers.sleep(BETWEEN)
        while self.scheduler.was_ahead and await self.scheduler.queue.watch_anew(now, AT_ONCE) == AT_ONCE:
            await self.scheduler.timers.sleep(BETWEEN)
        self._is_mended = True
        self.scheduler.bell.ring()

    async def _look(self, jobs: Sequence[Job]) -> None:
        page, now = _Page(), self.scheduler.timers.now()
        grace = self.scheduler.settling.endings.grace()
        for job in jobs:
            if now >= job.deadline and job.state is not State.LEASED:
                self._overdue(job, page, grace, now)
            else:
                await self._weigh(job, page, now)
        await self._write(page.changes)
        await self.scheduler.queue.watched(page.looks)
        for origin in page.asked:
            await self._ask(origin, now)
        self.renewals.want(page.worried)

    # --- what may still arrive in time

    async def _weigh(self, job: Job, page: _Page, now: Instant) -> None:
        left, rate = await self._estimate(job, now)
        if deadlines.is_urgent(job.deadline, left, rate, now):
            self.scheduler.picker.press(job, now)
        rulings = self.scheduler.health.rulings
        is_paused = rulings.drained is not None or rulings.paused(job.origin) is not None
        hindrance = deadlines.hindrance_of(job, self._is_closed(job.origin, now), is_paused)
        reason = deadlines.risk(job, left, rate, hindrance, now)
        if reason and job.at_risk is None:
            job = evolve(job, at_risk=now)
            page.changes.append(Change(job, "at_risk", now, job.state, reason))
        if job.at_risk is not None:
            page.worried.append(job)
        page.looks.append((job.job, deadlines.next_look(job, left, rate, now)))

    async def _estimate(self, job: Job, now: Instant) -> tuple[int, float | None]:
        """How many bytes are still to come, and how fast they do: as those of this job, if it runs."""
        rate = self.scheduler.health.rates.of(job.origin)
        transfer = self.scheduler.puller.transfers.of(job)
        if transfer is not None:
            ran = now - transfer.started
            if ran >= RUNNING:
                rate = max(deadlines.LEAST_RATE, transfer.moved / ran.total_seconds())
            return job.size - transfer.done, rate
        if job.size <= CHUNK:
            return job.size, rate
        return job.size - (await self.scheduler.queue.fetch(job.origin, job.digest)).offset, rate

    def _is_closed(self, origin: Origin, now: Instant) -> bool:
        health = self.scheduler.health
        return health.is_half_open(origin) or health.closed_until(origin, now) is not None

    # --- what is over

    def _overdue(self, job: Job, page: _Page, grace: timedelta, now: Instant) -> None:
        """Its own attempt ends it, or that of another where its destination is left alone."""
        if not self._is_closed(job.origin, now):
            self.scheduler.picker.press(job, now)
        elif job.state is not State.NO_SPACE and not grace:
            verdict = self.scheduler.settling.endings.verdict(job)
            if verdict:
                over = evolve(job, state=State.EXPIRED, due=None, blame=Blame.DESTINATION, evidence=verdict)
                page.changes.append(Change(over, "expired", now, job.state, verdict))
            else:
                page.asked.add(job.origin)
        page.looks.append((job.job, now + max(deadlines.overdue_again(job, now), grace)))

    async def _ask(self, origin: Origin, now: Instant) -> None:
        """The final attempt: one probe goes through although the destination is left alone."""
        health = self.scheduler.health
        if not self.scheduler.settling.endings.may_ask(origin, health.closed_until(origin, now), now):
            return
        charged = health.let_probe(origin, now)
        if charged is not None:
            await health.save(charged)
            await self.scheduler.queue.put_off([(origin, now)])
            self.scheduler.bell.ring()

    # --- what is written

    async def _write(self, changes: Sequence[Change]) -> None:
        """All at once, or each by itself where one has become another meanwhile: that one is looked at again."""
        if not changes:
            return
        try:
            await self.scheduler.queue.change(changes)
            done = list(changes)
        except Conflict:
            done = [each for each in changes if await self._is_written(each)]
        for each in done:
            self.scheduler.feed.changed(each.job)
        self._record(done)

    async def _is_written(self, change: Change) -> bool:
        try:
            await self.scheduler.queue.change([change])
        except Conflict:
            return False
        return True

    def _record(self, changes: Sequence[Change]) -> None:
        """One line for each job at risk; one for all that end with one attempt at their destination."""
        events = [_at_risk(each.job, each.evidence) for each in changes if each.event == "at_risk"]
        ended: dict[tuple[Origin, str], list[Job]] = {}
        for each in changes:
            if each.event == "expired":
                ended.setdefault((each.job.origin, each.evidence), []).append(each.job)
        for (_, evidence), jobs in ended.items():
            events.append(_expired(jobs, evidence))
        try:
            for event in events:
                self.scheduler.audit.record(event)
        except (NoSpace, Unavailable):
            self.scheduler.health.pause()  # nothing is decided without a trace


def _at_risk(job: Job, reason: str) -> Event:
    return Event(
        "at_risk",
        "failed",
        who=str(job.recipient),
        peer=str(job.origin),
        resource=f"pull {job.job}",
        evidence=reason,
        size=job.size,
    )


def _expired(jobs: Sequence[Job], evidence: str) -> Event:
    about = f"{len(jobs)} pulls, {jobs[0].job} among them"
    return Event("expire", "failed", peer=str(jobs[0].origin), resource=about, evidence=evidence)
