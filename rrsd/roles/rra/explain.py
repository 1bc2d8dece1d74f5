"""Why a job is where it is and what would move it, in words and as data (pure). One text for user, operator and
notice.

The tables in `standing` make it total. A job that is not over has a time for its next step, or an obstacle with a name:
`is_sound` says so, and the self-check asks it (promise R7). `contradictions` compares what is said here with the facts.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from attrs import frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, HistoryRow, Job, State
from rrsd.core.values.operations import Ruling
from rrsd.roles.rra import rules
from rrsd.roles.rra.standing import (
    BLAMED,
    EARLY,
    GATES,
    NEXT_IN_LINE,
    OBSTACLES,
    TO_BLAME,
    Obstacle,
    Said,
    standing_of,
    typed,
    words,
)

LONGEST_ETA = 365 * 86400.0
"""Seconds; what would take longer is no guess worth making."""
STALLED = 10.0
"""Seconds without a byte after which that is said."""

_SPEAKING = frozenset(
    {State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE, State.FAILED, State.EXPIRED, State.QUARANTINED}
)
"""States that an attempt, or the want of room, has led to: their blame and evidence are of the present."""


@frozen
class Around:
    """What is known beside the job, as far as it is: a notice knows none of it.

    `issuer` is the token service's breaker while that keeps everybody back. `held_back` is until when this host begins
    nothing because it could not store. `limited` is the operator's limit that keeps it back. `gate` is a key of
    `GATES`, "" for none. `ahead` is how many jobs are before it at its destination, `is_leased_ahead` whether it is
    leased and waits for one of them. `done` bytes of the one that is being pulled are here, all of them if `is_whole`;
    `rate` of them come in a second, none for `quiet` seconds, and at `ends` its attempt ends if that stays so.
    `attempts` is None where nobody looked for them. `act` is the transition that led to its state. `successor` is the
    job that took its place.
    """

    issuer: Breaker | None = None
    held_back: Instant | None = None
    drained: Ruling | None = None
    paused: Ruling | None = None
    limited: Ruling | None = None
    gate: str = ""
    ahead: int | None = None
    is_leased_ahead: bool = False
    done: int = 0
    rate: float = 0.0
    quiet: float = 0.0
    ends: Instant | None = None
    is_whole: bool = False
    attempts: Sequence[HistoryRow] | None = None
    act: HistoryRow | None = None
    successor: int = 0


@frozen
class Wait:
    """One obstacle: until when, if that is known, and what to say about it."""

    name: Obstacle
    until: Instant | None
    said: Said


@frozen
class Explanation:
    """A job's standing: `sentence` for people, the rest for programs.

    `next` is when it moves by itself, if it does. `waits_for` names what it waits for, the outermost first. `eta` is
    when it will be here if it goes on as it does, `at_risk` since when it is known that its time will hardly do.
    """

    sentence: str
    state: State
    blame: str
    evidence: str
    next: Instant | None
    remedy: str
    waits_for: tuple[str, ...] = ()
    ahead: int | None = None
    eta: Instant | None = None
    attempts: tuple[HistoryRow, ...] = ()
    successor: int = 0
    at_risk: Instant | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the job is over, or has a next time or a named condition (promise R7)."""
        is_lost = Obstacle.NOTHING in self.waits_for
        return self.state in rules.TERMINAL or (not is_lost and bool(self.next is not None or self.waits_for))


def explain(job: Job, breaker: Breaker | None, now: Instant, around: Around | None = None) -> Explanation:
    """Why `job` is where it is; `breaker` is its destination's when that is not in perfect health."""
    around = around or Around()
    standing = _standing(job, around, now)
    waits = tuple(_waits(job, breaker, around, now))
    moves = _moves(job, waits, now)
    remedies = [each.said.remedy for each in waits if each.said.remedy] or [standing.remedy]
    remedy = f"It went on as pull {around.successor}." if around.successor else typed(remedies[0], job)
    eta, is_at_risk = _eta(job, around, now), job.at_risk is not None and job.state in rules.UNFINISHED
    past, is_present = _past(job, around, now), _is_present(job, around, now)
    sentences = [
        standing.sentence,
        *(each.said.sentence for each in waits),
        past,
        "Its time will hardly do, as things are." if is_at_risk else "",
        f"The next attempt is in {words(moves - now)}." if moves is not None and moves > now else "",
        f"It will be here in {words(eta - now)}." if eta is not None else "",
        remedy,
    ]
    blame = next((TO_BLAME[each.name] for each in waits if each.name in TO_BLAME), None)
    return Explanation(
        sentence=" ".join(each for each in sentences if each),
        state=job.state,
        blame=BLAMED[blame or (job.blame if is_present else Blame.NOBODY)],
        evidence=job.evidence if past or job.state in rules.ARRIVED else "",
        next=moves,
        remedy=remedy,
        waits_for=_names(job, waits),
        ahead=around.ahead,
        eta=eta,
        attempts=tuple(around.attempts or ()),
        successor=around.successor,
        at_risk=job.at_risk if is_at_risk else None,
    )


