"""What the audit trail says of a message on its way out."""

from collections.abc import Sequence

from attrs import evolve

from rrsd.core.refusals import Forbidden, Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply
from rrsd.roles.mail.ports import Audit
from rrsd.roles.mail.replies import reply_of
from rrsd.roles.mail.rules import Form, Header

MOST_NAMED = 1000
"""Characters of recipients in one line of the trail."""


def line_of(outcome: str, envelope: Envelope, recipients: Sequence[ForwardPath], header: Header | None = None) -> Event:
    """Who sends what to whom; the sender is the author where the message is ours."""
    who = envelope.sender.path if header is None else str(header.author)
    named = ", ".join(each.path for each in recipients)[:MOST_NAMED]
    message_id = "" if header is None else header.message_id
    return Event("send", outcome, who=who, subject=named, peer=envelope.forwarded.get("ADDR", ""), resource=message_id)


def form_line(
    envelope: Envelope, recipients: Sequence[ForwardPath], header: Header, what: tuple[Form, int, int]
) -> Event:
    """The line about a message of ours before it leaves: `what` are its form, how many parts were taken, its bytes."""
    form, taken, size = what
    said = f"{form}, {taken} parts taken, {len(recipients)} recipients"
    return evolve(line_of("granted", envelope, recipients, header), evidence=said, size=size)


def turned_away(line: Event, reply: Reply, refusal: Refusal) -> Event:
    """The line about what we cannot or will not hand on, with what the mail server hears."""
    outcome = "failed" if reply.is_temporary else "refused"
    return evolve(line, outcome=outcome, refusal=refusal.reason, evidence=refusal.detail)


def not_taken(line: Event, reply: Reply) -> Event:
    """The line about what the next mail server does not take."""
    outcome, refusal = ("failed", Unavailable) if reply.is_temporary else ("refused", Forbidden)
    said = f"the next mail server: {reply.code} {reply.status} {reply.lines[0]}"
    return evolve(line, outcome=outcome, refusal=refusal.reason, evidence=said)


def turn_away(audit: Audit, line: Event, refusal: Refusal) -> Reply:
    """What the mail server hears, after the line about it; where that cannot be written, it comes again."""
    reply = reply_of(refusal)
    try:
        audit.record(turned_away(line, reply, refusal))
    except Refusal as trouble:
        return reply_of(trouble)
    return reply
