"""Brings what could run from the disk into the fair order, and picks from it what a free slot gets."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from datetime import timedelta

from attrs import define, field, frozen

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Ask, Candidate, Job, Priority, State
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import deadlines
from rrsd.roles.rra.fairness import FEW, Fair, Gate
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.house import SLOW_SLOTS, House, Seat
from rrsd.roles.rra.lanes import AHEAD, AHEAD_BYTES, Lane
from rrsd.roles.rra.ports import Queue

MOST_ACTIVE = 20_000
"""Jobs that are known in memory; all others are on disk only."""
SHARES = ((MOST_ACTIVE // 4, 256), (MOST_ACTIVE // 2, 32), (MOST_ACTIVE, 4))
"""How many of one destination are brought in at once: the fewer, the more are here."""
LOW = 16
"""A destination of which fewer are here, and more on disk, is looked at again."""
PAGE = 64
AGE_EVERY = timedelta(minutes=5)
PROBE_AGAIN = timedelta(seconds=60)


@define(frozen=True)
class Pick:
    """A candidate for a slot that is kept for it, or, without a seat, to be leased ahead."""

    candidate: Candidate
    seat: Seat | None


@define(eq=False, kw_only=True)
class Picker:
    """The active set: bounded, refilled by destination, in fair order."""

    queue: Queue
    health: Health
    house: House
    lanes: Mapping[Origin, Lane]
    fair: Fair = field(init=False)
    _more: set[Origin] = field(factory=set, init=False)
    _twins: dict[tuple[Origin, Digest], dict[int, Candidate]] = field(factory=dict, init=False)
    _aged: Instant | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.fair = Fair(self._presses)

    def _presses(self, each: Candidate, now: Instant) -> bool:
        return deadlines.is_urgent(each.deadline, each.size, self.health.rates.of(each.origin), now)

    @property
    def _share(self) -> int:
        """How many of one destination may be here; 0 when there is room for nobody."""
        return next((share for most, share in SHARES if len(self.fair) < most), 0)

    async def refill(self, now: Instant) -> tuple[list[Origin], bool]:
        """Bring in what could run; destinations that want a probe, and whether there was more than was looked at."""
        self._age(now)
        share = self._share
        if not share:
            return [], False
        found = await self.queue.eligible(now, PAGE)
        spare = len(self.fair) < MOST_ACTIVE // 2
        hungry = [origin for origin in self._more if self.fair.count(origin) < (LOW if spare else 1)][:PAGE]
        probes, waits, asks = list[Origin](), list[tuple[Origin, Instant]](), list[Ask]()
        for origin in dict.fromkeys((*found, *hungry)):
            until = self.health.closed_until(origin, now)
            if until is not None:
                waits.append((origin, until))
                self.drop(origin)
            elif self.health.is_half_open(origin):
                waits.append((origin, now + PROBE_AGAIN))
                probes.append(origin)
            else:
                asks.append(Ask(origin, share, self._known(origin)))
        await self._look(asks, waits, now)
        return probes, len(found) == PAGE

    async def _look(self, asks: list[Ask], waits: list[tuple[Origin, Instant]], now: Instant) -> None:
        if waits:
            await self.queue.put_off(waits)
        for looked in await self.queue.look(asks, now) if asks else ():
            self.fair.add(looked.candidates, now)
            (self._more.add if looked.is_more else self._more.discard)(looked.origin)

    def _known(self, origin: Origin) -> frozenset[int]:
        twins = (job for key, jobs in self._twins.items() if key[0] == origin for job in jobs)
        return self.fair.known(origin).union(twins)

    def _age(self, now: Instant) -> None:
        if self._aged is None or now - self._aged >= AGE_EVERY:
            self._aged = now
            self.fair.age(now)

    def drop(self, origin: Origin) -> None:
        """Forget what waits for the destination here: it is on disk."""
        self.fair.drop(origin)
        self._more.discard(origin)
        for key in [key for key in self._twins if key[0] == origin]:
            del self._twins[key]

    def add(self, job: Job, now: Instant) -> None:
        """Somebody waits for the job."""
        if job.state is not State.LEASED:
            self.fair.add([_candidate(job, Priority.INTERACTIVE, now)], now)

    def press(self, job: Job, now: Instant) -> None:
        """The job's time will hardly do: it need not wait on disk until those before it are done. A destination has no
        more of these here than of others."""
        is_due = job.state is not State.LEASED and job.due is not None and job.due <= now
        if not is_due or self.fair.count(job.origin) >= self._share or job.job in self._known(job.origin):
            return
        if self.health.closed_until(job.origin, now) is None and not self.health.is_half_open(job.origin):
            self.fair.add([_candidate(job, job.priority, job.due or now)], now)

    def give_back(self, picked: Iterable[Candidate], kept_out: Container[int], now: Instant) -> None:
        """Those of what was picked that had no room have cost nobody their share."""
        for each in picked:
            if each.job in kept_out:
                self.fair.refund(each, now)

    # --- picking

    def limit(self, origin: Origin, now: Instant) -> int:
        """How many transfers the destination may have: what it bears; while others wait, half of the house, and one
        before it has delivered anything; and no more than its slow ones leave."""
        slots = self.health.slots(origin, now)
        if self.is_contended(origin):
            slots = min(slots, self.house.half if self.health.is_proved(origin) else 1)
        slow = self.house.slow_at(origin)
        return min(slots, SLOW_SLOTS - slow) if slow else slots

    def is_contended(self, origin: Origin) -> bool:
        """Whether others wait too."""
        return self.fair.destinations > bool(self.fair.count(origin))

    def may_lease_ahead(self, origin: Origin, now: Instant) -> bool:
        """Whether the destination's runners may go on without asking whose turn it is."""
        if self.limit(origin, now) <= 0 or not self.health.is_trusted(origin):
            return False
        return self.health.is_proved(origin) or not self.is_contended(origin)

    def picks(self, room: int, now: Instant) -> list[Pick]:
        """What gets the `room` free slots, each with its seat, and what is leased ahead for the same runners."""
        plan = _Plan(self, room, now)
        self._reopen(plan, now)
        while plan.room > 0:
            candidate = self.fair.take(plan.shut)
            if candidate is None:
                break
            if candidate.digest in plan.held(candidate.origin):
                self._twins.setdefault((candidate.origin, candidate.digest), {})[candidate.job] = candidate
            else:
                plan.accept(candidate)
        return plan.picks

    def is_unproved(self, origin: Origin) -> bool:
        """Whether the destination has not delivered anything of late, or drips."""
        return bool(self.house.slow_at(origin)) or not self.health.is_proved(origin)

    def _reopen(self, plan: "_Plan", now: Instant) -> None:
        for gate in self.fair.gates:
            if not plan.is_shut(gate):
                self.fair.open(gate, FEW)
        for key in list(self._twins):
            lane = self.lanes.get(key[0])
            if lane is None or key[1] not in lane.held:
                self._readmit(key, now)

    def _readmit(self, key: tuple[Origin, Digest], now: Instant) -> None:
        """The next of those that share a resource, when the one before has ended."""
        twins = self._twins[key]
        self.fair.add([twins.pop(next(iter(twins)))], now)
        if not twins:
            del self._twins[key]


