"""What surrounds a job at this moment: gathered for whoever explains it."""

from collections.abc import Sequence

from attrs import define

from rrsd.core.values.jobs import HistoryRow, Job, Priority, State
from rrsd.roles.rra import rules
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.explain import Around, Explanation, explain
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.ports import Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler

MOST_ATTEMPTS = 5
MOST_HISTORY = 1000
ENDS = frozenset(
    event for state, event in rules.TABLE if state is State.LEASED and event not in ("extended", "ranked", "restarted")
)
"""Events that end an attempt."""


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
        return explain(job, self.scheduler.health.of(job.origin), self.timers.now(), await self.around(job))

    async def around(self, job: Job) -> Around:
        """Everything that is known beside it."""
        health, transfer, now = self.scheduler.health, self.transfers.of(job), self.timers.now()
        rulings = health.rulings
        waits = job.state in rules.UNFINISHED and job.state not in (State.LEASED, State.HELD)
        is_over = job.state in rules.TERMINAL
        elapsed = (now - transfer.started).total_seconds() if transfer is not None else 0.0
        return Around(
            issuer=health.issuer if health.issuer_until(now) is not None else None,
            held_back=health.could_not_store,
            drained=rulings.drained,
            paused=rulings.paused(job.origin),
            gate=self._gate(job),
            ahead=await self.books.ahead(job) if waits else None,
            is_leased_ahead=self.scheduler.is_leased_ahead(job),
            done=transfer.done if transfer is not None else 0,
            rate=(transfer.done - transfer.lease.fetch.offset) / elapsed if transfer is not None and elapsed > 0 else 0,
            attempts=_attempts(await self.queue.history(job.job, MOST_HISTORY)),
            successor=(await self.books.successor(job.job) or 0) if is_over else 0,
        )

    def _gate(self, job: Job) -> str:
        """Which share of the slots is used up for it."""
        house, picker = self.scheduler.house, self.scheduler.picker
        if house.room <= 0:
            return "house"
        if self.scheduler.running(job.origin) >= picker.limit(job.origin, self.timers.now()):
            return "destination"
        is_interactive, is_unproved = job.priority is Priority.INTERACTIVE, picker.is_unproved(job.origin)
        gate = house.shut(job.size, str(job.recipient), is_interactive, is_unproved)
        return "recipient" if isinstance(gate, tuple) else str(gate or "")


def _attempts(history: Sequence[HistoryRow]) -> tuple[HistoryRow, ...]:
    """The ends of the last attempts, newest first."""
    rows = [row for row in history if row.before is State.LEASED and row.event in ENDS]
    return tuple(reversed(rows[-MOST_ATTEMPTS:]))
