"""Notices about attachments, in words and as reports (pure): short whatever a message names, and one line each.

What a peer or a sender chose (names, subjects, evidence) stands in the text as one piece of a line, without characters
that mislead, and never in a field that decides where anything goes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Job, State
from rrsd.core.values.notices import Kind, Missing, Notice, Party, Plight, Said
from rrsd.core.wire.mime_fields import decode_words, render_date
from rrsd.core.wire.mime_render import readable_size
from rrsd.roles.rra.explain import Explanation

MOST_NAME = 100
"""Characters of a file's name or of a subject."""
MOST_SENTENCE = 500
LIVES: Mapping[Kind, timedelta] = {
    Kind.DELAYED: timedelta(hours=12),
    Kind.AT_RISK: timedelta(days=1),
    Kind.FAILED: timedelta(days=3),
}
"""How long the mail server may take it; what is out of date helps nobody. Total over `Kind`."""

_SUBJECTS: Mapping[tuple[Party, Kind], str] = {
    (Party.RECIPIENT, Kind.DELAYED): "Attachments are delayed",
    (Party.RECIPIENT, Kind.AT_RISK): "Attachments may not arrive in time",
    (Party.RECIPIENT, Kind.FAILED): "Attachments will not arrive",
    (Party.SENDER, Kind.DELAYED): "Attachments of your message are delayed",
    (Party.SENDER, Kind.AT_RISK): "Attachments of your message may not arrive in time",
    (Party.SENDER, Kind.FAILED): "Attachments of your message will not arrive",
}
_ADVICE: Mapping[tuple[Party, Kind], str] = {
    (Party.RECIPIENT, Kind.DELAYED): "You need not do anything: they are tried until {until}.",
    (Party.RECIPIENT, Kind.AT_RISK): "Ask the sender to keep them available for longer; they are tried until {until}.",
    (Party.RECIPIENT, Kind.FAILED): "Nothing more is tried. Ask the sender to send them again.",
    (Party.SENDER, Kind.DELAYED): "You need not do anything: they are tried until {until}. Keep them until then.",
    (Party.SENDER, Kind.AT_RISK): "Keep them available for longer, or send them again; they are tried until {until}.",
    (Party.SENDER, Kind.FAILED): "Nothing more is tried. Send them again, or by another way.",
}
"""What would mend it, for who reads it. Total over `Party` and `Kind`."""

_STATUS: Mapping[State, str] = {
    State.NEEDS_AUTH: "7.1",
    State.NO_SPACE: "3.1",
    State.HELD: "7.0",
    State.EXPIRED: "4.7",
    State.QUARANTINED: "7.7",
}
"""Subject and detail of the enhanced status code (RFC 3463 3); of the others it is X.6.6 (RFC 4468 5), content that
could not be fetched."""
_CONTENT = "6.6"

_ODD = re.compile(r"[^ -~]")

Explain = Callable[[Job], Explanation]


def letter(plight: Plight, party: Party, kind: Kind, explain: Explain, ours: Domain, now: Instant) -> Notice | None:
    """The notice; None for a sender when it is not known which address of theirs it was for."""
    subjects = {each.job.subject for each in plight.examples}
    if party is Party.SENDER and len(subjects) != 1:
        return None
    wrote = next(iter(subjects)) if party is Party.SENDER else plight.recipient
    told = plight.sender if party is Party.SENDER else plight.recipient
    explained = [(each, explain(each.job)) for each in plight.examples]
    return Notice(
        key=f"pull {kind} {party} {plight.message} {wrote.key} {told.key}{_again(plight)}",
        recipient=told,
        subject=_SUBJECTS[party, kind],
        text="\n".join(_text(plight, party, kind, wrote, explained, now)),
        expires=now + LIVES[kind],
        message_id=plight.message_id,
        sender=plight.sender,
        kind=str(kind),
        about=plight.number,
        report="" if party is Party.RECIPIENT else "".join(_report(plight, kind, wrote, explained, ours)),
    )


