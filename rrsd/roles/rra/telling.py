"""Who has to be told what about a message whose attachments are late, in danger or lost (pure).

For each party one of each kind at most. What says more covers what says less: who knows that attachments are lost needs
not hear that they are late.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from attrs import frozen

from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Kind, Party, Plight, Said

BITS: Mapping[tuple[Party, Kind], Said] = {
    (Party.RECIPIENT, Kind.DELAYED): Said.RECIPIENT_DELAYED,
    (Party.RECIPIENT, Kind.AT_RISK): Said.RECIPIENT_AT_RISK,
    (Party.RECIPIENT, Kind.FAILED): Said.RECIPIENT_FAILED,
    (Party.SENDER, Kind.DELAYED): Said.SENDER_DELAYED,
    (Party.SENDER, Kind.AT_RISK): Said.SENDER_AT_RISK,
    (Party.SENDER, Kind.FAILED): Said.SENDER_FAILED,
}
"""How it is remembered that it was said. Total over `Party` and `Kind`."""

RENEWING = timedelta(minutes=10)
"""Within which the sender's domain may give more time, before anybody has to hear that there is too little."""

_COVERING: Mapping[Kind, Sequence[Kind]] = {
    Kind.DELAYED: (Kind.DELAYED, Kind.AT_RISK, Kind.FAILED),
    Kind.AT_RISK: (Kind.AT_RISK, Kind.FAILED),
    Kind.FAILED: (Kind.FAILED,),
}


@frozen
class Waits:
    """How long after a message was accepted each party hears that something is missing; nothing at all if it is 0."""

    recipient: timedelta
    sender: timedelta

    def of(self, party: Party) -> timedelta:
        """That of one of them."""
        return self.recipient if party is Party.RECIPIENT else self.sender


def first_look(now: Instant, waits: Waits, *, is_answerable: bool) -> Instant | None:
    """When a message that was accepted now may first have to be spoken of although nothing has happened to it."""
    lengths = (waits.recipient, waits.sender if is_answerable else timedelta())
    return min((now + each for each in lengths if each), default=None)


def to_say(plight: Plight, waits: Waits, now: Instant, fair: Instant | None = None) -> Iterator[tuple[Party, Kind]]:
    """What has to be said now, and to whom. Before `fair` nothing is called late: we were not there ourselves."""
    for party in _parties(plight, waits):
        kind = _kind(plight, _late(plight, waits.of(party), fair), now)
        if kind is not None and not is_covered(plight, party, kind):
            yield party, kind


def next_look(plight: Plight, waits: Waits, now: Instant, fair: Instant | None = None) -> Instant | None:
    """When the passing of time alone may give us something to say; None when it cannot."""
    if not plight.missing:
        return None
    times = []
    for party in _parties(plight, waits):
        late, danger = _late(plight, waits.of(party), fair), _danger(plight)
        times += [] if is_covered(plight, party, Kind.DELAYED) else [late]
        times += [] if danger is None or is_covered(plight, party, Kind.AT_RISK) else [danger]
    return min((each for each in times if each > now), default=None)


def is_covered(plight: Plight, party: Party, kind: Kind) -> bool:
    """Whether the party has heard it, or more than it."""
    return any(BITS[party, each] in plight.said for each in _COVERING[kind])


def _parties(plight: Plight, waits: Waits) -> list[Party]:
    parties = [Party.RECIPIENT, *([Party.SENDER] if plight.is_answerable else [])]
    return [each for each in parties if waits.of(each)]


def _late(plight: Plight, wait: timedelta, fair: Instant | None) -> Instant:
    late = plight.received + wait
    return late if fair is None else max(late, fair)


def _kind(plight: Plight, late: Instant, now: Instant) -> Kind | None:
    danger = _danger(plight)
    if not plight.missing:
        return Kind.FAILED if plight.failed else None
    if danger is not None and now >= danger:
        return Kind.AT_RISK
    return Kind.DELAYED if now >= late else None


def _danger(plight: Plight) -> Instant | None:
    """When people hear that there is too little time: soon enough to do something, and not before the sender's domain
    could have given more."""
    if plight.at_risk is None:
        return None
    return plight.at_risk + min(RENEWING, max(timedelta(), plight.until - plight.at_risk) / 4)
