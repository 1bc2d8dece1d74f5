"""The life of a pull job, as tables and pure functions.

A job is NEW when its message was accepted, READY when it may run, LEASED while one attempt works on it. An attempt ends
with an `Outcome`: `OUTCOMES` says which refusal means which, `replies` what an answer means, `plan` what the job
becomes, and `breakers` what becomes of the party that is blamed. Time and chance come in as arguments.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from attrs import evolve, frozen

from rrsd.core import refusals
from rrsd.core.refusals import Conflict, Refusal
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import ENDED, Blame, Job, Phase, State

TERMINAL = ENDED | {State.RECEIPTED}
"""States that nothing leads out of."""

ARRIVED = frozenset({State.STORED, State.RECEIPTED})
"""States in which the bytes are under their final name."""

_WAITING = (State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE)
UNFINISHED = (State.NEW, State.READY, *_WAITING, State.HELD, State.LEASED)
"""States in which the bytes have not arrived and may still do so."""

TABLE: Mapping[tuple[State, str], State] = {
    (State.NEW, "due"): State.READY,
    (State.READY, "leased"): State.LEASED,
    (State.LEASED, "stored"): State.STORED,
    (State.LEASED, "returned"): State.READY,
    (State.LEASED, "restarted"): State.READY,
    (State.LEASED, "deferred"): State.DEFERRED,
    (State.LEASED, "needs_auth"): State.NEEDS_AUTH,
    (State.LEASED, "no_space"): State.NO_SPACE,
    (State.LEASED, "failed"): State.FAILED,
    (State.LEASED, "quarantined"): State.QUARANTINED,
    (State.HELD, "released"): State.READY,
    (State.STORED, "receipted"): State.RECEIPTED,
    **{(state, "due"): State.READY for state in _WAITING},
    **{(state, "woken"): State.READY for state in _WAITING},
    **{(state, "hurried"): State.READY for state in (State.NEW, State.READY, *_WAITING)},
    **{(state, "no_space"): State.NO_SPACE for state in (State.NEW, State.READY, *_WAITING)},
    **{(state, "held"): State.HELD for state in UNFINISHED if state is not State.HELD},
    **{(state, "cancelled"): State.CANCELLED for state in UNFINISHED},
    **{(state, "expired"): State.EXPIRED for state in UNFINISHED},
    **{(state, "extended"): state for state in UNFINISHED},
    **{(state, "ranked"): state for state in UNFINISHED},
}
"""What leads where. Everything that is not here is refused. One more event changes no state: "at_risk"."""


def after(state: State, event: str) -> State:
    """The state that `event` leads to from `state`.

    Raises:
        Conflict: nothing leads there; a terminal state knows no event.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise Conflict(f"a job that is {state} cannot be {event}") from None


def moved(job: Job, event: str, now: Instant) -> Job:
    """The job after an operator's or a reader's event.

    Raises:
        Conflict: its state does not allow it.
    """
    state = after(job.state, event)
    held = now if state is State.HELD else None
    rested = evolve(job, deadline=_rested(job, now)) if event == "released" else job
    due = now if state is State.READY else None
    return evolve(rested, state=state, due=due, held=held, condition="operator" if held is not None else "")


def _rested(job: Job, now: Instant) -> Instant:
    """The deadline after it was held: our own clock stood still, the sender's did not."""
    if job.held is None or now <= job.held:
        return job.deadline
    return max(job.deadline, deadline_of(job.accepted, job.deadline + (now - job.held) - job.accepted, job.not_after))


