"""How a job stands with its time: what it still needs, what it has, when that is looked at again (pure).

The slack is the time left without what the job still needs: its bytes at the destination's rate, and an allowance for
its turn and for a probe. Who has less than a quarter of the time left as slack goes first; whose time will not do is at
risk, and the sender is asked for more before anything is lost (scheduler semantics 5.7).
"""

from datetime import timedelta

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, State

DEFAULT_RATE = float(1 << 20)
"""Bytes per second that are taken for granted of a destination that nobody knows."""
LEAST_RATE = 1.0
ALLOWANCE = timedelta(minutes=15)
"""What a pull takes besides its bytes: its turn, or the wait for a probe on the first day of an outage."""
MOST_NEED = timedelta(days=3650)
_ALLOWANCE, _MOST = ALLOWANCE.total_seconds(), MOST_NEED.total_seconds()
LAST = 4
"""In the last quarter of its life, a job that something keeps back is at risk, whatever its size."""
TELLING, TELLING_SECONDS = 1 << 20, 5.0
"""A transfer with fewer bytes says something about the rate only if it took so long."""
NEWS = 0.3
"""How much the newest transfer counts."""
SOON, LATE = timedelta(minutes=5), timedelta(minutes=15)


def rate_after(rate: float | None, moved: int, seconds: float) -> float | None:
    """The moving average after a transfer of `moved` bytes in `seconds`; None while nothing has told anything."""
    if moved <= 0 or seconds <= 0 or (moved < TELLING and seconds < TELLING_SECONDS):
        return rate
    seen = max(LEAST_RATE, moved / seconds)
    return seen if rate is None else rate + NEWS * (seen - rate)


def need_of(left: int, rate: float | None) -> timedelta:
    """What `left` bytes still take: at the rate, or the default while that is not known, and the allowance."""
    return timedelta(seconds=_need(left, rate))


def _need(left: int, rate: float | None) -> float:
    return _ALLOWANCE + min(_MOST, max(0, left) / max(LEAST_RATE, rate or DEFAULT_RATE))


def slack_of(deadline: Instant, left: int, rate: float | None, now: Instant) -> timedelta:
    """The time until the deadline without what the job still needs; less than 0 when it will not do."""
    return deadline - now - need_of(left, rate)


def is_urgent(deadline: Instant, left: int, rate: float | None, now: Instant) -> bool:
    """Whether the slack is less than a quarter of the time left; also when no time is left."""
    remaining = (deadline - now).total_seconds()  # plain numbers: this is asked of every candidate
    return remaining <= 0 or remaining * 3 / 4 < _need(left, rate)


def urgent_at(deadline: Instant, left: int, rate: float | None) -> Instant:
    """When it becomes urgent, if nothing changes."""
    return deadline - need_of(left, rate) * 4 / 3


def last_quarter(job: Job) -> Instant:
    """When the last quarter of the job's life begins."""
    return job.deadline - max(timedelta(0), job.deadline - job.accepted) / LAST


def risk(job: Job, left: int, rate: float | None, hindrance: str, now: Instant) -> str:
    """Why the job's time will not do, in words; "" while it will.

    A rate that nobody measured is no reason. `hindrance` says what keeps the job back now, "" if nothing does.
    """
    remaining = job.deadline - now
    if rate is not None and slack_of(job.deadline, left, rate, now) < timedelta(0):
        return f"{left} bytes are left, {_words(rate)} come from there, and its time ends in {_span(remaining)}"
    if hindrance and now >= last_quarter(job):
        return f"its time ends in {_span(remaining)}, and {hindrance}"
    return ""


def next_look(job: Job, left: int, rate: float | None, now: Instant) -> Instant:
    """When the job's deadline is looked at again: where something changes by itself, and then ever more often, but
    seldom enough that a million jobs that end together cost little."""
    if now >= job.deadline:
        return now + overdue_again(job, now)
    points = (last_quarter(job), urgent_at(job.deadline, left, rate))
    coming = [point for point in points if point > now + SOON]
    worried = job.at_risk is not None or len(coming) < len(points)
    if worried:
        coming.append(now + max(LATE, (job.deadline - now) / 2))
    return max(now + timedelta(minutes=1), min(*coming, job.deadline))


def overdue_again(job: Job, now: Instant) -> timedelta:
    """How long until a job whose time is over is looked at again: ever longer, an hour at most."""
    return min(max(SOON, (now - job.deadline) / 4), timedelta(hours=1))


def hindrance_of(job: Job, is_closed: bool, is_paused: bool = False) -> str:
    """What keeps the job back, in words; "" when it may run or runs."""
    if is_paused:
        return "an operator has paused it"
    if is_closed:
        return "the sender's resource server does not answer"
    if job.condition == "issuer":
        return "the token service of our own domain does not answer"
    return _HINDRANCES.get(job.state, "")


_HINDRANCES = {
    State.NEEDS_AUTH: "the sender's domain does not let this recipient have it",
    State.NO_SPACE: "this host has no space for it",
    State.DEFERRED: "the last attempt failed",
}


def _words(rate: float) -> str:
    return f"{rate / 1024:.0f} KiB/s" if rate < 1 << 20 else f"{rate / (1 << 20):.1f} MiB/s"


def _span(wait: timedelta) -> str:
    minutes = max(0, int(wait.total_seconds() // 60))
    if minutes >= 2880:
        return f"{minutes // 1440} days"
    return f"{minutes // 60} hours" if minutes >= 120 else f"{minutes} minutes"
