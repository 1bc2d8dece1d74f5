"""What surrounds a job at this moment: gathered for whoever explains it."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, evolve

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import HistoryRow, Job, Phase, Priority, State
from rrsd.core.values.operations import Ruling
from rrsd.roles.rra import rules
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.contradictions import Facts, contradiction
from rrsd.roles.rra.explain import Around, Explanation, explain
from rrsd.roles.rra.live import Transfer, Transfers
from rrsd.roles.rra.ports import Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler

MOST_ATTEMPTS = 5
MOST_HISTORY = 1000
ENDS = frozenset(event for state, event in rules.TABLE if state is State.LEASED and event not in ("extended", "ranked"))
"""Events that end an attempt."""
CRASHED = "the daemon ended while it was being pulled"


@define(eq=False, kw_only=True)
class Circumstances:
    """Asks memory first; the store for the last attempts, the successor, and who is before it."""

    queue: Queue
    books: Books
    scheduler: Scheduler
    transfers: Transfers
    timers: Timers

    async def explain(self, job: Job) -> Explanation:
        """Why the job is where it is."""
        around = await self.around(job)
        return explain(job, self.scheduler.health.of(job.origin), self.timers.now(), around)

    async def check(self, number: int) -> str:
        """What the explanation of the job says and is not so, "" if all is; nothing of a job that changes meanwhile.
        Refuses with Unknown or Damaged."""
        job = await self.queue.find(number)
        before, rulings = self.facts(job), self.scheduler.health.rulings.all
        explanation = await self.explain(job)
        wrong = contradiction(explanation, job, before) and contradiction(explanation, job, self.facts(job))
        is_same = await self.queue.find(number) == job and rulings == self.scheduler.health.rulings.all
        return wrong if is_same else ""

    def facts(self, job: Job) -> Facts:
        """What is so at this moment, for whoever compares it with what is said."""
        scheduler, now = self.scheduler, self.timers.now()
        health, rulings = scheduler.health, scheduler.health.rulings
        breaker, limited = health.of(job.origin), rulings.limit(job.origin)
        return Facts(
            now=now,
            is_drained=rulings.drained is not None,
            is_paused=rulings.paused(job.origin) is not None,
            host_until=health.could_not_store,
            issuer_until=health.issuer_until(now),
            closed_until=breaker.not_before if breaker is not None else None,
            is_out=breaker is not None and breaker.opened is not None,
            most=limited.most if limited is not None else None,
            running=scheduler.running(job.origin),
            is_crowded=self._is_crowded(job, now),
            is_leased_ahead=scheduler.is_leased_ahead(job),
        )

    def _is_crowded(self, job: Job, now: Instant) -> bool:
        """Whether no slot is free for it, as those count who give them out; not by `_gate`, which it is to check."""
        scheduler, house, picker = self.scheduler, self.scheduler.house, self.scheduler.picker
        lane, running = scheduler.lane(job.origin), scheduler.running(job.origin)
        is_busy = bool(running + house.slow_at(job.origin))
        return (
            house.taken >= house.active
            or (is_busy and running >= picker.limit(job.origin, now))
            or not house.admits(job, picker.is_unproved(job.origin))
            or scheduler.is_probing
            or (lane is not None and lane.held.get(job.digest) not in (None, job.job))
        )

    async def around(self, job: Job) -> Around:
        """Everything that is known beside it."""
        health, transfer, now = self.scheduler.health, self.transfers.of(job), self.timers.now()
        rulings = health.rulings
        waits = job.state in rules.UNFINISHED and job.state not in (State.LEASED, State.HELD)
        history = await self.queue.history(job.job, MOST_HISTORY)
        ahead = await self.books.ahead(job) if waits else None
        around = Around(
            issuer=health.issuer if health.issuer_until(now) is not None else None,
            held_back=health.could_not_store,
            drained=rulings.drained,
            paused=rulings.paused(job.origin),
            limited=self._limited(job),
            gate=self._gate(job, now),
            ahead=ahead,
            is_leased_ahead=self.scheduler.is_leased_ahead(job),
            attempts=_attempts(history),
            act=next((row for row in reversed(history) if row.after is job.state is not row.before), None),
            successor=(await self.books.successor(job.job) or 0) if job.state in rules.TERMINAL else 0,
        )
        return around if transfer is None else self._on_the_way(around, transfer, now)

    def _on_the_way(self, around: Around, transfer: Transfer, now: Instant) -> Around:
        """With how far its transfer is."""
        transfer.look()
        left = self.transfers.idle - timedelta(seconds=transfer.quiet)
        return evolve(
            around,
            done=transfer.done,
            rate=transfer.rate,
            quiet=transfer.quiet,
            ends=now + left if transfer.phase is Phase.BODY else None,
            is_whole=transfer.is_whole,
        )

    def _limited(self, job: Job) -> Ruling | None:
        """The operator's limit, if as many as it lets run do."""
        ruling = self.scheduler.health.rulings.limit(job.origin)
        return ruling if ruling is not None and self.scheduler.running(job.origin) >= ruling.most else None

    def _gate(self, job: Job, now: Instant) -> str:
        """Which share of the slots is used up for it, "" for none: where nothing may run at all no share is."""
        scheduler, house, picker = self.scheduler, self.scheduler.house, self.scheduler.picker
        lane = scheduler.lane(job.origin)
        if lane is not None and lane.held.get(job.digest, job.job) != job.job:
            return "same"
        if house.room <= 0:
            return "house"
        if lane is not None and self._is_full(job, now):
            return "destination"
        is_interactive, is_unproved = job.priority is Priority.INTERACTIVE, picker.is_unproved(job.origin)
        gate = house.shut(job.size, str(job.recipient), is_interactive, is_unproved)
        if gate is None:
            return "probation" if scheduler.is_probing else ""
        return "recipient" if isinstance(gate, tuple) else str(gate)

    def _is_full(self, job: Job, now: Instant) -> bool:
        """Whether transfers run from its destination, and as many as may."""
        scheduler, origin = self.scheduler, job.origin
        running, slow = scheduler.running(origin), scheduler.house.slow_at(origin)
        may_run = scheduler.health.slots(origin, now) > 0
        return may_run and bool(running + slow) and running >= scheduler.picker.limit(origin, now)


def _attempts(history: Sequence[HistoryRow]) -> tuple[HistoryRow, ...]:
    """The ends of the last attempts, newest first; what was leased and given back unused was none."""
    rows = [
        evolve(row, evidence=row.evidence or (CRASHED if row.event == "restarted" else ""))
        for row in history
        if row.before is State.LEASED and row.event in ENDS and (row.event, row.evidence) != ("returned", "")
    ]
    return tuple(reversed(rows[-MOST_ATTEMPTS:]))
