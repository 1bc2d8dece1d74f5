"""The verbs that change one job. Each is idempotent: said again, it finds its work done. Each leaves one line."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, frozen

from rrsd.core.refusals import Conflict, Malformed, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Change, Job, Priority, State
from rrsd.roles.rra import rules
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.verbs import OF_A_JOB

OPERATOR = "operator"
"""Who it was, where the socket does not say which user."""
MOST_NUMBER = (1 << 63) - 1
TRIES = 3
LONGEST = timedelta(days=365)
"""What a pull may be extended to, from now."""


@frozen
class Given:
    """What some verbs need beside their name: for how long from now, and which class."""

    within: timedelta | None = None
    priority: Priority | None = None


@frozen
class Acted:
    """The job after a verb, or the one that took its place; `is_changed` is False if the verb found its work done."""

    job: Job
    is_changed: bool = True


@define(eq=False, kw_only=True)
class Acts:
    """Moves jobs by hand."""

    queue: Queue
    books: Books
    scheduler: Scheduler
    timers: Timers
    bell: Bell
    feed: Feed
    audit: Audit

    async def find(self, number: int) -> Job:
        """The job. Refuses with Unknown or Damaged."""
        if number > MOST_NUMBER:
            raise Unknown("job")
        return await self.queue.find(number)

    async def act(self, verb: str, number: int, who: str = OPERATOR, given: Given | None = None) -> Job:
        """The job of `acted`, which raises the same."""
        return (await self.acted(verb, number, who, given)).job

    async def acted(self, verb: str, number: int, who: str = OPERATOR, given: Given | None = None) -> Acted:
        """What the verb came to; a job that it would not change stays as it is, and leaves its line all the same.
        It is durable. The attempt of one that was being pulled is cut after that, and cannot take it back.

        Raises:
            Unknown: there is no such job.
            Conflict: its state does not allow it, or changes all the time.
            Malformed: the verb needs something that was not given.
        """
        said = given or Given()
        _require_given(verb, said)
        for tried in range(TRIES):
            job = await self.find(number)
            done = await self._done(verb, job, said)
            if done is None:
                require_possible(verb, job)
            if not tried:
                self._record(verb, job, who, [*_words(verb, said), *(["(nothing to do)"] if done is not None else [])])
            if done is not None:
                return Acted(done, is_changed=False)
            moved = await self._move(verb, job, said)
            if moved is not None:
                self.bell.ring()
                return Acted(moved)
        raise Conflict("the job changes all the time: say it again")

    async def _done(self, verb: str, job: Job, given: Given) -> Job | None:
        """The job, if the verb finds its work done."""
        event = OF_A_JOB[verb]
        if event == "requeued":
            return await self._successor(job) if _may_requeue(verb, job) else None
        if event == "extended" and given.within is not None:
            return job if job.deadline >= self.timers.now() + given.within and _is_open(job) else None
        if event == "ranked":
            return job if job.priority is given.priority and _is_open(job) else None
        return job if (job.state, event) in _SETTLED else None

    async def _successor(self, job: Job) -> Job | None:
        """The last of those that took its place, if that one is still open or has arrived."""
        last = job
        while (number := await self.books.successor(last.job)) is not None:
            last = await self.find(number)
        return last if last != job and (_is_open(last) or last.state in rules.ARRIVED) else None

    async def _move(self, verb: str, job: Job, given: Given) -> Job | None:
        """The job after the event; None when it became another one meanwhile."""
        event = OF_A_JOB[verb]
        if event == "woken":
            return await self._retry(job)
        if event == "requeued":
            return await self.requeue(job)
        if event in ("extended", "ranked"):
            return await self._amend(job, event, given)
        changed = await self.change(job, event, job.priority)
        if changed is not None and job.state is State.LEASED:
            await self.scheduler.wishes.let_go(job)
        return changed

    async def _retry(self, job: Job) -> Job | None:
        """As "woken", for one that is READY too: it may be due later, or its destination left alone. A receipt that was
        given up is tried again."""
        if job.condition == "receipt":
            await self.queue.receipt_again(job.job, self.timers.now())
            self.scheduler.outbox.ring()
            return await self.find(job.job)
        await self.scheduler.wake(job.origin)
        job = await self.find(job.job)
        if (job.state, "woken") in rules.TABLE:
            return await self.change(job, "woken", job.priority)
        waits = job.due is None or job.due > self.timers.now()
        if job.state in (State.NEW, State.READY) and waits:
            return await self.change(job, "hurried", job.priority)
        return job

    async def change(self, job: Job, event: str, priority: Priority) -> Job | None:
        """The job after the event and in that class; None when it became another one meanwhile."""
        now = self.timers.now()
        return await self._write(job, evolve(rules.moved(job, event, now), priority=priority), event, now)

    async def _amend(self, job: Job, event: str, given: Given) -> Job | None:
        """A later end, or another class; its state stays. An attempt that runs does not take it back."""
        now = self.timers.now()
        amended: dict[str, Any] = {"priority": given.priority}
        changed = evolve(job, **amended)
        if event == "extended":
            changed = rules.extended(job, None, now + (given.within or timedelta()), now)
            amended = {"deadline": changed.deadline, "at_risk": None}
        if job.state is State.LEASED:
            self.scheduler.settling.amend(job.job, amended)
        written = await self._write(job, changed, event, now)
        if written is None:
            self.scheduler.settling.amend_no_more(job.job)
        return written

    async def _write(self, job: Job, changed: Job, event: str, now: Instant) -> Job | None:
        try:
            await self.queue.change([Change(changed, event, now, job.state)])
        except Conflict:
            return None
        self.feed.changed(changed)
        return changed

    async def requeue(self, job: Job) -> Job | None:
        """A new job in the place of the last one of its line, which has ended; None when that changed meanwhile."""
        while (number := await self.books.successor(job.job)) is not None:
            job = await self.find(number)
        now, lifetime = self.timers.now(), self.scheduler.health.settings.lifetime
        fresh = evolve(
            job,
            job=0, state=State.NEW, accepted=now, due=now, condition="", retries=0, attempts=0, restarts=0,
            deadline=rules.deadline_of(now, lifetime, job.not_after), blame=Blame.NOBODY, evidence="", epoch=0,
            stored=None, at_risk=None, held=None,
        )  # fmt: skip
        try:
            found = await self.find(await self.books.requeue(job, fresh, now))
        except Conflict:
            return None
        self.feed.changed(found)
        return found

    def _record(self, verb: str, job: Job, who: str, words: Sequence[str]) -> None:
        self.audit.record(
            Event(
                "operate",
                "granted",
                who=who,
                subject=str(job.recipient),
                peer=str(job.origin),
                resource=f"pull {job.job}",
                evidence=" ".join([verb, *words]),
            )
        )


def _words(verb: str, given: Given) -> list[str]:
    """What the verb was told beside its name."""
    if verb == "extend" and given.within is not None:
        return [f"{int(given.within.total_seconds())} s"]
    return [given.priority.value] if verb == "set-priority" and given.priority is not None else []


def _is_open(job: Job) -> bool:
    return job.state in rules.UNFINISHED


def _may_requeue(verb: str, job: Job) -> bool:
    return verb != "quarantine-release" or job.state is State.QUARANTINED


def _require_given(verb: str, given: Given) -> None:
    if verb == "extend" and (given.within is None or not timedelta(0) < given.within <= LONGEST):
        raise Malformed("extend needs for how many seconds from now, at most a year")
    if verb == "set-priority" and given.priority is None:
        raise Malformed("set-priority needs a class: interactive, normal or bulk")


_ADVICE = {
    (State.QUARANTINED, "released"): "its bytes were wrong and none are kept: quarantine-release pulls it once more",
    **{(state, "requeued"): "it has arrived: verify-store shows whether its bytes are still good"
       for state in rules.ARRIVED},
    **{(state, "requeued"): "it has not ended: retry-now or extend is what helps" for state in rules.UNFINISHED},
    **{(state, event): "it has arrived, and nothing about it is left to change"
       for state in rules.ARRIVED for event in OF_A_JOB.values() if event != "requeued"},
}  # fmt: skip
"""What to do instead."""


def require_possible(verb: str, job: Job) -> None:
    """Returns None if the job's state allows the verb; to wake one that is due or being pulled already is no mistake.

    Raises:
        Conflict: it does not; the detail says what to do instead.
    """
    event = OF_A_JOB[verb]
    if event == "woken" and job.condition == "receipt":
        return
    if (job.state, event) in _ADVICE:
        raise Conflict(f"pull {job.job} is {job.state}: {_ADVICE[job.state, event]}")
    if not _may_requeue(verb, job):
        raise Conflict(f"pull {job.job} is {job.state}, not quarantined: requeue-fresh is for all that have ended")
    is_over = event != "requeued" and job.state in rules.TERMINAL
    if is_over and not (job.state is State.CANCELLED and event == "cancelled"):
        raise Conflict(f"pull {job.job} is {job.state}, and that is final: requeue-fresh makes a new one of it")
    if event not in ("requeued", "woken") or (event == "woken" and job.state not in _MOVING):
        rules.after(job.state, event)


_MOVING = (State.NEW, State.READY, State.LEASED)
_SETTLED = frozenset(
    {
        (State.HELD, "held"),
        (State.READY, "released"),
        (State.NEW, "released"),
        (State.LEASED, "released"),
        (State.CANCELLED, "cancelled"),
        (State.EXPIRED, "expired"),
    }
)
"""Verbs that find their work done."""
