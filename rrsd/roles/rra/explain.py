"""Why a job is where it is and what would move it, in words and as data (pure). One text for user, operator and
notice."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, Job, State

_STANDING = {
    State.NEW: "It was accepted and waits for its first attempt.",
    State.READY: "It may run and waits for a free slot.",
    State.LEASED: "It is being pulled now.",
    State.STORED: "It has arrived, was verified and is kept here; the receipt is on its way to the sender's domain.",
    State.RECEIPTED: "It has arrived, was verified and is kept here; the sender's domain knows.",
    State.DEFERRED: "An attempt failed; it is tried again by itself.",
    State.NEEDS_AUTH: "The sender's domain does not let this recipient have it, or took no proof of who asks.",
    State.NO_SPACE: "This host had no space for it.",
    State.HELD: "It is held until somebody releases it.",
    State.FAILED: "The sender's domain said for good that it cannot be had.",
    State.EXPIRED: "It could not be fetched before its time was over.",
    State.CANCELLED: "Somebody cancelled it.",
    State.QUARANTINED: "Twice, the bytes that came were not the ones that the message promised.",
}

_UNHEARD = (
    "It has arrived, was verified and is kept here; the sender's domain did not take the receipt and is not told any "
    "more; `retry-now` tells it again."
)

_REMEDY = {
    State.NEEDS_AUTH: "Ask the sender whether the message was meant for this address; `retry-now` asks again at once.",
    State.NO_SPACE: "Free disk space; the pull goes on by itself within minutes.",
    State.HELD: "Release it (`rrsctl pulls release`) once its reason is settled.",
    State.FAILED: "Ask the sender to send it again.",
    State.EXPIRED: "Ask the sender to send it again.",
    State.CANCELLED: "Ask the sender to send it again.",
    State.QUARANTINED: "Tell the sender's postmaster; ask the sender to send it again.",
}

_BLAMED = {
    Blame.NOBODY: "nobody",
    Blame.JOB: "this resource",
    Blame.DESTINATION: "the sender's resource server",
    Blame.ISSUER: "the token service of our own domain",
    Blame.OURSELVES: "this host",
}


@frozen
class Explanation:
    """A job's standing: `sentence` for people, the rest for programs. `next` is when it moves by itself, if it does."""

    sentence: str
    state: State
    blame: str
    evidence: str
    next: Instant | None
    remedy: str


def explain(job: Job, breaker: Breaker | None, now: Instant) -> Explanation:
    """Why `job` is where it is; `breaker` is its destination's when that is not in perfect health."""
    moves = _moves(job, breaker)
    sentences = [_UNHEARD if job.condition == "receipt" else _STANDING[job.state]]
    if job.evidence and job.state not in (State.STORED, State.RECEIPTED):
        sentences.append(f"The last attempt was charged to {_BLAMED[job.blame]}: {job.evidence}.")
    if moves is not None and moves > now:
        sentences.append(f"The next attempt is in {_words(moves - now)}.")
    remedy = _REMEDY.get(job.state, "")
    if remedy:
        sentences.append(remedy)
    return Explanation(" ".join(sentences), job.state, _BLAMED[job.blame], job.evidence, moves, remedy)


def _moves(job: Job, breaker: Breaker | None) -> Instant | None:
    if job.due is None or breaker is None or breaker.not_before is None:
        return job.due
    return max(job.due, breaker.not_before)


def _words(wait: timedelta) -> str:
    seconds = int(wait.total_seconds())
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"
