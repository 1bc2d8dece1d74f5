"""What is said of a pull: the sentences and remedies of `explain`, as tables (pure).

`STANDING` has a sentence and a remedy for every state and condition that the life of a job leads to; `OBSTACLES` has
them for everything outside the job that keeps it from running now.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from attrs import evolve, frozen

from rrsd.core.values.jobs import Blame, Job, State


@frozen
class Said:
    """A sentence, and what somebody could do about it."""

    sentence: str
    remedy: str = ""


EARLY = "early"
"""Of one that has expired before its time was over: somebody said so. No job has this condition."""

_AGAIN = "Ask the sender to send it again; `rrsctl pulls requeue-fresh {job}` pulls it once more with a fresh lifetime."
_RELEASE = "Release it once its reason is settled: `rrsctl pulls release {job}`."
_ASK = "Ask the sender whether the message was meant for this address; `rrsctl pulls retry-now {job}` asks again."
_WAIT = "Nothing need be done; `rrsctl pulls retry-now {job}` tries at once."
_SPACE = "Free disk space; the pull goes on by itself within minutes."
_ARRIVED = "It has arrived, was verified and is kept here; "

STANDING: Mapping[tuple[State, str], Said] = {
    (State.NEW, ""): Said("It was accepted and waits for its first attempt.", _WAIT),
    (State.READY, ""): Said("It is ready to be pulled.", _WAIT),
    (State.READY, "issuer"): Said("It is tried again as soon as the token service of our own domain answers.", _WAIT),
    (State.LEASED, ""): Said("It is being pulled now.", "Nothing need be done."),
    (State.STORED, ""): Said(_ARRIVED + "the receipt is on its way to the sender's domain."),
    (State.STORED, "receipt"): Said(
        _ARRIVED + "the sender's domain did not take the receipt and is not told any more.",
        "`rrsctl pulls retry-now {job}` tells it again.",
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
        "What the recipient lets go of makes room at once; an administrator can give more"
        " (`rrsctl users set-quota {recipient} SIZE`).",
    ),
    (State.HELD, ""): Said("It is held until somebody releases it.", _RELEASE),
    (State.HELD, "operator"): Said("It is held by an operator until somebody releases it.", _RELEASE),
    (State.HELD, "policy"): Said(
        "It is held: who the sender's domain is could not be proved, or may not be trusted.",
        "Look at `rrsctl identity verify {sender}`, then release it: `rrsctl pulls release {job}`.",
    ),
    (State.FAILED, ""): Said("The sender's domain said for good that it cannot be had.", _AGAIN),
    (State.EXPIRED, ""): Said("It could not be fetched before its time was over.", _AGAIN),
    (State.EXPIRED, EARLY): Said("An operator ended it before its time was over.", _AGAIN),
    (State.CANCELLED, ""): Said("An operator cancelled it.", _AGAIN),
    (State.QUARANTINED, ""): Said(
        "The bytes that came, twice, were not the ones that the message promised; none of them were kept.",
        "Tell the sender's postmaster; `rrsctl pulls quarantine-release {job}` pulls it once more, the digest is still"
        " checked.",
    ),
}
"""Of a state and of the condition that the job waits for. A condition that has no words of its own is named."""

NEXT_IN_LINE = Said("It is one of the next at its resource server.", "Nothing need be done.")
"""Of one that is leased ahead, so that nobody waits for it to be when its turn comes: nothing of it is pulled yet."""


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
    LIMITED = "limited"
    SLOT = "slot"
    TURN = "turn"
    STALL = "stall"
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
    Obstacle.LIMITED: Said(
        "An operator lets no more than MOST come from this resource server at once.", "`rrsctl pulls limit ORIGIN 0`."
    ),
    Obstacle.SLOT: Said("", ""),
    Obstacle.TURN: Said("It is in line.", ""),
    Obstacle.STALL: Said("", "Nothing need be done: what came is kept, and the next attempt goes on from there."),
    Obstacle.NOTHING: Said(
        "It waits for nothing at all, which must not be: the self-check mends that within the hour.",
        "`rrsctl pulls retry-now {job}` mends it at once.",
    ),
}
"""Total over `Obstacle`; an empty one adds nothing to what the state says."""

GATES: Mapping[str, str] = {
    "": "Others of its resource server are pulled before it.",
    "house": "All slots of this host are taken.",
    "destination": "Its resource server has all the transfers that it may have now.",
    "recipient": "Its recipient has all the transfers that one recipient may have.",
    "large": "The slots for large resources are taken; a quarter is kept for small ones.",
    "interactive": "The slots for those who wait at a screen are taken.",
    "unproved": "The slots for resource servers that have not delivered anything of late are taken.",
    "same": "The same resource is being pulled for somebody else, and never twice at once.",
    "probation": "One pull at a time shows whether the token service of our own domain answers again.",
}
"""Which share is used up while it waits for a slot; "" of one that is leased ahead while none is."""

TO_BLAME: Mapping[Obstacle, Blame] = {
    Obstacle.DRAINED: Blame.OURSELVES,
    Obstacle.PAUSED: Blame.OURSELVES,
    Obstacle.HOST: Blame.OURSELVES,
    Obstacle.ISSUER: Blame.ISSUER,
    Obstacle.PUSHED_BACK: Blame.DESTINATION,
    Obstacle.OUTAGE: Blame.DESTINATION,
    Obstacle.PROBE: Blame.DESTINATION,
    Obstacle.LIMITED: Blame.OURSELVES,
    Obstacle.STALL: Blame.DESTINATION,
    Obstacle.NOTHING: Blame.OURSELVES,
}
"""Whose doing it is; the others leave it with the last attempt."""

BLAMED: Mapping[Blame, str] = {
    Blame.NOBODY: "nobody",
    Blame.JOB: "this resource",
    Blame.DESTINATION: "the sender's resource server",
    Blame.ISSUER: "the token service of our own domain",
    Blame.OURSELVES: "this host",
}


def standing_of(job: Job, condition: str | None = None) -> Said:
    """What is said of the job's state and condition, or of another condition than its own."""
    condition = job.condition if condition is None else condition
    said = STANDING.get((job.state, condition))
    if said is None:
        said = STANDING[job.state, ""]
        said = evolve(said, sentence=f"{said.sentence} It waits for: {condition}.")
    return Said(said.sentence, typed(said.remedy, job))


def typed(remedy: str, job: Job) -> str:
    """The remedy with commands that can be typed as they are."""
    for name, value in (("job", job.job), ("recipient", job.recipient), ("sender", job.sender)):
        remedy = remedy.replace(f"{{{name}}}", str(value))
    return remedy


def words(wait: timedelta) -> str:
    """About how long that is."""
    seconds = int(wait.total_seconds())
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} seconds"
