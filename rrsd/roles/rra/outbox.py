"""What an answer to receipts means, and when they are told again (pure).

A receipt that nobody takes is bounded effort: counted, never measured by one clock that may jump. A server that says no
is asked for a week at least, one that does not answer for a month.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from attrs import evolve, frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.calls import Answer
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import PendingReceipt
from rrsd.core.wire.strictjson import parse_object
from rrsd.roles.rra.rules import back_off

FIRST, CAP = timedelta(seconds=30), timedelta(hours=6)
AWAY_CAP = timedelta(hours=3)
"""A server that does not answer is asked that often, for all that waits there together."""
OURS_WAIT = timedelta(minutes=1)
MOST_REFUSED, LEAST_REFUSED = 40, timedelta(days=7)
MOST_AWAY, LEAST_AWAY = 128, timedelta(days=30)
"""How often it is tried at least, and for how long, before it is given up."""
LEAST_WAIT, MOST_WAIT = timedelta(seconds=1), timedelta(days=1)

_LATER = frozenset({408, 425, 429})
_ABOUT_A_LINE = frozenset({400, 413, 422})


class Verdict(StrEnum):
    """What befell the receipts that were not heard."""

    REFUSED = "refused"
    AWAY = "away"
    OURS = "ours"


@frozen
class Told:
    """How a request with receipts ended: the `jti`s that were heard, and what befell the others.

    `wait` is what the server asked for. `split` is whether one of them may have spoilt it for all.
    """

    verdict: Verdict
    evidence: str
    heard: frozenset[str] = frozenset()
    wait: timedelta | None = None
    split: bool = False


def told(answer: Answer, receipts: Sequence[PendingReceipt]) -> Told:
    """What the answer means. An acknowledgement that cannot be read is none: telling it again is harmless."""
    evidence = f"status {answer.status}"
    if answer.status in (201, 204):
        return Told(Verdict.REFUSED, evidence, frozenset(each.jti for each in receipts))
    if answer.status == 200:
        return Told(Verdict.REFUSED, evidence, _listed(answer, receipts))
    if answer.status in _LATER or answer.status >= 500:
        return Told(Verdict.AWAY, evidence, wait=_asked(answer))
    return Told(Verdict.REFUSED, evidence, split=len(receipts) > 1 and answer.status in _ABOUT_A_LINE)


def _listed(answer: Answer, receipts: Sequence[PendingReceipt]) -> frozenset[str]:
    try:
        accepted = parse_object(answer.body).get("accepted")
    except Malformed:
        return frozenset()
    if not isinstance(accepted, list):
        return frozenset()
    named = {each for each in accepted if isinstance(each, str)}  # a long list is gone through once
    return frozenset(each.jti for each in receipts if each.jti in named)


def _asked(answer: Answer) -> timedelta | None:
    text = answer.headers.get("retry-after", "")
    if not text.isascii() or not text.isdigit():
        return None
    return min(max(timedelta(seconds=int(text[:9])), LEAST_WAIT), MOST_WAIT)


def again(pending: PendingReceipt, how: Told, now: Instant) -> PendingReceipt:
    """The receipt as it waits for its next time; `due` is None when it is given up."""
    if how.verdict is Verdict.OURS:
        return evolve(pending, due=now + OURS_WAIT)
    is_refused = how.verdict is Verdict.REFUSED
    tried = evolve(
        pending,
        tries=pending.tries + 1,
        refusals=pending.refusals + is_refused,
        is_alone=pending.is_alone or how.split,
    )
    if _is_over(tried, is_refused, now):
        return evolve(tried, due=None)
    return evolve(tried, due=now + (how.wait or _wait(pending, is_refused)))


def until(first: PendingReceipt, how: Told, now: Instant) -> Instant:
    """When a server that does not answer is asked again, for everything that waits there."""
    if how.verdict is Verdict.OURS:
        return now + OURS_WAIT
    return now + (how.wait or _wait(first, is_refused=False))


def _wait(pending: PendingReceipt, is_refused: bool) -> timedelta:
    if is_refused:
        return back_off(FIRST, CAP, pending.refusals, 1.0)
    return back_off(FIRST, AWAY_CAP, pending.tries - pending.refusals, 1.0)


def _is_over(pending: PendingReceipt, is_refused: bool, now: Instant) -> bool:
    age = now - pending.stored
    if is_refused and pending.refusals >= MOST_REFUSED and age >= LEAST_REFUSED:
        return True
    return pending.tries >= MOST_AWAY and age >= LEAST_AWAY
