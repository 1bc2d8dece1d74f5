"""What others want of jobs that are leased: an operator, a waiting reader, the clocks that look for slow and lost
ones."""

from collections.abc import Mapping

from attrs import define, evolve, field

from rrsd.core.values.jobs import Change, Job, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.house import House, Seat
from rrsd.roles.rra.lanes import Lane
from rrsd.roles.rra.pace import Pace
from rrsd.roles.rra.settling import Settling

AT_ONCE = 500


@define(eq=False, kw_only=True)
class Wishes:
    """Reaches into the lanes; `seats` says who runs where, by job."""

    settling: Settling
    house: House
    lanes: Mapping[Origin, Lane]
    seats: Mapping[int, tuple[Lane, Seat]]
    cut: set[int] = field(factory=set, init=False)
    _pace: Pace = field(factory=Pace, init=False)
    _orphans: dict[int, int] = field(factory=dict, init=False)

    async def let_go(self, job: Job) -> None:
        """The job was LEASED, and it is written that it is so no more: it leaves its lane, or its attempt is cut.

        What that attempt has made durable is kept. What it says of the job at its end is fenced off; until then no
        other attempt at the same resource begins.
        """
        lane = self.lanes.get(job.origin)
        if lane is not None and lane.next(lambda each: (each.job, each.epoch) == (job.job, job.epoch)) is not None:
            del lane.held[job.digest]
            self.settling.amend_no_more(job.job)
        else:
            await self.settling.transfers.cut(job)

    def overtake(self, job: Job) -> None:
        """Somebody waits for the job: it goes before what its destination's runners would take next."""
        lane = self.lanes.get(job.origin)
        lease = lane.take(job.job) if lane is not None else None
        if lane is not None and lease is not None:
            lane.waiting.appendleft(lease)
        elif lane is None or lane.held.get(job.digest) != job.job:
            self.settling.picker.add(job, self.settling.timers.now())
            if lane is not None:
                lane.overtaken = bool(lane.waiting)

    async def slow_down(self) -> None:
        """Let transfers that drip go on beside the others, two of each destination; those beyond that go back into the
        queue with what they have."""
        running = {each.lease.job.job: each for each in self.settling.transfers.all()}
        done = {job: each.done for job, each in running.items()}
        for job in self._pace.slow(done, self.settling.timers.monotonic()):
            lane, seat = self.seats.get(job, (None, None))
            if lane is None or seat is None or seat.is_slow:
                continue
            if self.house.slow_down(seat):
                lane.running -= 1
                self.settling.bell.ring()
            else:
                self.cut.add(job)
                await self.settling.transfers.cut(running[job].lease.job)

    async def reclaim(self) -> int:
        """Give back leases that nobody here works on, found in two looks in a row; how many (promise R7)."""
        ours = {number for lane in self.lanes.values() for number in lane.held.values()}
        found: dict[int, int] = {}
        lost, after, now = 0, 0, self.settling.timers.now()
        while jobs := await self.settling.queue.jobs(State.LEASED, None, after, AT_ONCE):
            after = jobs[-1].job
            for job in jobs:
                if job.job in ours:
                    continue
                if self._orphans.get(job.job) == job.epoch:
                    ready = evolve(job, state=State.READY, due=now)
                    lost += await self.settling.commit(
                        [Change(ready, "returned", now, State.LEASED, "nobody worked on it")]
                    )
                else:
                    found[job.job] = job.epoch
        self._orphans = found
        return lost
