"""What becomes of a job for which there is no room, and how that is said (pure)."""

from attrs import evolve

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Shortage, State
from rrsd.roles.rra.rules import ROOM_CAP, SPACE_PROBE, Planned, back_off

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def lacking(short: Shortage, now: Instant, chance: float) -> Planned:
    """The job waits until there is room, or its deadline; no attempt was made, and nobody else is blamed.

    One of which bytes are here needs less than its size says, so that it also looks by itself now and then.
    """
    job = evolve(short.job, blame=Blame.OURSELVES, evidence=words(short), condition=short.condition)
    if now >= job.deadline:
        return Planned(evolve(job, state=State.EXPIRED, due=None, condition=""), "expired")
    waits = evolve(job, state=State.NO_SPACE, due=job.deadline)
    if short.needed < job.size:
        probe = now + back_off(SPACE_PROBE, ROOM_CAP, job.retries, chance)
        waits = evolve(waits, due=min(job.deadline, probe), retries=job.retries + 1)
    return Planned(waits, "no_space")


def words(short: Shortage) -> str:
    """What there is too little of, and how much."""
    needed, free, most = map(_size, (short.needed, short.free, short.most))
    if short.condition == "quota":
        whole, left = f"the whole quota of {most}", f"{free} of the quota of {most} are left"
    else:
        whole, left = f"the disk could ever hold, {most}", f"{free} are free"
    if short.needed > short.most:
        return f"its {needed} are more than {whole}"
    kept = "; some of that is kept for one that has waited longer" if short.needed <= short.free else ""
    return f"its {needed} do not fit, {left}{kept}"


def _size(number: int) -> str:
    """About so many bytes."""
    unit = 0
    while number >= 10_000 and unit < len(_UNITS) - 1:
        number, unit = number // 1024, unit + 1
    return f"{number} {_UNITS[unit]}"