# --- what it is


def _standing(job: Job, around: Around, now: Instant) -> Said:
    if _is_next(job, around):
        return NEXT_IN_LINE
    said = standing_of(job, _condition(job, around, now))
    if job.state is State.LEASED and around.is_whole:
        return Said(f"{said.sentence} All of it has come, and is being checked.", said.remedy)
    at = around.act.at if around.act is not None else job.held
    if not _is_by_hand(job, around, now) or at is None:
        return said
    who = (around.act.evidence if around.act is not None else "") or "operator"
    return Said(f"{said.sentence} ({who}, {at:%Y-%m-%d %H:%M} UTC.)", said.remedy)


def _condition(job: Job, around: Around, now: Instant) -> str:
    """What it waits for; of one that has expired whether that was early: nothing but an operator's word ends a pull
    before its deadline."""
    at = around.act.at if around.act is not None else now
    return EARLY if job.state is State.EXPIRED and at < job.deadline else job.condition


def _is_by_hand(job: Job, around: Around, now: Instant) -> bool:
    """Whether an operator's verb led to its state."""
    is_held = job.state is State.HELD and job.condition != "policy"
    return is_held or job.state is State.CANCELLED or _condition(job, around, now) == EARLY


def _is_next(job: Job, around: Around) -> bool:
    return job.state is State.LEASED and around.is_leased_ahead


def _own(job: Job) -> tuple[str, ...]:
    """Those that nothing outside keeps back: somebody holds it, an attempt runs, or a receipt is on its way."""
    names = {State.HELD: job.condition or "operator", State.LEASED: "attempt", State.STORED: "receipt"}
    return (names[job.state],) if job.state in names else ()


def _names(job: Job, waits: Sequence[Wait]) -> tuple[str, ...]:
    found = tuple(_named(job, each) for each in waits)
    return found if found and Obstacle.STALL not in found else (*_own(job), *found)


def _named(job: Job, wait: Wait) -> str:
    is_own = wait.name in (Obstacle.CONDITION, Obstacle.TIME)
    return job.condition if is_own and job.condition else str(wait.name)


# --- what keeps it


def _waits(job: Job, breaker: Breaker | None, around: Around, now: Instant) -> Iterator[Wait]:
    """Everything that keeps the job from running now, the outermost first."""
    if _is_next(job, around):
        yield from _limited(around, now)
        yield Wait(Obstacle.SLOT, now, Said(GATES.get(around.gate, GATES[""])))
    elif job.state is State.LEASED and around.quiet >= STALLED and not around.is_whole:
        yield Wait(Obstacle.STALL, around.ends, _stalled(around, now))
    if job.state in rules.TERMINAL or job.state in rules.ARRIVED or job.state in (State.HELD, State.LEASED):
        return
    outer = (*_ruled(around), *_closed_here(around, now), *_closed(breaker, now))
    yield from outer
    yield from _in_line(job, around, now, is_free=not outer)


def _stalled(around: Around, now: Instant) -> Said:
    if around.ends is not None and around.ends > now:
        end = f"; if it stays so, this attempt ends within {words(around.ends - now)}, and another is made later."
    else:
        end = "."
    quiet = words(timedelta(seconds=around.quiet))
    return Said(f"Nothing has come for {quiet}{end}", OBSTACLES[Obstacle.STALL].remedy)


def _ruled(around: Around) -> Iterator[Wait]:
    for ruling, name in ((around.drained, Obstacle.DRAINED), (around.paused, Obstacle.PAUSED)):
        if ruling is not None:
            yield Wait(name, None, _laid_down(ruling, OBSTACLES[name]))


def _limited(around: Around, now: Instant) -> Iterator[Wait]:
    if around.limited is not None:
        yield Wait(Obstacle.LIMITED, now, _laid_down(around.limited, OBSTACLES[Obstacle.LIMITED]))