def extended(job: Job, not_after: Instant | None, until: Instant, now: Instant) -> Job:
    """The job with more time: until `until`, or the margin before the sender's new `not_after` where one is given.

    Nothing becomes earlier by it, and it is not at risk any more. What is looked at again at its deadline, for want of
    room, is so at the new one. `until` is the end of our own lifetime for what a
    sender granted, and whatever an operator says.

    Raises:
        Conflict: the job is over, or would have no more time than before.
    """
    if job.state not in UNFINISHED:
        raise Conflict(f"a job that is {job.state} cannot be extended")
    deadline = max(job.deadline, deadline_of(job.accepted, until - job.accepted, not_after))
    later = not_after if job.not_after is None or not_after is None else max(job.not_after, not_after)
    if deadline <= max(job.deadline, now):
        raise Conflict("there would be no more time than before")
    due = deadline if is_without_room(job) else job.due
    return evolve(job, deadline=deadline, due=due, not_after=later or job.not_after, at_risk=None)


def is_without_room(job: Job) -> bool:
    """Whether no attempt is made before there is room, or its deadline is there: nobody looks at it until then."""
    return job.state is State.NO_SPACE and job.condition in ("quota", "space") and job.due == job.deadline


class Outcome(StrEnum):
    """How an attempt ended (scheduler semantics, table "outcome and policy")."""

    STORED = "stored"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    PUSHED_BACK = "pushed_back"
    NOT_AUTHORIZED = "not_authorized"
    NOT_PERMITTED = "not_permitted"
    ISSUER_DOWN = "issuer_down"
    MISSING = "missing"
    REFUSED = "refused"
    MISMATCH = "mismatch"
    UNSTABLE = "unstable"
    NO_ROOM = "no_room"
    NO_SPACE = "no_space"
    STRANGER = "stranger"
    INTERRUPTED = "interrupted"
    OURSELVES = "ourselves"


BLAMES: Mapping[Outcome, Blame] = {
    Outcome.STORED: Blame.NOBODY,
    Outcome.UNREACHABLE: Blame.DESTINATION,
    Outcome.BROKEN: Blame.DESTINATION,
    Outcome.PUSHED_BACK: Blame.DESTINATION,
    Outcome.NOT_AUTHORIZED: Blame.JOB,
    Outcome.NOT_PERMITTED: Blame.JOB,
    Outcome.ISSUER_DOWN: Blame.ISSUER,
    Outcome.MISSING: Blame.JOB,
    Outcome.REFUSED: Blame.JOB,
    Outcome.MISMATCH: Blame.JOB,
    Outcome.UNSTABLE: Blame.JOB,
    Outcome.NO_ROOM: Blame.OURSELVES,
    Outcome.NO_SPACE: Blame.OURSELVES,
    Outcome.STRANGER: Blame.JOB,
    Outcome.INTERRUPTED: Blame.NOBODY,
    Outcome.OURSELVES: Blame.OURSELVES,
}
"""Who an outcome is charged to. Total over `Outcome`."""

OUTCOMES: Mapping[type[Refusal], Outcome] = {
    refusals.Malformed: Outcome.BROKEN,
    refusals.Unauthenticated: Outcome.NOT_AUTHORIZED,
    refusals.UnknownClient: Outcome.NOT_PERMITTED,
    refusals.Unproven: Outcome.NOT_AUTHORIZED,
    refusals.Expired: Outcome.NOT_AUTHORIZED,
    refusals.Replayed: Outcome.NOT_AUTHORIZED,
    refusals.NotGranted: Outcome.NOT_PERMITTED,
    refusals.UnsupportedGrant: Outcome.NOT_PERMITTED,
    refusals.UnauthorizedClient: Outcome.NOT_PERMITTED,
    refusals.WrongTarget: Outcome.NOT_PERMITTED,
    refusals.WrongScope: Outcome.NOT_PERMITTED,
    refusals.Forbidden: Outcome.NOT_PERMITTED,
    refusals.Unknown: Outcome.MISSING,
    refusals.Withdrawn: Outcome.REFUSED,
    refusals.Conflict: Outcome.OURSELVES,
    refusals.Unsupported: Outcome.REFUSED,
    refusals.Unsatisfiable: Outcome.UNSTABLE,
    refusals.TooLarge: Outcome.MISMATCH,
    refusals.TooMany: Outcome.PUSHED_BACK,
    refusals.Unavailable: Outcome.UNREACHABLE,
    refusals.NoSpace: Outcome.NO_SPACE,
    refusals.Damaged: Outcome.MISMATCH,
}
"""What a refusal means for the attempt that it ends. Total over `rrsd.core.refusals.ALL`."""

