"""Which pull runs when: due jobs, breakers, limits, and what an attempt's end makes of its job.

A destination's jobs wait in a lane, leased ahead of its runners so that small resources do not pay for a lease each.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, NoSpace, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, Change, Job, Lease, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import breakers, rules
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.flow import Puller
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.rules import Outcome, Planned, Result
from rrsd.roles.rra.settings import Settings

AHEAD = 32
"""Jobs leased beyond the free slots of a healthy destination."""
LONGEST_SLEEP = timedelta(minutes=5)
SETTLE_AGAIN = timedelta(seconds=5)
PAUSE = timedelta(seconds=30)
"""How long nothing new starts after this host could not store."""


@define(eq=False)
class Lane:
    """One destination's leased jobs and how many of them run."""

    waiting: deque[Lease] = field(factory=deque)
    running: int = 0
    busy: set[Digest] = field(factory=set)


@define(eq=False, kw_only=True)
class Scheduler:
    """Fills free slots with due jobs and writes down what becomes of them."""

    queue: Queue
    puller: Puller
    timers: Timers
    settings: Settings
    bell: Bell
    outbox: Bell
    feed: Feed
    audit: Audit
    chance: Callable[[], float]
    spawn: Callable[[Coroutine[Any, Any, None], str], object]
    _lanes: dict[Origin, Lane] = field(factory=dict, init=False)
    _destinations: dict[str, Breaker] = field(factory=dict, init=False)
    _issuer: Breaker = field(factory=lambda: Breaker("sts"), init=False)
    _paused: Instant | None = field(default=None, init=False)
    _woken: dict[Origin, Instant] = field(factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)

    async def recover(self) -> int:
        """Take up what a crash or a stop left: leases become ready again, breakers stay; how many leases there were."""
        self._destinations = {each.name: each for each in await self.queue.breakers("destination")}
        for each in await self.queue.breakers("issuer"):
            self._issuer = each
        return await self.queue.recover(self.timers.now())

    async def run(self) -> None:
        """Work until cancelled."""
        while not self._stopping:
            await self.bell.wait(await self.round())

    def stop(self) -> None:
        """Begin nothing new; attempts that are cancelled from now on go back into the queue."""
        self._stopping = True

    async def round(self) -> timedelta:
        """Fill the free slots once; how long to sleep when nobody rings."""
        now = self.timers.now()
        held_back = self._held_back(now)
        if held_back is not None:
            return held_back
        for origin in await self.queue.due_origins(now):
            await self._fill(origin, now)
        return await self._sleep(now)

    def _held_back(self, now: Instant) -> timedelta | None:
        until = [each for each in (self._paused, self._issuer.not_before) if each is not None and each > now]
        return max(until) - now if until else None

    async def _sleep(self, now: Instant) -> timedelta:
        wakes = [each.not_before for each in self._destinations.values() if breakers.is_open(each, now)]
        due = await self.queue.next_due(now)
        times = [each - now for each in (*wakes, due) if each is not None]
        return min([LONGEST_SLEEP, *times])

    async def _fill(self, origin: Origin, now: Instant) -> None:
        lane = self._lanes.setdefault(origin, Lane())
        breaker = self._breaker(origin)
        room = self.settings.active - sum(each.running for each in self._lanes.values())
        free = min(breakers.slots(breaker, now) - lane.running, room)
        if free > 0 and len(lane.waiting) < max(free, AHEAD // 2):
            ahead = AHEAD if breaker.opened is None else 0
            most = free + ahead - len(lane.waiting)
            if most > 0:
                leases = await self.queue.lease(origin, most, now, frozenset(lane.busy))
                lane.busy.update(each.job.digest for each in leases)
                lane.waiting.extend(leases)
        for _ in range(min(free, len(lane.waiting))):
            lane.running += 1
            self.spawn(self._work(origin, lane), f"pull from {origin}")

    async def _work(self, origin: Origin, lane: Lane) -> None:
        """One runner: it takes the lane's jobs until there are none or the destination may have fewer runners."""
        try:
            while lane.waiting and not self._stopping and lane.running <= self._slots(origin):
                lease = lane.waiting.popleft()
                if len(lane.waiting) == AHEAD // 4:
                    self.bell.ring()
                try:
                    await self._one(lease)
                finally:
                    lane.busy.discard(lease.job.digest)
        finally:
            lane.running -= 1
            if not lane.running and lane.waiting and not self._stopping:
                await self._give_back(lane)
            if not lane.running and not lane.waiting and self._lanes.get(origin) is lane:
                del self._lanes[origin]
            self.bell.ring()

    def _slots(self, origin: Origin) -> int:
        return 0 if self._held_back(self.timers.now()) else breakers.slots(self._breaker(origin), self.timers.now())

    async def _give_back(self, lane: Lane) -> None:
        """The destination went away: what was leased ahead waits in the queue again."""
        now = self.timers.now()
        leases, lane.waiting = tuple(lane.waiting), deque()
        lane.busy.difference_update(each.job.digest for each in leases)
        ready = [evolve(each.job, state=State.READY, due=now) for each in leases]
        await self.queue.change([Change(job, "returned", now, State.LEASED) for job in ready])

    async def _one(self, lease: Lease) -> None:
        result = Result(Outcome.OURSELVES, "an unexpected failure; the log has it under this job")
        started = self.timers.monotonic()
        self.feed.started(lease.job)
        try:
            result = await self.puller.attempt(lease)
        finally:
            if self._stopping and result.outcome is Outcome.OURSELVES:
                result = Result(Outcome.INTERRUPTED, "the daemon stopped")
            await self._settle(lease, result, started)

    async def _settle(self, lease: Lease, result: Result, started: float) -> None:
        now = self.timers.now()
        await self._blame(lease.job, result, now)
        planned = self._plan(lease.job, result, now)
        await self._write(planned, now)
        self.feed.changed(planned.job)
        job = planned.job
        outcome = "granted" if job.state is State.STORED else "failed"
        self.audit.record(
            Event(
                "pull",
                outcome,
                who=str(job.recipient),
                subject=str(job.recipient),
                peer=str(job.origin),
                resource=job.digest.ni,
                refusal="" if outcome == "granted" else result.outcome,
                evidence=result.evidence,
                took=self.timers.monotonic() - started,
                size=job.size,
            )
        )

    def _plan(self, job: Job, result: Result, now: Instant) -> Planned:
        not_before = self._issuer.not_before if result.outcome is Outcome.ISSUER_DOWN else None
        if rules.BLAMES[result.outcome] is Blame.DESTINATION:
            not_before = self._breaker(job.origin).not_before
        planned = rules.plan(job, result, now, self.chance(), not_before)
        return self.puller.transfers.wish_of(job, planned)

    async def _write(self, planned: Planned, now: Instant) -> None:
        """Until it is written, or fenced off, or the daemon stops: a lease without an end would wait for a restart."""
        stored = planned.job.state is State.STORED
        change = Change(
            planned.job, planned.event, now, State.LEASED, planned.job.evidence, receipt=stored, forget=planned.forget
        )
        while True:
            try:
                await self.queue.change([change])
                return self.outbox.ring() if stored else None
            except Conflict:
                return None
            except (NoSpace, Unavailable):
                if self._stopping:
                    return None
                self._paused = self.timers.now() + PAUSE
                await self.timers.sleep(SETTLE_AGAIN)

    async def _blame(self, job: Job, result: Result, now: Instant) -> None:
        if result.outcome is Outcome.NO_SPACE:
            self._paused = now + PAUSE
        issuer = breakers.after_issuer(self._issuer, result, now, self.chance())
        if issuer != self._issuer:
            self._issuer = issuer
            await self._save("issuer", issuer)
        before = self._breaker(job.origin)
        most = self.settings.active_per_destination
        breaker = breakers.after_destination(before, result, now, self.chance(), most)
        if breaker != before:
            self._destinations[breaker.name] = breaker
            await self._save("destination", breaker)
            if before.opened is not None and breaker.opened is None:
                await self.wake(job.origin)

    async def _save(self, kind: str, breaker: Breaker) -> None:
        """A breaker that cannot be written now is remembered in memory; it only saves probes after a restart."""
        try:
            await self.queue.save_breaker(kind, breaker)
        except NoSpace:
            self._paused = self.timers.now() + PAUSE

    def _breaker(self, origin: Origin) -> Breaker:
        known = self._destinations.get(str(origin))
        return known or Breaker(str(origin), limit=self.settings.active_per_destination)

    async def wake(self, origin: Origin) -> int:
        """Jobs that wait for the destination run now, and its breaker lets a probe through; at most once in 10 s."""
        now = self.timers.now()
        last = self._woken.get(origin)
        if last is not None and now - last < breakers.WAKE_INTERVAL:
            return 0
        self._woken = {each: when for each, when in self._woken.items() if now - when < breakers.WAKE_INTERVAL}
        self._woken[origin] = now
        breaker = self._breaker(origin)
        if breakers.is_open(breaker, now):
            self._destinations[breaker.name] = evolve(breaker, not_before=now)
        woken = await self.queue.wake(now, origin, "destination")
        self.bell.ring()
        return woken

    def health(self) -> tuple[Breaker, ...]:
        """The breakers that are not in perfect health, destinations and the STS."""
        return (*self._destinations.values(), *([self._issuer] if self._issuer.failures else []))