def _laid_down(ruling: Ruling, said: Said) -> Said:
    """With who laid it down, when and why."""
    why = f" Reason: {ruling.reason}." if ruling.reason else ""
    sentence = said.sentence.replace("MOST", str(ruling.most))
    return Said(
        f"{sentence} ({ruling.who}, {ruling.at:%Y-%m-%d %H:%M} UTC.){why}",
        said.remedy.replace("ORIGIN", ruling.name),
    )


def _closed_here(around: Around, now: Instant) -> Iterator[Wait]:
    """What this host and our own domain keep back."""
    if around.held_back is not None and around.held_back > now:
        yield Wait(Obstacle.HOST, around.held_back, OBSTACLES[Obstacle.HOST])
    if around.issuer is not None and around.issuer.not_before is not None and around.issuer.not_before > now:
        yield Wait(Obstacle.ISSUER, around.issuer.not_before, OBSTACLES[Obstacle.ISSUER])


def _closed(breaker: Breaker | None, now: Instant) -> Iterator[Wait]:
    if breaker is None:
        return
    name = Obstacle.PUSHED_BACK if breaker.opened is None else Obstacle.OUTAGE
    if breaker.not_before is not None and breaker.not_before > now:
        said = OBSTACLES[name]
        yield Wait(name, breaker.not_before, Said(said.sentence, said.remedy.replace("ORIGIN", breaker.name)))
    elif breaker.opened is not None:
        yield Wait(Obstacle.PROBE, now, OBSTACLES[Obstacle.PROBE])


def _in_line(job: Job, around: Around, now: Instant, is_free: bool) -> Iterator[Wait]:
    """What the job itself waits for; `is_free` is whether nothing outside keeps it back."""
    if job.due is None:
        name = Obstacle.CONDITION if job.condition else Obstacle.NOTHING
        yield Wait(name, None, OBSTACLES[name])
    elif job.due > now and rules.is_without_room(job):
        yield Wait(Obstacle.CONDITION, None, OBSTACLES[Obstacle.CONDITION])
    elif job.due > now:
        yield Wait(Obstacle.TIME, job.due, OBSTACLES[Obstacle.TIME])
    else:
        yield from _limited(around, now)
        before = f" {around.ahead} are before it at its resource server." if around.ahead else ""
        if around.gate:
            yield Wait(Obstacle.SLOT, now, Said(GATES.get(around.gate, GATES[""]) + before))
        elif is_free:
            yield Wait(Obstacle.TURN, now, Said(OBSTACLES[Obstacle.TURN].sentence + before))


# --- when it moves, and what was before


def _moves(job: Job, waits: Sequence[Wait], now: Instant) -> Instant | None:
    """When the last of the obstacles is gone; None where one of them has no time."""
    if job.state is State.LEASED:
        return now
    times = [each.until for each in waits if each.until is not None]
    return max(times) if times and len(times) == len(waits) else None


def _is_present(job: Job, around: Around, now: Instant) -> bool:
    """Whether what its row says of blame and evidence is why it is where it is; else it is history."""
    if job.state is State.EXPIRED:
        return _condition(job, around, now) != EARLY
    return job.state in _SPEAKING or (job.state in (State.HELD, State.READY) and job.condition in ("policy", "issuer"))


def _past(job: Job, around: Around, now: Instant) -> str:
    """What is known of the attempt before; a condition that has passed, and that cost no attempt, is not told."""
    if not job.evidence or job.state in rules.ARRIVED:
        return ""
    if not _is_of_attempt(job, around):
        return f"{job.evidence[:1].upper()}{job.evidence[1:]}." if _is_present(job, around, now) else ""
    which = "The attempt before" if job.state is State.LEASED else "The last attempt"
    if job.blame is Blame.NOBODY:
        return f"{which} ended: {job.evidence}."
    return f"{which} was charged to {BLAMED[job.blame]}: {job.evidence}."


def _is_of_attempt(job: Job, around: Around) -> bool:
    """Whether its evidence is that of an attempt."""
    if around.attempts is not None:
        return any(row.evidence == job.evidence for row in around.attempts)
    is_ours = job.blame is Blame.OURSELVES and job.state not in _SPEAKING
    return not is_ours and job.state is not State.NO_SPACE and job.attempts > (job.state is State.LEASED)


def _eta(job: Job, around: Around, now: Instant) -> Instant | None:
    """When it will be here at the pace of this moment; None where that is no more than a guess."""
    if job.state is not State.LEASED or around.is_leased_ahead or around.is_whole or around.quiet >= STALLED:
        return None
    left = max(0, job.size - around.done)
    if around.rate <= 0 or left / around.rate > LONGEST_ETA:
        return None
    return now + timedelta(seconds=left / around.rate)
