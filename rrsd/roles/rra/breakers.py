"""When a destination or an issuer is left alone, and for how long (pure). How many at once: `slots`."""

from datetime import timedelta

from attrs import evolve

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Adjustment, Breaker
from rrsd.roles.rra import slots as concurrency
from rrsd.roles.rra.rules import Outcome, Result, back_off

CONNECTION_FAILURES = 5
"""Connection-class failures in a row that open a destination's breaker."""

COHORTS = 3
"""Pseudo-cohorts (as many failures in a row as it had slots then) that open it, whatever their class."""

PROBE_FIRST = timedelta(seconds=60)
PROBE_CAPS = (
    (timedelta(days=1), timedelta(minutes=15)),
    (timedelta(days=7), timedelta(minutes=60)),
)
PROBE_LAST_CAP = timedelta(hours=6)
ISSUER_FIRST = timedelta(seconds=5)
ISSUER_CAP = timedelta(minutes=5)
WAKE_INTERVAL = timedelta(seconds=10)
LEAST_RETRY_AFTER, MOST_RETRY_AFTER = 1, 86400

PUSHED_FIRST, PUSHED_CAP = timedelta(seconds=1), timedelta(minutes=15)
"""How rarely a destination is asked that pushes back again and again, whatever it asks for."""


def unknown(name: str, most: int) -> Breaker:
    """The breaker of a destination that was never tried; `most` is the configured limit."""
    return Breaker(name, limit=concurrency.first(most))


def is_open(breaker: Breaker, now: Instant) -> bool:
    """Whether the party is left alone at `now`."""
    return breaker.not_before is not None and now < breaker.not_before


def slots(breaker: Breaker, now: Instant) -> int:
    """How many transfers the party may have at once: none while open, one as a probe, then its limit."""
    if is_open(breaker, now):
        return 0
    return 1 if breaker.opened is not None else breaker.limit


def probe_cap(since: timedelta) -> timedelta:
    """The longest wait between probes of a destination that went away `since` ago; never "for ever"."""
    for age, cap in PROBE_CAPS:
        if since < age:
            return cap
    return PROBE_LAST_CAP


def after_destination(breaker: Breaker, result: Result, now: Instant, chance: float, most: int, used: int) -> Breaker:
    """The destination's breaker after an attempt; `most` is the configured limit, `used` how many ran, this one
    included."""
    if result.outcome is Outcome.PUSHED_BACK:
        return _pushed_back(breaker, result, now, chance)
    if result.outcome in (Outcome.UNREACHABLE, Outcome.BROKEN):
        return _failed(breaker, result, now, chance)
    if result.reached:
        return _answered(breaker, result, now, most, used)
    return breaker


def _pushed_back(breaker: Breaker, result: Result, now: Instant, chance: float) -> Breaker:
    """What was asked for first is not shortened by what others are told later."""
    wait = min(max(result.retry_after or LEAST_RETRY_AFTER, LEAST_RETRY_AFTER), MOST_RETRY_AFTER)
    asked = timedelta(seconds=wait * (1 + chance / 10))
    until = now + max(asked, back_off(PUSHED_FIRST, PUSHED_CAP, breaker.probes, chance))
    fewer = concurrency.worse(breaker, now, True, f"asked to come back in {wait} s")
    return evolve(fewer, not_before=_later(breaker, until), probes=breaker.probes + 1)


def _later(breaker: Breaker, until: Instant) -> Instant:
    return until if breaker.not_before is None else max(until, breaker.not_before)


def _failed(breaker: Breaker, result: Result, now: Instant, chance: float) -> Breaker:
    if breaker.opened is not None and is_open(breaker, now):
        return breaker  # the attempt began before it opened: one outage is counted once
    connection = result.outcome is Outcome.UNREACHABLE
    worse = evolve(
        concurrency.worse(breaker, now, False, result.evidence),
        failures=breaker.failures + 1 if connection else 0,
        cohorts=breaker.cohorts + 1 / max(1, breaker.limit),
    )
    if breaker.opened is not None:
        return _opened(worse, now, chance)
    if worse.failures >= CONNECTION_FAILURES or worse.cohorts >= COHORTS:
        return _opened(evolve(worse, opened=now, probes=0), now, chance)
    return worse


def _opened(breaker: Breaker, now: Instant, chance: float) -> Breaker:
    since = now - breaker.opened if breaker.opened is not None else timedelta(0)
    wait = back_off(PROBE_FIRST, probe_cap(since), breaker.probes, chance)
    return evolve(breaker, not_before=_later(breaker, now + wait), probes=breaker.probes + 1)


def _answered(breaker: Breaker, result: Result, now: Instant, most: int, used: int) -> Breaker:
    """It lives; what was completed well earns it more at once. After an outage it begins again with one."""
    if breaker.opened is not None:
        return Breaker(breaker.name, limit=1, starting=True, reason="answers again")
    alive = evolve(breaker, failures=0, cohorts=0.0)
    if result.outcome is Outcome.STORED:
        alive = concurrency.better(alive, most, used)
    if is_open(breaker, now):  # it asked for a pause, and what was under way is no reason to forget that
        return evolve(alive, reason=breaker.reason)
    return evolve(alive, not_before=None, probes=0)


def is_well(breaker: Breaker, now: Instant, most: int) -> bool:
    """Whether nothing speaks against the destination; it may have earned more slots than an unknown one."""
    spotless = not breaker.failures and not breaker.cohorts and breaker.opened is None
    return spotless and breaker.limit >= concurrency.first(most) and not is_open(breaker, now)


_SAID = ("failures", "cohorts", "opened", "not_before", "probes", "limit", "ceiling", "patience")


def is_news(before: Breaker, after: Breaker) -> bool:
    """Whether a breaker changed in what outlives a restart."""
    return any(getattr(before, name) != getattr(after, name) for name in _SAID)


def adjustment(kind: str, before: Breaker, after: Breaker, now: Instant) -> Adjustment | None:
    """What the change is called, with its reason; None where neither the limit nor the time of the next request
    changed."""
    event = _event(before, after)
    if event is None:
        return None
    until = after.not_before if is_open(after, now) else None
    reason = after.reason or "it answers"
    return Adjustment(kind, after.name, now, event, before.limit, after.limit, until, reason)


def _event(before: Breaker, after: Breaker) -> str | None:
    """The names stand in docs/operator/troubles.rst."""
    if before.opened is None and after.opened is not None:
        return "opened"
    if before.opened is not None and after.opened is None:
        return "recovered"
    if after.not_before is not None and before.not_before != after.not_before:
        return _waits(before, after)
    if before.limit == after.limit:
        return None
    return "raised" if after.limit > before.limit else "lowered"


def _waits(before: Breaker, after: Breaker) -> str:
    if before.not_before is not None and after.not_before is not None and after.not_before < before.not_before:
        return "let through"
    return "probe failed" if after.opened is not None else "asked to wait"


def after_issuer(breaker: Breaker, result: Result, now: Instant, chance: float) -> Breaker:
    """The issuer's breaker after an attempt; many that fail at once are one failure."""
    if result.outcome is not Outcome.ISSUER_DOWN:
        return Breaker(breaker.name) if breaker.failures and result.authorized else breaker
    if is_open(breaker, now):
        return breaker
    wait = back_off(ISSUER_FIRST, ISSUER_CAP, breaker.failures, chance)
    if result.retry_after is not None and result.retry_after > wait.total_seconds():
        wait = min(timedelta(seconds=result.retry_after), ISSUER_CAP)
    opened = breaker.opened or now
    return evolve(breaker, failures=breaker.failures + 1, opened=opened, not_before=now + wait, reason=result.evidence)
