"""Whether what `explain` says of a job is so (pure): what it names is there, what is there it names (promise R7)."""

from collections.abc import Iterator

from attrs import frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State
from rrsd.roles.rra import rules
from rrsd.roles.rra.explain import Explanation
from rrsd.roles.rra.standing import Obstacle


@frozen
class Facts:
    """What is so around a job at `now`, as those know it who decide what runs.

    `host_until`, `issuer_until` and `closed_until` are until when this host, our token service or the destination is
    left alone; `is_out` is whether the destination does not answer. `most` is the operator's limit, None for none.
    `running` transfers from there are under way; `is_crowded` is whether some share of the slots is used up for it.
    """

    now: Instant
    is_drained: bool = False
    is_paused: bool = False
    host_until: Instant | None = None
    issuer_until: Instant | None = None
    closed_until: Instant | None = None
    is_out: bool = False
    most: int | None = None
    running: int = 0
    is_crowded: bool = False
    is_leased_ahead: bool = False


def contradiction(explanation: Explanation, job: Job, facts: Facts) -> str:
    """What is said and is not so, or is so and is not said; "" for nothing."""
    return next(_contradictions(explanation, job, facts), "")


def _contradictions(told: Explanation, job: Job, facts: Facts) -> Iterator[str]:
    if told.state is not job.state:
        yield f"it is {job.state}, and said to be {told.state}"
    if not told.sentence or not told.is_sound:
        yield "nothing is said that it waits for"
    if told.next is not None and told.next < facts.now:
        yield f"its next time, {told.next:%Y-%m-%d %H:%M:%S}, is over"
    if told.next is None and not told.remedy and job.state not in rules.ARRIVED:
        yield "nothing moves it, and nothing is said that would"
    named = set(told.waits_for)
    for name in sorted(named - _possible(job, facts)):
        yield f"it does not wait for {name}"
    for name in sorted(_closed(facts) - named if _may_run(job) else ()):
        yield f"it waits for {name}, and that is not said"


def _may_run(job: Job) -> bool:
    """Whether it runs as soon as it is due and nothing keeps it back."""
    return job.state in rules.UNFINISHED and job.state not in (State.HELD, State.LEASED)


def _closed(facts: Facts) -> set[str]:
    """Everything outside the job by which nothing of its destination may begin."""
    is_closed = _is_ahead(facts.closed_until, facts)
    there = {
        Obstacle.DRAINED: facts.is_drained,
        Obstacle.PAUSED: facts.is_paused,
        Obstacle.HOST: _is_ahead(facts.host_until, facts),
        Obstacle.ISSUER: _is_ahead(facts.issuer_until, facts),
        Obstacle.OUTAGE: is_closed and facts.is_out,
        Obstacle.PUSHED_BACK: is_closed and not facts.is_out,
        Obstacle.PROBE: not is_closed and facts.is_out,
    }
    return {str(name) for name, is_there in there.items() if is_there}


def _is_ahead(until: Instant | None, facts: Facts) -> bool:
    return until is not None and until > facts.now


def _possible(job: Job, facts: Facts) -> set[str]:
    """Every name of something that may keep the job back."""
    if job.state is State.LEASED:
        return _limited(facts) | {str(Obstacle.SLOT)} if facts.is_leased_ahead else {"attempt", str(Obstacle.STALL)}
    if not _may_run(job):
        return {State.HELD: {job.condition or "operator"}, State.STORED: {"receipt"}}.get(job.state, set())
    return _closed(facts) | _of_its_own(job, facts)


def _of_its_own(job: Job, facts: Facts) -> set[str]:
    """What it waits for by itself: its time, its condition, or a turn."""
    if job.due is None or job.due > facts.now:
        return {job.condition or (str(Obstacle.TIME) if job.due is not None else "")}
    return _limited(facts) | {str(Obstacle.SLOT if facts.is_crowded else Obstacle.TURN)}


def _limited(facts: Facts) -> set[str]:
    is_limited = facts.most is not None and facts.running >= facts.most
    return {str(Obstacle.LIMITED)} if is_limited else set()