def _candidate(job: Job, priority: Priority, due: Instant) -> Candidate:
    return Candidate(job.job, job.origin, str(job.recipient), job.digest, job.size, priority, due, job.deadline)


@frozen
class _At:
    """The gate of a destination that has all it may have."""

    origin: Origin


@define(eq=False)
class _Plan:
    """What one round gives out."""

    picker: Picker
    room: int
    now: Instant
    picks: list[Pick] = field(factory=list, init=False)
    _runs: Counter[Origin] = field(factory=Counter, init=False)
    _ahead: Counter[Origin] = field(factory=Counter, init=False)
    _bytes: Counter[Origin] = field(factory=Counter, init=False)
    _held: dict[Origin, set[Digest]] = field(factory=dict, init=False)

    def held(self, origin: Origin) -> set[Digest]:
        if origin not in self._held:
            lane = self.picker.lanes.get(origin)
            self._held[origin] = set(lane.held) if lane is not None else set()
        return self._held[origin]

    def _may_run(self, origin: Origin) -> bool:
        lane = self.picker.lanes.get(origin)
        running = lane.running if lane is not None else 0
        return running + self._runs[origin] < self.picker.limit(origin, self.now)

    def _may_wait(self, candidate: Candidate) -> bool:
        origin = candidate.origin
        lane = self.picker.lanes.get(origin)
        jobs, size = (len(lane.waiting), lane.bytes_waiting) if lane is not None else (0, 0)
        fits = size + self._bytes[origin] + candidate.size <= AHEAD_BYTES and jobs + self._ahead[origin] < AHEAD
        return fits and self.picker.may_lease_ahead(origin, self.now)

    def shut(self, candidate: Candidate) -> Gate | None:
        if self._may_run(candidate.origin):
            gate = self.picker.house.keeps_back(candidate, self.picker.is_unproved(candidate.origin))
        else:
            gate = None if self._may_wait(candidate) else _At(candidate.origin)
        return gate

    def is_shut(self, gate: Gate) -> bool:
        """Whether those who were put aside there would be again."""
        if isinstance(gate, _At):
            lane = self.picker.lanes.get(gate.origin)
            waiting = len(lane.waiting) if lane is not None else 0
            return not (self._may_run(gate.origin) or waiting < AHEAD // 2)
        return self.picker.house.is_shut(gate)

    def accept(self, candidate: Candidate) -> None:
        origin = candidate.origin
        self.held(origin).add(candidate.digest)
        if not self._may_run(origin):
            self._ahead[origin] += 1
            self._bytes[origin] += candidate.size
            self.picks.append(Pick(candidate, None))
            return
        self._runs[origin] += 1
        self.room -= 1
        self.picks.append(Pick(candidate, self.picker.house.reserve(candidate, self.picker.is_unproved(origin))))
