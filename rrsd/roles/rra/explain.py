"""Why a job is where it is and what would move it, in words and as data (pure). One text for user, operator and
notice.

Two tables make it total. `STANDING` has a sentence and a remedy for every state and condition that the life of a job
leads to; `OBSTACLES` has them for everything outside the job that keeps it from running now. A job that is not over has
a time for its next step, or an obstacle with a name: `is_sound` says so, and the self-check asks it (promise R7).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from attrs import field, frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, HistoryRow, Job, State
from rrsd.core.values.operations import Ruling
from rrsd.roles.rra import rules


@frozen
class Said:
    """A sentence, and what somebody could do about it."""

    sentence: str
    remedy: str = ""


_AGAIN = "Ask the sender to send it again; `rrsctl pulls requeue-fresh` pulls it once more with a fresh lifetime."
_RELEASE = "Release it (`rrsctl pulls release`) once its reason is settled."
_ASK = "Ask the sender whether the message was meant for this address; `retry-now` asks again at once."
_WAIT = "Nothing need be done; `retry-now` tries at once."
_SPACE = "Free disk space; the pull goes on by itself within minutes."
_ARRIVED = "It has arrived, was verified and is kept here; "

STANDING: Mapping[tuple[State, str], Said] = {
    (State.NEW, ""): Said("It was accepted and waits for its first attempt.", _WAIT),
    (State.READY, ""): Said("It may run and waits for a free slot.", _WAIT),
    (State.READY, "issuer"): Said("It may run as soon as the token service of our own domain answers.", _WAIT),
    (State.LEASED, ""): Said("It is being pulled now.", "Nothing need be done."),
    (State.STORED, ""): Said(_ARRIVED + "the receipt is on its way to the sender's domain."),
    (State.STORED, "receipt"): Said(
        _ARRIVED + "the sender's domain did not take the receipt and is not told any more.",
        "`retry-now` tells it again.",
    ),
    (State.RECEIPTED, ""): Said(_ARRIVED + "the sender's domain knows."),
    (State.DEFERRED, ""): Said("An attempt failed; it is tried again by itself.", _WAIT),
    (State.DEFERRED, "destination"): Said("The sender's resource server could not give it; it is tried again.", _WAIT),
    (State.NEEDS_AUTH, ""): Said("The proof of who asks was not taken.", _ASK),
    (State.NEEDS_AUTH, "authorization"): Said(
        "The sender's domain does not let this recipient have it, or took no proof of who asks.", _ASK
    ),
    (State.NO_SPACE, ""): Said("This host had no space for it.", _SPACE),
    (State.NO_SPACE, "space"): Said("This host had no space for it.", _SPACE),
    (State.NO_SPACE, "quota"): Said(
        "The recipient's share of this host is full.",
        "What the recipient lets go of makes room at once; an administrator can give more (`rrsctl users set-quota`).",
    ),
    (State.HELD, ""): Said("It is held until somebody releases it.", _RELEASE),
    (State.HELD, "operator"): Said("It is held by an operator until somebody releases it.", _RELEASE),
    (State.HELD, "policy"): Said(
        "It is held: who the sender's domain is could not be proved, or may not be trusted.",
        "Look at `rrsctl identity verify`, then release it (`rrsctl pulls release`).",
    ),
    (State.FAILED, ""): Said("The sender's domain said for good that it cannot be had.", _AGAIN),
    (State.EXPIRED, ""): Said("It could not be fetched before its time was over.", _AGAIN),
    (State.CANCELLED, ""): Said("Somebody cancelled it.", _AGAIN),
    (State.QUARANTINED, ""): Said(
        "The bytes that came, twice, were not the ones that the message promised; none of them were kept.",
        "Tell the sender's postmaster; `rrsctl pulls quarantine-release` pulls it once more, the digest is still"
        " checked.",
    ),
}
"""Of a state and of the condition that the job waits for. A condition that has no words of its own is named."""

NEXT_IN_LINE = Said("It is one of the next at its resource server.", "Nothing need be done.")
"""Of one that is leased ahead, so that nobody waits for it to be when its turn comes: nothing of it is pulled yet."""

LONGEST_ETA = 365 * 86400.0
"""Seconds; what would take longer is no guess worth making."""


class Obstacle(StrEnum):
    """What keeps a job from running now: the named conditions of promise R7."""

    DRAINED = "drained"
    PAUSED = "paused"
    HOST = "host"
    ISSUER = "issuer"
    PUSHED_BACK = "pushed back"
    OUTAGE = "outage"
    PROBE = "probe"
    TIME = "time"
    CONDITION = "condition"
    SLOT = "slot"
    NOTHING = "nothing"


OBSTACLES: Mapping[Obstacle, Said] = {
    Obstacle.DRAINED: Said("The whole daemon starts nothing new: an operator said so.", "`rrsctl pulls undrain`."),
    Obstacle.PAUSED: Said("An operator paused this resource server.", "`rrsctl pulls resume ORIGIN`."),
    Obstacle.HOST: Said("This host could not store a moment ago, and begins nothing new.", "Look at disk and log."),
    Obstacle.ISSUER: Said(
        "The token service of our own domain does not answer, and nothing is asked of anybody meanwhile.",
        "Look at the token service; `rrsctl pulls retry-now --issuer` asks it at once.",
    ),
    Obstacle.PUSHED_BACK: Said("The resource server asked to come back later.", "Nothing need be done."),
    Obstacle.OUTAGE: Said(
        "The resource server does not answer and is left alone until its next probe.",
        "Nothing need be done; `rrsctl pulls retry-now --destination ORIGIN` probes it at once.",
    ),
    Obstacle.PROBE: Said("One pull at a time shows whether the resource server answers again.", ""),
    Obstacle.TIME: Said("", ""),
    Obstacle.CONDITION: Said("", ""),
    Obstacle.SLOT: Said("", ""),
    Obstacle.NOTHING: Said(
        "It waits for nothing at all, which must not be: the self-check mends that within the hour.",
        "`retry-now` mends it at once.",
    ),
}
"""Total over `Obstacle`; an empty one adds nothing to what the state says."""

GATES: Mapping[str, str] = {
    "": "It is in line.",
    "house": "All slots of this host are taken.",
    "destination": "Its resource server has all the transfers that it may have now.",
    "recipient": "Its recipient has all the transfers that one recipient may have.",
    "large": "The slots for large resources are taken; a quarter is kept for small ones.",
    "interactive": "The slots for those who wait at a screen are taken.",
    "unproved": "The slots for resource servers that have not delivered anything of late are taken.",
}
"""Which share is used up while it waits for a slot."""

_TO_BLAME: Mapping[Obstacle, Blame] = {
    Obstacle.DRAINED: Blame.OURSELVES,
    Obstacle.PAUSED: Blame.OURSELVES,
    Obstacle.HOST: Blame.OURSELVES,
    Obstacle.ISSUER: Blame.ISSUER,
    Obstacle.PUSHED_BACK: Blame.DESTINATION,
    Obstacle.OUTAGE: Blame.DESTINATION,
    Obstacle.PROBE: Blame.DESTINATION,
    Obstacle.NOTHING: Blame.OURSELVES,
}
"""Whose doing it is; the others leave it with the last attempt."""

_BLAMED = {
    Blame.NOBODY: "nobody",
    Blame.JOB: "this resource",
    Blame.DESTINATION: "the sender's resource server",
    Blame.ISSUER: "the token service of our own domain",
    Blame.OURSELVES: "this host",
}


@frozen
class Around:
    """What is known beside the job, as far as it is: a notice knows none of it.

    `issuer` is the token service's breaker while that keeps everybody back. `held_back` is until when this host begins
    nothing because it could not store. `gate` is a key of `GATES`. `ahead` is how many jobs are before it at its
    destination, `is_leased_ahead` whether it is leased and waits for one of them. `done` bytes of the one that is being
    pulled are here, `rate` of them come in a second. `successor` is the job that took its place.
    """

    issuer: Breaker | None = None
    held_back: Instant | None = None
    drained: Ruling | None = None
    paused: Ruling | None = None
    gate: str = ""
    ahead: int | None = None
    is_leased_ahead: bool = False
    done: int = 0
    rate: float = 0.0
    attempts: Sequence[HistoryRow] = field(factory=tuple)
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
    standing = NEXT_IN_LINE if _is_next(job, around) else standing_of(job)
    waits = tuple(_waits(job, breaker, around, now))
    moves = _moves(job, waits, now)
    remedies = [each.said.remedy for each in waits if each.said.remedy] or [standing.remedy]
    remedy = f"It went on as pull {around.successor}." if around.successor else remedies[0]
    eta, is_at_risk = _eta(job, around, now), job.at_risk is not None and job.state in rules.UNFINISHED
    sentences = [
        standing.sentence,
        *(each.said.sentence for each in waits),
        _last_attempt(job),
        "Its time will hardly do, as things are." if is_at_risk else "",
        f"The next attempt is in {_words(moves - now)}." if moves is not None and moves > now else "",
        f"It will be here in {_words(eta - now)}." if eta is not None else "",
        remedy,
    ]
    blame = next((_TO_BLAME[each.name] for each in waits if each.name in _TO_BLAME), job.blame)
    return Explanation(
        sentence=" ".join(each for each in sentences if each),
        state=job.state,
        blame=_BLAMED[blame],
        evidence=job.evidence,
        next=moves,
        remedy=remedy,
        waits_for=tuple(_named(job, each) for each in waits) or _own(job),
        ahead=around.ahead,
        eta=eta,
        attempts=tuple(around.attempts),
        successor=around.successor,
        at_risk=job.at_risk if is_at_risk else None,
    )


def standing_of(job: Job) -> Said:
    """What is said of the job's state and condition."""
    exact = STANDING.get((job.state, job.condition))
    if exact is not None:
        return exact
    said = STANDING[job.state, ""]
    return Said(f"{said.sentence} It waits for: {job.condition}.", said.remedy)