_IN_PHASE: Mapping[tuple[Phase, type[Refusal]], Outcome] = {
    (Phase.INTRODUCE, refusals.Unproven): Outcome.STRANGER,
    (Phase.INTRODUCE, refusals.Unknown): Outcome.STRANGER,
    (Phase.INTRODUCE, refusals.Malformed): Outcome.STRANGER,
    (Phase.INTRODUCE, refusals.Forbidden): Outcome.STRANGER,
    (Phase.INTRODUCE, refusals.TooLarge): Outcome.STRANGER,
    (Phase.AUTH, refusals.Unproven): Outcome.ISSUER_DOWN,  # our own domain does not introduce itself
    (Phase.AUTH, refusals.Unknown): Outcome.ISSUER_DOWN,
    (Phase.AUTH, refusals.Unavailable): Outcome.ISSUER_DOWN,
    (Phase.AUTH, refusals.TooMany): Outcome.ISSUER_DOWN,
    (Phase.AUTH, refusals.Malformed): Outcome.ISSUER_DOWN,
    (Phase.AUTH, refusals.TooLarge): Outcome.ISSUER_DOWN,
    (Phase.BODY, refusals.Unavailable): Outcome.BROKEN,
}


@frozen
class Result:
    """An attempt's end: its outcome, the facts that show it, and what the peer asked for.

    `progressed` is whether bytes became durable, `authorized` whether the issuer had given its delegation, `reached`
    whether the resource server answered, `moved` how many bytes came from there.
    """

    outcome: Outcome
    evidence: str = ""
    retry_after: int | None = None
    progressed: bool = False
    authorized: bool = False
    reached: bool = False
    moved: int = 0


def result_of(phase: Phase, refusal: Refusal) -> Result:
    """What `refusal` in `phase` means for the attempt."""
    outcome = _IN_PHASE.get((phase, type(refusal)), OUTCOMES[type(refusal)])
    asked = refusal.retry_after if isinstance(refusal, refusals.TooMany) else None
    return Result(outcome, f"{phase}: {refusal}", asked)


# --- what the job becomes

JOB_FIRST = timedelta(seconds=30)
JOB_CAP = timedelta(minutes=60)
PUBLISH_RACE = timedelta(hours=1)
AUTH_PROBE = timedelta(hours=6)
SPACE_PROBE = timedelta(minutes=1)
ROOM_CAP = timedelta(minutes=10)
LEAST_WAIT = timedelta(seconds=1)
MOST_CLEAN_RESTARTS = 1


def back_off(first: timedelta, cap: timedelta, n: int, chance: float) -> timedelta:
    """The n-th delay: `first` doubled n times, at most `cap`, with equal jitter kept at the cap (d/2 + U(0, d/2))."""
    delay = min(cap, first * (1 << min(n, 40)))
    return delay / 2 + delay / 2 * chance


def deadline_of(accepted: Instant, lifetime: timedelta, not_after: Instant | None) -> Instant:
    """When a job accepted then gives up: its lifetime, or a tenth before the sender's `not_after` if that is sooner."""
    end = accepted + lifetime
    if not_after is None:
        return end
    return min(end, max(accepted, not_after - (not_after - accepted) / 10))


@frozen
class Planned:
    """The job after an attempt, the event that led there, and whether its fetch starts again from byte 0."""

    job: Job
    event: str
    forget: bool = False


def plan(
    job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None = None, ends: bool = True
) -> Planned:
    """What becomes of a LEASED job; `not_before` is when the blamed party's breaker lets the next probe through.
    `ends` is False while nothing ends although its time is over."""
    charged = evolve(job, blame=BLAMES[result.outcome], evidence=result.evidence, condition="")
    if result.progressed:
        charged = evolve(charged, retries=0)
    planned = _PLANS[result.outcome](charged, result, now, chance, not_before)
    waits = result.outcome is Outcome.PUSHED_BACK and _is_margin_left(planned.job)
    return planned if waits or (now >= job.deadline and not ends) else _expire(planned, now)


