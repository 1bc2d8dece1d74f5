"""Which pull runs when, and what an attempt's end makes of its job. Who is next: `picker` and `fairness`.

A destination's jobs wait in a lane, leased ahead of its runners so that small resources do not pay for a lease each.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, NoSpace, Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, Lease, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import rules
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.health import PAUSE, Health
from rrsd.roles.rra.house import UNPROVED, House, Seat
from rrsd.roles.rra.lanes import AHEAD, Lane
from rrsd.roles.rra.pace import Pace
from rrsd.roles.rra.picker import Pick, Picker
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.rules import Outcome, Result

LONGEST_SLEEP = timedelta(minutes=5)
SETTLE_AGAIN = timedelta(seconds=5)
AT_ONCE = 500
TOO_SLOW = "less than 16 KiB/s for five minutes, and as many slow transfers as may run at once do already"


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
    house: House = field(init=False)
    picker: Picker = field(init=False)
    _lanes: dict[Origin, Lane] = field(factory=dict, init=False)
    _seats: dict[int, tuple[Lane, Seat]] = field(factory=dict, init=False)
    _pace: Pace = field(factory=Pace, init=False)
    _cut: set[int] = field(factory=set, init=False)
    _probing: int = field(default=0, init=False)
    _orphans: dict[int, int] = field(factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        settings = self.health.settings
        self.house = House(active=settings.active, per_recipient=settings.active_per_recipient)
        self.picker = Picker(queue=self.queue, health=self.health, house=self.house, lanes=self._lanes)

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
        for origin in [origin for origin, lane in self._lanes.items() if lane.is_empty]:
            del self._lanes[origin]
        for origin in [origin for origin, lane in self._lanes.items() if lane.waiting]:
            self._staff(origin, self._lanes[origin], now)
        probes, is_more = await self.picker.refill(now)
        for origin in probes:
            await self._probe(origin, now)
        await self._start(self.picker.picks(self._room, now), now)
        if is_more:
            return timedelta(0)
        due = await self.queue.next_due(now) or now + LONGEST_SLEEP
        return min(LONGEST_SLEEP, due - now)

    @property
    def _room(self) -> int:
        """Runners that may still be started; one by one while nobody knows whether the issuer answers again."""
        room = self.house.room
        return min(room, 1 - self._probing) if self.health.on_probation else room

    def _staff(self, origin: Origin, lane: Lane, now: Instant) -> None:
        """More runners for what is leased, where the destination may have more by now."""
        is_unproved = self.picker.is_unproved(origin)
        while lane.waiting and self._room > 0 and lane.running < self.picker.limit(origin, now):
            lease = lane.next(lambda job: self.house.admits(job, is_unproved))
            if lease is None:
                return
            self._run(lane, lease, self.house.seat(lease.job, is_unproved))

    async def _probe(self, origin: Origin, now: Instant) -> None:
        """One attempt, the smallest, at a destination that was left alone."""
        lane = self._lanes.setdefault(origin, Lane())
        if lane.running or self._room <= 0:
            return
        for lease in await self.queue.probe(origin, now, frozenset(lane.held)):
            self._run(lane, lease, self.house.seat(lease.job, is_unproved=True))

    async def _start(self, picks: Sequence[Pick], now: Instant) -> None:
        """Lease what was picked; a runner for each seat, the rest waits for one of them."""
        if not picks:
            return
        seats = {pick.candidate.job: pick.seat for pick in picks}
        try:
            leases = await self.queue.take([pick.candidate.job for pick in picks], now)
        except BaseException:
            self._free(seats.values())
            self.picker.fair.add([pick.candidate for pick in picks], now)
            raise
        runs = []
        for lease in leases:
            lane, seat = self._lanes.setdefault(lease.job.origin, Lane()), seats.pop(lease.job.job)
            lane.add([lease])
            if seat is not None:
                runs.append((lane, lease, seat))
        self._free(seats.values())  # those have gone meanwhile
        for run in runs:
            self._begin(*run, now)
        for lane in {id(lane): lane for lane, _, _ in runs}.values():
            await self._leave(lane)

    def _begin(self, lane: Lane, lease: Lease, seat: Seat, now: Instant) -> None:
        """A runner for the lease, unless another has it already, or what happened since it was picked forbids it."""
        if lane.running < self.picker.limit(lease.job.origin, now) and lane.take(lease.job.job) is not None:
            self._run(lane, lease, seat)
        else:
            self._free([seat])

    def _free(self, seats: Iterable[Seat | None]) -> None:
        for seat in seats:
            if seat is not None:
                self.house.free(seat)

    def _run(self, lane: Lane, lease: Lease, seat: Seat) -> None:
        lane.hold(lease)
        lane.running += 1
        self.spawn(self._work(lane, lease, seat), f"pull from {lease.job.origin}")

    async def _leave(self, lane: Lane) -> None:
        """Leases that nobody runs, or that somebody else overtakes, go back."""
        if lane.waiting and not self._stopping and (lane.overtaken or not lane.running):
            await self._give_back(lane)

    async def _work(self, lane: Lane, lease: Lease, seat: Seat) -> None:
        """One runner: after its first job it takes the lane's until there are none or it may not run on."""
        origin, probes = lease.job.origin, self.health.on_probation
        following: Lease | None = lease
        try:
            while following is not None:
                if len(lane.waiting) == AHEAD // 4:
                    self.bell.ring()
                try:
                    await self._one(lane, following, seat, probes)
                finally:
                    self.house.free(seat)
                probes, following = False, None if seat.is_slow else self._following(lane, origin)
                if following is not None:
                    seat = self.house.seat(following.job, self.picker.is_unproved(origin))
        finally:
            lane.running -= not seat.is_slow
            await self._leave(lane)
            self.bell.ring()

    def _following(self, lane: Lane, origin: Origin) -> Lease | None:
        """What the runner goes on with."""
        if self._stopping or self.health.on_probation or lane.overtaken:
            return None
        if lane.running > self.picker.limit(origin, self.timers.now()):
            return None
        is_unproved = self.picker.is_unproved(origin)
        return lane.next(lambda job: self.house.admits(job, is_unproved))

    async def _give_back(self, lane: Lane) -> None:
        """What was leased ahead waits in the queue again, for others to go first or for better times."""
        now = self.timers.now()
        ready = [evolve(lease.job, state=State.READY, due=now) for lease in lane.clear()]
        changes = [Change(job, "returned", now, State.LEASED) for job in ready]
        if not await self._commit(changes):
            for each in changes:
                await self._commit([each])

    async def _one(self, lane: Lane, lease: Lease, seat: Seat, probes: bool) -> None:
        self._probing += probes
        self._seats[lease.job.job] = lane, seat
        try:
            await self._attempt(lease, lane)
        finally:
            self._probing -= probes
            del self._seats[lease.job.job]
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
            if lease.job.job in self._cut and result.outcome is Outcome.INTERRUPTED:
                result = evolve(result, evidence=TOO_SLOW)
            self._cut.discard(lease.job.job)
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
        return Change(rules.moved(job, event, now), event, now, job.state)

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
        after = rules.moved(lease.job, event, now)
        written = await self._commit([Change(after, event, now, State.LEASED)])
        self.feed.changed(after)
        return written

    def overtake(self, job: Job) -> None:
        """Somebody waits for the job: it goes before what its destination's runners would take next."""
        lane = self._lanes.get(job.origin)
        lease = lane.take(job.job) if lane is not None else None
        if lane is not None and lease is not None:
            lane.waiting.appendleft(lease)
        elif lane is None or lane.held.get(job.digest) != job.job:
            self.picker.add(job, self.timers.now())
            if lane is not None:
                lane.overtaken = bool(lane.waiting)

    async def slow_down(self) -> None:
        """Let transfers that drip go on beside the others, two of each destination; those beyond that go back into the
        queue with what they have."""
        done = {each.lease.job.job: each.done for each in self.puller.transfers.all()}
        for job in self._pace.slow(done, self.timers.monotonic()):
            lane, seat = self._seats.get(job, (None, None))
            if lane is None or seat is None or seat.is_slow:
                continue
            if self.house.slow_down(seat):
                lane.running -= 1
                self.bell.ring()
            else:
                self._cut.add(job)
                await self.puller.transfers.interrupt(job, "cut")

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
