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


def to_say(plight: Plight, waits: Waits, now: Instant) -> Iterator[tuple[Party, Kind]]:
    """What has to be said now, and to whom."""
    for party in _parties(plight, waits):
        kind = _kind(plight, now >= plight.received + waits.of(party))
        if kind is not None and not is_covered(plight, party, kind):
            yield party, kind


def next_look(plight: Plight, waits: Waits, now: Instant) -> Instant | None:
    """When the passing of time alone may give us something to say; None when it cannot."""
    if not plight.missing:
        return None
    times = [
        plight.received + waits.of(party)
        for party in _parties(plight, waits)
        if not is_covered(plight, party, Kind.DELAYED)
    ]
    return min((each for each in times if each > now), default=None)


def is_covered(plight: Plight, party: Party, kind: Kind) -> bool:
    """Whether the party has heard it, or more than it."""
    return any(BITS[party, each] in plight.said for each in _COVERING[kind])


def _parties(plight: Plight, waits: Waits) -> list[Party]:
    parties = [Party.RECIPIENT, *([Party.SENDER] if plight.is_answerable else [])]
    return [each for each in parties if waits.of(each)]


def _kind(plight: Plight, is_late: bool) -> Kind | None:
    if not plight.missing:
        return Kind.FAILED if plight.failed else None
    if plight.at_risk:
        return Kind.AT_RISK
    return Kind.DELAYED if is_late else None