def _is_next(job: Job, around: Around) -> bool:
    return job.state is State.LEASED and around.is_leased_ahead


def _own(job: Job) -> tuple[str, ...]:
    """Those that nothing outside keeps back: somebody holds it, an attempt runs, or a receipt is on its way."""
    names = {State.HELD: job.condition or "operator", State.LEASED: "attempt", State.STORED: "receipt"}
    return (names[job.state],) if job.state in names else ()


def _named(job: Job, wait: Wait) -> str:
    is_own = wait.name in (Obstacle.CONDITION, Obstacle.TIME)
    return job.condition if is_own and job.condition else str(wait.name)


def _waits(job: Job, breaker: Breaker | None, around: Around, now: Instant) -> Iterator[Wait]:
    """Everything that keeps the job from running now, the outermost first."""
    if _is_next(job, around):
        yield Wait(Obstacle.SLOT, now, Said(GATES.get(around.gate, GATES[""])))
    if job.state in rules.TERMINAL or job.state in rules.ARRIVED or job.state in (State.HELD, State.LEASED):
        return
    yield from _ruled(around)
    if around.held_back is not None and around.held_back > now:
        yield Wait(Obstacle.HOST, around.held_back, OBSTACLES[Obstacle.HOST])
    if around.issuer is not None and around.issuer.not_before is not None and around.issuer.not_before > now:
        yield Wait(Obstacle.ISSUER, around.issuer.not_before, OBSTACLES[Obstacle.ISSUER])
    yield from _closed(breaker, now)
    yield from _in_line(job, around, now)


