"""How many transfers one destination may have at once, and what attempts teach about that (pure).

Good completions earn one more, 1/N each where N is what it has now. A push-back or a failure takes one at once, and
the next only after about N further ones ("reverse hysteresis", as Postfix's queue manager does it). Two things are
ours. A failure takes no second slot within a minute unless it is not alone: one bad server behind a balancer would hold
the rest down. And what was too many once is remembered: one more than that costs ever more good completions, so that a
server that bears five is seldom asked for a sixth.
"""

from datetime import timedelta

from attrs import evolve

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Breaker

FIRST = 4
"""How many transfers a destination has at once before anything is known of it."""

WINDOW = timedelta(seconds=60)
ENOUGH_BLOWS = 2
"""Failures within `WINDOW` of the last slot that was taken before another one is."""

FIRST_PATIENCE, MOST_PATIENCE = 4, 64
_HAIR = 1e-9  # what sums of 1/N may be short of a whole


def first(most: int) -> int:
    """The limit of a destination that is not known; `most` is the configured one."""
    return min(FIRST, most)


def better(breaker: Breaker, most: int, used: int) -> Breaker:
    """After a good completion while `used` ran, itself among them. Nothing is earned that was not used."""
    if breaker.starting:
        return _recovering(breaker, most)
    if breaker.limit >= most:
        return evolve(breaker, limit=most, earned=0.0, reason="")
    if used < breaker.limit:
        return breaker
    beyond = breaker.ceiling and breaker.limit >= breaker.ceiling
    earned = breaker.earned + 1 / (breaker.limit * (breaker.patience if beyond else 1))
    if earned < 1 - _HAIR:
        return evolve(breaker, earned=earned)
    limit = breaker.limit + 1
    return evolve(breaker, limit=limit, earned=0.0, spared=0.0, reason=f"all went well with {breaker.limit} at once")


def _recovering(breaker: Breaker, most: int) -> Breaker:
    """Slow start after an outage: 1, 2, 4, and from there as everybody."""
    limit = min(breaker.limit * 2, first(most))
    return evolve(breaker, limit=limit, starting=limit < first(most), reason="answers again, slow start")


def worse(breaker: Breaker, now: Instant, is_told: bool, reason: str) -> Breaker:
    """After a push-back (`is_told`) or a failure."""
    recent = breaker.taken is not None and now - breaker.taken < WINDOW
    blows = breaker.blows + 1 if recent else 1
    spared = breaker.spared - 1 / breaker.limit
    tried = 0 < breaker.ceiling < breaker.limit  # more than it is known to bear: no wonder
    alone = recent and not is_told and not tried and blows < ENOUGH_BLOWS
    if spared >= -_HAIR or alone:
        return _borne(evolve(breaker, spared=max(0.0, spared), blows=blows, reason=reason))
    return evolve(
        _learned(breaker),
        limit=max(1, breaker.limit - 1),
        earned=0.0,
        spared=spared + 1,
        taken=now,
        blows=0,
        starting=False,
        reason=reason,
    )


def _borne(breaker: Breaker) -> Breaker:
    """A failure with no more at once than it is known to bear: their number is not what fails."""
    return evolve(breaker, ceiling=0, patience=1) if breaker.limit <= breaker.ceiling else breaker


def _learned(breaker: Breaker) -> Breaker:
    """What it bears is one less than what was too many. The same lesson again makes more patient."""
    ceiling = breaker.limit - 1
    if not ceiling:
        return evolve(breaker, ceiling=0, patience=1)
    patience = min(MOST_PATIENCE, breaker.patience * 2) if ceiling == breaker.ceiling else FIRST_PATIENCE
    return evolve(breaker, ceiling=ceiling, patience=patience)
