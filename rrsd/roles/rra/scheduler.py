"""Which pull runs when: due jobs, limits, and what an attempt's end makes of its job.

A destination's jobs wait in a lane, leased ahead of its runners so that small resources do not pay for a lease each.
"""

from bisect import bisect_right
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, NoSpace, Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Fetch, Job, Lease, State, partial_name
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.health import PAUSE, Health
from rrsd.roles.rra.lanes import Lane
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.rules import Outcome, Result

AHEAD = 32
"""Jobs leased beyond the free slots of a healthy destination."""
LONGEST_SLEEP = timedelta(minutes=5)
SETTLE_AGAIN = timedelta(seconds=5)
AT_ONCE = 500


@define(eq=False, kw_only=True)
class Scheduler:
    """Fills free slots with due jobs and writes down what becomes of them."""

    queue: Queue
    puller: Puller
    health: Health
    timers: Timers
    bell: Bell
    outbox: Bell
    feed: Feed
    audit: Audit
    spawn: Callable[[Coroutine[Any, Any, None], str], object]
    _lanes: dict[Origin, Lane] = field(factory=dict, init=False)
    _running: int = field(default=0, init=False)
    _probing: int = field(default=0, init=False)
    _last: str = field(default="", init=False)
    _orphans: dict[int, int] = field(factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)

    async def recover(self) -> int:
        """Take up what a crash or a stop left: leases become ready again, breakers stay; how many leases there were."""
        await self.health.recall()
        return await self.queue.recover(self.timers.now())

    async def run(self) -> None:
        """Work until cancelled; where the queue cannot be read or written, pause and go on."""
        while not self._stopping:
            try:
                sleep = await self.round()
            except Refusal:
                self.health.pause()
                sleep = PAUSE
            await self.bell.wait(sleep)

    def stop(self) -> None:
        """Begin nothing new; attempts that are cancelled from now on go back into the queue."""
        self._stopping = True

    def is_busy(self) -> bool:
        """Whether leased jobs wait for a slot."""
        return any(lane.waiting for lane in self._lanes.values())

    async def round(self) -> timedelta:
        """Fill the free slots once; how long to sleep when nobody rings."""
        now = self.timers.now()
        held_back = self.health.held_back(now)
        if held_back is not None:
            return held_back
        self._lanes = {origin: lane for origin, lane in self._lanes.items() if lane.running or lane.waiting}
        origins = await self.queue.due_origins(now)
        for origin in self._in_turn(origins):
            if self._room <= 0:
                break
            await self._fill(origin, now)
        due = await self.queue.next_due(now)
        times = [each - now for each in (*self.health.openings(now), due) if each is not None]
        return min([LONGEST_SLEEP, *times])

    def _in_turn(self, origins: Sequence[Origin]) -> list[Origin]:
        """All that have something to do; those after the one that was served last come first, so that a full house
        starves nobody."""
        turn = bisect_right(origins, self._last, key=str)
        due = frozenset(origins)
        begun = [origin for origin, lane in self._lanes.items() if lane.waiting and origin not in due]
        return [*begun, *origins[turn:], *origins[:turn]]

    @property
    def _room(self) -> int:
        """Runners that may still be started; one by one while nobody knows whether the issuer answers again."""
        room = self.health.settings.active - self._running
        return min(room, 1 - self._probing) if self.health.on_probation else room

    async def _fill(self, origin: Origin, now: Instant) -> None:
        lane = self._lanes.setdefault(origin, Lane())
        free = min(self.health.slots(origin, now) - lane.running, self._room)
        if free <= 0:
            return
        ahead = AHEAD if self.health.is_trusted(origin) else 0
        if len(lane.waiting) < max(free, ahead // 2):
            most = free + ahead - len(lane.waiting)
            lane.add(await self.queue.lease(origin, most, now, frozenset(lane.held)))
        for _ in range(min(free, len(lane.waiting))):
            self._last = str(origin)
            lane.running, self._running = lane.running + 1, self._running + 1
            self.spawn(self._work(origin, lane), f"pull from {origin}")

    async def _work(self, origin: Origin, lane: Lane) -> None:
        """One runner: it takes the lane's jobs until there are none or the destination may have fewer runners."""
        probes = self.health.on_probation
        try:
            while lane.waiting and not lane.overtaken and self._may_run(origin, lane, probes):
                lease = lane.waiting.popleft()
                if len(lane.waiting) == AHEAD // 4:
                    self.bell.ring()
                await self._one(lane, lease, probes)
                probes = False
        finally:
            lane.running, self._running = lane.running - 1, self._running - 1
            if lane.waiting and not self._stopping and (lane.overtaken or not lane.running):
                await self._give_back(lane)
            self.bell.ring()

    def _may_run(self, origin: Origin, lane: Lane, probes: bool) -> bool:
        if self._stopping or (self.health.on_probation and not probes):
            return False
        return lane.running <= self.health.slots(origin, self.timers.now())

    async def _give_back(self, lane: Lane) -> None:
        """What was leased ahead waits in the queue again, for others to go first or for better times."""
        now = self.timers.now()
        ready = [evolve(lease.job, state=State.READY, due=now) for lease in lane.clear()]
        changes = [Change(job, "returned", now, State.LEASED) for job in ready]
        if not await self._commit(changes):
            for each in changes:
                await self._commit([each])

    async def _one(self, lane: Lane, lease: Lease, probes: bool) -> None:
        self._probing += probes
        try:
            await self._attempt(lease, lane)
        finally:
            self._probing -= probes
            lane.held.pop(lease.job.digest, None)
            self.puller.transfers.take_wish(lease.job.job)

    async def _attempt(self, lease: Lease, lane: Lane) -> None:
        result = Result(Outcome.OURSELVES, "an unexpected failure; the log has it under this job")
        started = self.timers.monotonic()
        self.feed.started(lease.job)
        try:
            result = await self.puller.attempt(lease)
        finally:
            if self._stopping and result.outcome is Outcome.OURSELVES:
                result = Result(Outcome.INTERRUPTED, "the daemon stopped")
            await self._settle(lease, result, started, lane.running)

    async def _settle(self, lease: Lease, result: Result, started: float, used: int) -> None:
        """The job first, then what only saves probes: a lease without an end would wait for a restart."""
        now = self.timers.now()
        charged = self.health.charge(lease.job.origin, result, now, used)
        job = await self._write(lease.job, result, now)
        if job is not None:
            self.feed.changed(job)
            self._record(job, result, started)
        await self.health.save(charged)
        if charged.more_may_run:
            self.bell.ring()
        if charged.answers_again:
            await self._wake(lease.job.origin, now)

    async def _write(self, leased: Job, result: Result, now: Instant) -> Job | None:
        """The job after its attempt and after what somebody wished meanwhile; None when it was fenced off."""
        not_before = self.health.not_before(leased, result.outcome)
        planned = rules.plan(leased, result, now, self.health.chance(), not_before)
        job = planned.job
        stored = job.state is State.STORED
        changes = [
            Change(job, planned.event, now, State.LEASED, job.evidence, receipt=stored, forget=planned.forget),
        ]
        while True:
            wished = self._wished(job, now)
            if wished is not None:
                changes.append(wished)
                job = wished.job
            if not changes:
                break
            if not await self._commit(changes):
                return None
            changes = []
        if stored:
            self.outbox.ring()
        return job

    def _wished(self, job: Job, now: Instant) -> Change | None:
        event = self.puller.transfers.take_wish(job.job)
        if event is None or (job.state, event) not in rules.TABLE:
            return None
        return Change(moved(job, event, now), event, now, job.state)

    async def _commit(self, changes: Sequence[Change]) -> bool:
        """Until it is written; False when a job was fenced off, or the daemon stops and the next start recovers."""
        while True:
            try:
                await self.queue.change(changes)
                return True
            except Conflict:
                return False
            except (NoSpace, Unavailable):
                if self._stopping:
                    return False
                self.health.pause()
                await self.timers.sleep(SETTLE_AGAIN)

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

    # --- what others want

    async def wake(self, origin: Origin) -> int:
        """Jobs that wait for the destination run now, and its breaker lets a probe through; at most once in 10 s."""
        now = self.timers.now()
        charged = self.health.let_probe(origin, now)
        if charged is None:
            return 0
        await self.health.save(charged)
        return await self._wake(origin, now)

    async def _wake(self, origin: Origin, now: Instant) -> int:
        try:
            return await self.queue.wake(now, origin, "destination")
        except (NoSpace, Unavailable):
            self.health.pause()
            return 0
        finally:
            self.bell.ring()

    async def interrupt(self, job: Job, event: str) -> bool:
        """Let `event` happen to a leased job: at once if it only waits here, with its attempt's end if it runs; False
        if it is not here any more."""
        lane = self._lanes.get(job.origin)
        if lane is None or lane.held.get(job.digest) != job.job:
            return False
        lease = lane.take(job.job)
        if lease is None:
            await self.puller.transfers.interrupt(job.job, event)
            return True
        del lane.held[job.digest]
        now = self.timers.now()
        after = moved(lease.job, event, now)
        written = await self._commit([Change(after, event, now, State.LEASED)])
        self.feed.changed(after)
        return written

    def overtake(self, job: Job) -> None:
        """Somebody waits for the job: it goes before what its destination's runners would take next."""
        lane = self._lanes.get(job.origin)
        if lane is None:
            return
        lease = lane.take(job.job)
        if lease is not None:
            lane.waiting.appendleft(lease)
        elif lane.held.get(job.digest) != job.job:
            lane.overtaken = bool(lane.waiting)

    async def reclaim(self) -> int:
        """Give back leases that nobody here works on, found in two looks in a row; how many (promise R7)."""
        ours = {number for lane in self._lanes.values() for number in lane.held.values()}
        found: dict[int, int] = {}
        lost, after, now = 0, 0, self.timers.now()
        while jobs := await self.queue.jobs(State.LEASED, None, after, AT_ONCE):
            after = jobs[-1].job
            for job in jobs:
                if job.job in ours:
                    continue
                if self._orphans.get(job.job) == job.epoch:
                    ready = evolve(job, state=State.READY, due=now)
                    lost += await self._commit([Change(ready, "returned", now, State.LEASED, "nobody worked on it")])
                else:
                    found[job.job] = job.epoch
        self._orphans = found
        return lost

    async def partials(self) -> frozenset[str]:
        """Names of the files that a pull may still continue."""
        names: set[str] = set()
        for state in rules.UNFINISHED:
            after = 0
            while jobs := await self.queue.jobs(state, None, after, AT_ONCE):
                after = jobs[-1].job
                names.update(partial_name(Fetch(job.origin, job.digest)) for job in jobs if job.attempts)
        return frozenset(names)


def moved(job: Job, event: str, now: Instant) -> Job:
    """The job after an operator's or a reader's event.

    Raises:
        Conflict: its state does not allow it.
    """
    state = rules.after(job.state, event)
    due = now if state is State.READY else None
    return evolve(job, state=state, due=due, condition="operator" if state is State.HELD else "")