def _again(plight: Plight) -> str:
    """What makes it another notice when somebody has begun anew."""
    if Said.BEGUN_AGAIN not in plight.said:
        return ""
    return f" {max((each.job.job for each in plight.examples), default=0)}"


def _text(
    plight: Plight,
    party: Party,
    kind: Kind,
    wrote: Address,
    explained: Sequence[tuple[Missing, Explanation]],
    now: Instant,
) -> Iterator[str]:
    lost = plight.missing if plight.missing else plight.failed + plight.cancelled
    which = f'"{_shown(plight.subject)}"' if plight.subject else "without a subject"
    whose = f"Your message {which} to {wrote}" if party is Party.SENDER else f"The message {which} from {plight.sender}"
    fate = "will not arrive" if kind is Kind.FAILED else "had not arrived yet"
    yield f"{whose}, accepted on {render_date(plight.received)},"
    yield (
        f"names {_number(plight.parts)}. On {render_date(now)} it was clear that"
        if kind is Kind.FAILED
        else (f"names {_number(plight.parts)}. On {render_date(now)}")
    )
    yield f"{lost} of them {fate}."
    yield ""
    yield _ADVICE[party, kind].format(until=render_date(plight.until))
    yield ""
    for missing, explanation in explained:
        yield f"- {_shown(missing.filename) or 'without a name'} ({readable_size(missing.job.size)}):"
        yield f"  {_sentence(missing.job, explanation, party)}"
    others = lost + (plight.failed + plight.cancelled if plight.missing else 0) - len(explained)
    if others > 0:
        yield f"- and {others} more."


def _sentence(job: Job, explanation: Explanation, party: Party) -> str:
    """What is the matter. What is to be done about it at our end is no business of the sender's, nor is what our own
    disk or token service said; a recipient has no use for the operator's commands."""
    if party is Party.SENDER and job.blame in (Blame.OURSELVES, Blame.ISSUER):
        return "The recipient's domain has trouble of its own."
    sentence = explanation.sentence
    if party is Party.SENDER or "`" in explanation.remedy:
        sentence = sentence.removesuffix(explanation.remedy).rstrip()
    return _shown(sentence, MOST_SENTENCE)


def _report(
    plight: Plight, kind: Kind, wrote: Address, explained: Sequence[tuple[Missing, Explanation]], ours: Domain
) -> Iterator[str]:
    """The fields of a delivery status notification (RFC 3464 2.2, 2.3); ours begin with `X-RRS-`."""
    first, explanation = explained[0]
    is_over = kind is Kind.FAILED
    yield f"Reporting-MTA: dns; {ours}\n"
    yield f"Arrival-Date: {render_date(plight.received)}\n\n"
    yield f"Final-Recipient: rfc822; {wrote}\n"
    yield f"Action: {'failed' if is_over else 'delayed'}\n"
    yield f"Status: {5 if is_over else 4}.{_STATUS.get(first.job.state, _CONTENT)}\n"
    yield f"Diagnostic-Code: x-rrs; {_plain(_sentence(first.job, explanation, Party.SENDER))}\n"
    if not is_over:
        yield f"Will-Retry-Until: {render_date(plight.until)}\n"
    yield f"X-RRS-Class: {kind}\n"
    yield f"X-RRS-Attachments: {plight.parts}\n"
    yield f"X-RRS-Missing: {plight.missing}\n"
    yield f"X-RRS-Failed: {plight.failed + plight.cancelled}\n"
    yield f"X-RRS-Remedy: {_plain(_ADVICE[Party.SENDER, kind].format(until=render_date(plight.until)))}\n"
    for missing, _ in explained:
        job = missing.job
        yield f"X-RRS-Attachment: {job.digest.ni}; size={job.size}; state={job.state}; blame={job.blame}\n"


def _shown(text: str, most: int = MOST_NAME) -> str:
    """One piece of a line."""
    clean = decode_words(text)
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def _plain(text: str) -> str:
    return _ODD.sub("?", text)


def _number(parts: int) -> str:
    return "1 attachment" if parts == 1 else f"{parts} attachments"
