"""The promise R7, looked after at start and every hour: every live job has a next time or a named condition, can be
explained, and is looked at in time. What can be mended is mended; everything that is found is said.

To explain a job takes several looks into the store, so that a sample of them is explained: some of each state and
condition, others each time.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

from attrs import define, field, frozen
from twisted.logger import Logger

from rrsd.core.refusals import Conflict, Damaged, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, State
from rrsd.core.values.operations import Fault, Found
from rrsd.roles.rra import rules
from rrsd.roles.rra.books import Checks
from rrsd.roles.rra.circumstances import Circumstances
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.ports import Audit, Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler

BREATH = timedelta(milliseconds=50)
"""Between two steps, so that a queue of a million pulls is looked through without anybody noticing."""
LOOKED_WITHIN = timedelta(hours=1, minutes=5)
"""Every destination is looked at again within an hour, unless it is left alone."""
MOST_SAID = 100
"""Faults of a kind that are said one by one; the others are counted."""
LIVE = (*rules.UNFINISHED, State.STORED)
SAMPLE = 500
"""Jobs of a state among which those to explain are chosen, those after the last ones each time."""
MOST_EXPLAINED = 10
"""Of a state and condition each time."""

_SAID = {
    Fault.DAMAGED: "its row cannot be read: put the newest backup in its place, or ask the sender to send it again",
    Fault.STATE: "its row is damaged, and in no state: ask the sender to send it again",
    Fault.LOST: "it waited for nothing, and runs now",
    Fault.RECEIPT: "it has arrived and its receipt was forgotten; it is sent now",
    Fault.TURN: "jobs had no turn in time; they have one now",
    Fault.DESTINATION: "a destination would not have been looked at in time; it is now",
    Fault.EXPLANATION: "what explain says of it is not so: please report that",
}


@frozen
class Verdict:
    """When a check ended, and how many faults of which kind it found."""

    at: Instant
    faults: Counter[Fault]


@define(eq=False, kw_only=True)
class SelfCheck:
    """Looks at everything, a step at a time."""

    _log = Logger()

    checks: Checks
    queue: Queue
    scheduler: Scheduler
    timers: Timers
    audit: Audit
    circumstances: Circumstances
    _places: dict[State, int] = field(factory=dict, init=False)
    last: Verdict | None = field(default=None, init=False)

    @property
    def health(self) -> Health:
        """Who is left alone, and until when."""
        return self.scheduler.health

    async def run(self) -> Verdict:
        """One look at everything; what it found."""
        faults: Counter[Fault] = Counter()
        named: set[tuple[Fault, int]] = set()
        async for found in self._all_found():
            if (found.fault, found.job) in named:
                continue  # several looks meet one row
            if found.job and len(named) < MOST_SAID:
                named.add((found.fault, found.job))
            faults[found.fault] += 1
            await self._mend(found)
            if faults[found.fault] <= MOST_SAID:
                self._say(found)
        for fault, number in faults.items():
            if number > MOST_SAID:
                self._log.critical("rra: {number} faults: {fault}", number=number, fault=_SAID[fault])
        self.last = Verdict(self.timers.now(), faults)
        if faults:
            self.scheduler.bell.ring()
        return self.last

    async def _found(self) -> AsyncIterator[Found]:
        for each in await self.checks.strangers():
            yield each
        for state in LIVE:
            after: int | None = 0
            while after is not None:
                checked = await self.checks.rows(state, after)
                for each in checked.found:
                    yield each
                after = checked.next
                await self._breathe(after is not None)
        group: tuple[str, str, int] | None = ("", "", 0)
        while group is not None:
            looked = await self.checks.turns(group)
            for each in looked.found:
                yield each
            group = looked.next
            await self._breathe(group is not None)
        async for each in self._late():
            yield each

    async def _all_found(self) -> AsyncIterator[Found]:
        async for each in self._found():
            yield each
        for state in LIVE:
            async for each in self._misread(state):
                yield each

    async def _misread(self, state: State) -> AsyncIterator[Found]:
        """Of some jobs of the state, those of which something is said that is not so."""
        after = self._places.get(state, 0)
        jobs = await self.queue.jobs(state, None, after, SAMPLE) or await self.queue.jobs(state, None, 0, SAMPLE)
        self._places[state] = jobs[-1].job if jobs else 0
        explained: Counter[str] = Counter()
        for job in jobs:
            explained[job.condition] += 1
            if explained[job.condition] > MOST_EXPLAINED or _is_lost(job):
                continue
            try:
                wrong = await self.circumstances.check(job.job)
            except (Damaged, Unknown, TypeError):
                continue  # damaged and named already, or gone
            if wrong:
                yield Found(Fault.EXPLANATION, job.job, wrong)

    async def _breathe(self, is_more: bool) -> None:
        if is_more:
            await self.timers.sleep(BREATH)

    async def _late(self) -> AsyncIterator[Found]:
        """Destinations that are put off although nobody leaves them alone so long."""
        than, after = self.timers.now() + LOOKED_WITHIN, ""
        is_more = True
        while is_more:
            destinations = await self.checks.late(than, after, MOST_SAID)
            is_more = len(destinations) == MOST_SAID
            now = self.timers.now()
            for origin, due in destinations:
                if due > max(self.health.closed_until(origin, now) or now, now + LOOKED_WITHIN):
                    await self.queue.put_off([(origin, now)])
                    yield Found(Fault.DESTINATION, 0, str(origin))
                than, after = due, str(origin)
            await self._breathe(is_more)

    async def _mend(self, found: Found) -> None:
        """What waits for nothing runs; what is owed is sent. Turns and destinations are mended where they are found."""
        now = self.timers.now()
        if found.fault is Fault.RECEIPT:
            await self.checks.owe(found.job, now)
            self.scheduler.outbox.ring()
        elif found.fault is Fault.LOST:
            try:
                job = await self.queue.find(found.job)
                if job.due is None and not job.condition:
                    ready = rules.moved(job, "hurried", now)
                    await self.queue.change([Change(ready, "hurried", now, job.state, "the self-check found it")])
            except (Conflict, Damaged, Unknown):
                return  # somebody else moved it meanwhile

    def _say(self, found: Found) -> None:
        what = f"pull {found.job}" if found.job else found.about
        self._log.critical(
            "rra: the self-check found a fault: {what}: {said} ({about})",
            what=what, said=_SAID[found.fault], about=found.about,
        )  # fmt: skip
        self.audit.record(
            Event("check", "failed", who="rrsd", resource=what, evidence=f"{found.fault}: {_SAID[found.fault]}")
        )


def _is_lost(job: Job) -> bool:
    """Whether it waits for nothing, which is found and mended already."""
    is_waiting = job.state not in (State.LEASED, State.HELD, State.STORED)
    return is_waiting and job.due is None and not job.condition