def _is_margin_left(job: Job) -> bool:
    """Whether who asks us to come back later does so before the sender's own end: that is what the margin is for."""
    return job.not_after is not None and job.due is not None and job.due < job.not_after


def _expire(planned: Planned, now: Instant) -> Planned:
    """The last attempt is made at the deadline or, where none could be made then, as soon as one can."""
    job = planned.job
    if job.state not in _WAITING or job.due is None:
        return planned
    if now >= job.deadline:
        return Planned(evolve(job, state=State.EXPIRED, due=None), "expired")
    return evolve(planned, job=evolve(job, due=min(job.due, job.deadline)))


def _stored(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    return Planned(evolve(job, state=State.STORED, due=None, evidence=result.evidence, stored=now), "stored")


def _deferred(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    due = now + back_off(JOB_FIRST, JOB_CAP, job.retries, chance)
    condition = "destination" if job.blame is Blame.DESTINATION else ""
    if not_before is not None and not_before > now:
        due = max(not_before, now + LEAST_WAIT)
    return Planned(evolve(job, state=State.DEFERRED, due=due, retries=job.retries + 1, condition=condition), "deferred")


def _pushed_back(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    due = max(not_before or now, now + LEAST_WAIT)
    return Planned(evolve(job, state=State.DEFERRED, due=due, condition="destination"), "deferred")


def _needs_auth(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    waits = evolve(job, state=State.NEEDS_AUTH, due=now + AUTH_PROBE, condition="authorization")
    return Planned(waits, "needs_auth")


def _returned(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    due = max(not_before or now, now + LEAST_WAIT) if job.blame is Blame.ISSUER else now
    condition = "issuer" if job.blame is Blame.ISSUER else ""
    return Planned(evolve(job, state=State.READY, due=due, condition=condition), "returned")


def _missing(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    if now - job.accepted < PUBLISH_RACE:
        return _deferred(job, result, now, chance, None)
    return _failed(job, result, now, chance, None)


def _failed(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    return Planned(evolve(job, state=State.FAILED, due=None), "failed")


def _mismatch(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    if job.restarts >= MOST_CLEAN_RESTARTS:
        return Planned(evolve(job, state=State.QUARANTINED, due=None), "quarantined", forget=True)
    again = evolve(job, state=State.DEFERRED, due=now, restarts=job.restarts + 1)
    return Planned(again, "deferred", forget=True)


def _no_room(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    due = now + back_off(SPACE_PROBE, ROOM_CAP, job.retries, chance)
    waits = evolve(job, state=State.NO_SPACE, due=due, retries=job.retries + 1, condition="space")
    return Planned(waits, "no_space")


def _no_space(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    return Planned(evolve(job, state=State.NO_SPACE, due=now + SPACE_PROBE, condition="space"), "no_space")


def _held(job: Job, result: Result, now: Instant, chance: float, not_before: Instant | None) -> Planned:
    return Planned(evolve(job, state=State.HELD, due=None, condition="policy", held=now), "held")


_PLANS = {
    Outcome.STORED: _stored,
    Outcome.UNREACHABLE: _deferred,
    Outcome.BROKEN: _deferred,
    Outcome.PUSHED_BACK: _pushed_back,
    Outcome.NOT_AUTHORIZED: _needs_auth,
    Outcome.NOT_PERMITTED: _needs_auth,
    Outcome.ISSUER_DOWN: _returned,
    Outcome.MISSING: _missing,
    Outcome.REFUSED: _failed,
    Outcome.MISMATCH: _mismatch,
    Outcome.UNSTABLE: _deferred,
    Outcome.NO_ROOM: _no_room,
    Outcome.NO_SPACE: _no_space,
    Outcome.STRANGER: _held,
    Outcome.INTERRUPTED: _returned,
    Outcome.OURSELVES: _deferred,
}
