"""Which pull runs when. Who is next: `picker` and `fairness`; what an attempt's end makes of its job: `settling`; what
others want of leased jobs: `wishes`.

A destination's jobs wait in a lane, leased ahead of its runners so that small resources do not pay for a lease each.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import NoSpace, Refusal, Unavailable
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, Lease, State, Taken
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.admission import Admission
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.health import PAUSE, Health
from rrsd.roles.rra.house import House, Seat
from rrsd.roles.rra.lanes import AHEAD, Lane
from rrsd.roles.rra.picker import Pick, Picker
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.roles.rra.settling import Settling
from rrsd.roles.rra.wishes import Wishes
from rrsd.runtime.timers import SLACK

LONGEST_SLEEP = timedelta(minutes=5)
TOO_SLOW = "less than 16 KiB/s for five minutes, and as many slow transfers as may run at once do already"


@define(eq=False, kw_only=True)
class Scheduler:
    """Fills free slots with due jobs."""

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
    settling: Settling = field(init=False)
    wishes: Wishes = field(init=False)
    admission: Admission = field(init=False)
    _lanes: dict[Origin, Lane] = field(factory=dict, init=False)
    _seats: dict[int, tuple[Lane, Seat]] = field(factory=dict, init=False)
    _probing: int = field(default=0, init=False)
    was_ahead: bool = field(default=False, init=False)
    """Whether the clock was set back since the last run: what that one has put off may be put off far too long."""
    _behind: bool = field(default=False, init=False)
    """There may be leases that nobody works on."""

    def __attrs_post_init__(self) -> None:
        settings = self.health.settings
        self.house = House(active=settings.active, per_recipient=settings.active_per_recipient)
        self.picker = Picker(queue=self.queue, health=self.health, house=self.house, lanes=self._lanes)
        self.settling = Settling(
            queue=self.queue,
            health=self.health,
            picker=self.picker,
            transfers=self.puller.transfers,
            timers=self.timers,
            bell=self.bell,
            outbox=self.outbox,
            feed=self.feed,
            audit=self.audit,
        )
        self.admission = Admission(settling=self.settling, quota=settings.quota)
        self.wishes = Wishes(settling=self.settling, house=self.house, lanes=self._lanes, seats=self._seats)

    async def recover(self) -> int:
        """Take up what a crash or a stop left: leases become ready again, breakers stay; how many leases there were.

        Where that cannot be written now it is the first thing that is: a full disk keeps no daemon from starting.
        """
        await self.health.recall()
        latest, now = await self.queue.latest(), self.timers.now()
        self.was_ahead = latest is not None and latest - now > timedelta(seconds=SLACK)
        try:
            return await self.queue.recover(now)
        except (NoSpace, Unavailable):
            self._behind = True
            self.health.pause()
            return 0

    async def run(self) -> None:
        """Work until cancelled; where the queue cannot be read or written, pause and go on."""
        while not self.settling.is_stopping:
            try:
                sleep = await self.round()
            except Refusal:
                self.health.pause()
                sleep = PAUSE
            await self.bell.wait(sleep)

    def stop(self) -> None:
        """Begin nothing new; attempts that are cancelled from now on go back into the queue."""
        self.settling.is_stopping = True

    def running(self, origin: Origin) -> int:
        """How many transfers from there are under way."""
        lane = self._lanes.get(origin)
        return lane.running if lane is not None else 0

    def lane(self, origin: Origin) -> Lane | None:
        """What is leased of the destination."""
        return self._lanes.get(origin)

    @property
    def is_probing(self) -> bool:
        """Whether all wait for the one that shows if the token service answers again."""
        return self.health.on_probation and self._probing > 0

    def is_leased_ahead(self, job: Job) -> bool:
        """Whether the job is leased and waits for one of its destination's runners."""
        lane = self._lanes.get(job.origin)
        return lane is not None and any(lease.job.job == job.job for lease in lane.waiting)

    def is_busy(self) -> bool:
        """Whether leased jobs wait for a slot."""
        return any(lane.waiting for lane in self._lanes.values())

    async def round(self) -> timedelta:
        """Fill the free slots once; how long to sleep when nobody rings."""
        now = self.timers.now()
        held_back = self.health.held_back(now)
        if held_back is not None:
            return held_back
        if self._behind:
            held = [number for lane in self._lanes.values() for number in lane.held.values()]
            await self.queue.recover(now, held)
            self._behind = False
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
        probes = await self.queue.probe(origin, now, frozenset(lane.held))
        for lease in (await self._take(probes, now)).leases:
            self._run(lane, lease, self.house.seat(lease.job, is_unproved=True))

    async def _start(self, picks: Sequence[Pick], now: Instant) -> None:
        """Lease what was picked; a runner for each seat, the rest waits for one of them."""
        if not picks:
            return
        seats = {pick.candidate.job: pick.seat for pick in picks}
        try:
            taken = await self._take([pick.candidate.job for pick in picks], now)
        except BaseException:
            self._free(seats.values())
            self.picker.fair.add([pick.candidate for pick in picks], now)
            raise
        runs = []
        self.picker.give_back([pick.candidate for pick in picks], {short.job.job for short in taken.short}, now)
        for lease in taken.leases:
            lane, seat = self._lanes.setdefault(lease.job.origin, Lane()), seats.pop(lease.job.job)
            lane.add([lease])
            if seat is not None:
                runs.append((lane, lease, seat))
        self._free(seats.values())  # those have gone meanwhile
        for run in runs:
            self._begin(*run, now)
        for lane in {id(lane): lane for lane, _, _ in runs}.values():
            await self._leave(lane)

    async def _take(self, jobs: Sequence[int], now: Instant) -> Taken:
        """What is leased of the jobs. A write that failed may have reached the disk all the same."""
        try:
            return await self.admission.take(jobs, now)
        except BaseException:
            self._behind = True
            raise

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
        if lane.waiting and not self.settling.is_stopping and (lane.overtaken or not lane.running):
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
        if self.settling.is_stopping or self.health.on_probation or lane.overtaken:
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
        if not await self.settling.commit(changes):
            for each in changes:
                await self.settling.commit([each])

    async def _one(self, lane: Lane, lease: Lease, seat: Seat, probes: bool) -> None:
        self._probing += probes
        self._seats[lease.job.job] = lane, seat
        try:
            await self._attempt(lease, lane)
        finally:
            self._probing -= probes
            del self._seats[lease.job.job]
            lane.held.pop(lease.job.digest, None)

    async def _attempt(self, lease: Lease, lane: Lane) -> None:
        result = Result(Outcome.OURSELVES, "an unexpected failure; the log has it under this job")
        started = self.timers.monotonic()
        self.feed.started(lease.job)
        try:
            result = await self.puller.attempt(lease)
        finally:
            if self.settling.is_stopping and result.outcome is Outcome.OURSELVES:
                result = Result(Outcome.INTERRUPTED, "the daemon stopped")
            if lease.job.job in self.wishes.cut and result.outcome is Outcome.INTERRUPTED:
                result = evolve(result, evidence=TOO_SLOW)
            self.wishes.cut.discard(lease.job.job)
            await self.settling.settle(lease, result, started, lane.running)

    async def wake(self, origin: Origin) -> int:
        """Jobs that wait for the destination run now, and its breaker lets a probe through; at most once in 10 s."""
        return await self.settling.wake(origin)