def _ruled(around: Around) -> Iterator[Wait]:
    for ruling, name in ((around.drained, Obstacle.DRAINED), (around.paused, Obstacle.PAUSED)):
        if ruling is not None:
            said = OBSTACLES[name]
            why = f" Reason: {ruling.reason}." if ruling.reason else ""
            remedy = said.remedy.replace("ORIGIN", ruling.name)
            yield Wait(
                name, None, Said(f"{said.sentence} ({ruling.who}, {ruling.at:%Y-%m-%d %H:%M} UTC.){why}", remedy)
            )


def _closed(breaker: Breaker | None, now: Instant) -> Iterator[Wait]:
    if breaker is None:
        return
    name = Obstacle.PUSHED_BACK if breaker.opened is None else Obstacle.OUTAGE
    if breaker.not_before is not None and breaker.not_before > now:
        said = OBSTACLES[name]
        yield Wait(name, breaker.not_before, Said(said.sentence, said.remedy.replace("ORIGIN", breaker.name)))
    elif breaker.opened is not None:
        yield Wait(Obstacle.PROBE, now, OBSTACLES[Obstacle.PROBE])


def _in_line(job: Job, around: Around, now: Instant) -> Iterator[Wait]:
    """What the job itself waits for."""
    if job.due is None:
        name = Obstacle.CONDITION if job.condition else Obstacle.NOTHING
        yield Wait(name, None, OBSTACLES[name])
    elif job.due > now and rules.is_without_room(job):
        yield Wait(Obstacle.CONDITION, None, OBSTACLES[Obstacle.CONDITION])
    elif job.due > now:
        yield Wait(Obstacle.TIME, job.due, OBSTACLES[Obstacle.TIME])
    else:
        before = f" {around.ahead} are before it at its resource server." if around.ahead else ""
        yield Wait(Obstacle.SLOT, now, Said(GATES.get(around.gate, GATES[""]) + before))


def _moves(job: Job, waits: Sequence[Wait], now: Instant) -> Instant | None:
    """When the last of the obstacles is gone; None where one of them has no time."""
    if job.state is State.LEASED:
        return now
    times = [each.until for each in waits if each.until is not None]
    return max(times) if times and len(times) == len(waits) else None


def _last_attempt(job: Job) -> str:
    if not job.evidence or job.state in rules.ARRIVED:
        return ""
    if rules.is_without_room(job):
        return f"{job.evidence[:1].upper()}{job.evidence[1:]}."
    return f"The last attempt was charged to {_BLAMED[job.blame]}: {job.evidence}."


def _eta(job: Job, around: Around, now: Instant) -> Instant | None:
    left = max(0, job.size - around.done)
    if job.state is not State.LEASED or around.rate <= 0 or left / around.rate > LONGEST_ETA:
        return None
    return now + timedelta(seconds=left / around.rate)


def _words(wait: timedelta) -> str:
    seconds = int(wait.total_seconds())
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"
