"""Whether a message is a placeholder that may come in, before the mail server says yes to it: pure decisions."""

import re

from rrsd.core.refusals import Malformed, TooLarge, Unproven
from rrsd.core.values.envelopes import Reply
from rrsd.core.wire.mime import parse_placeholder
from rrsd.core.wire.mime_external import EXTERNAL
from rrsd.core.wire.mime_fields import first_text, parse_fields
from rrsd.core.wire.mime_parts import Part, parse_parts
from rrsd.roles.mail.holding import may_be_placeholder

MALFORMED = Reply(550, "5.7.1", ("the message stands for attachments in a form that cannot be read",))
UNPROVED = Reply(550, "5.7.1", ("the message stands for attachments and no DKIM signature of its From domain is good",))
LATER = Reply(451, "4.7.1", ("the sender's domain cannot be asked now, come again",))

_NAMED = re.compile(r"/\.well-known/ni/|x-content-addressed-uri", re.IGNORECASE)
_TYPE = re.compile(rb"^content-type[ \t]*:[ \t\r\n]*message/external-body", re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(r"\s+")


def is_wanted(head: bytes) -> bool:
    """Whether a message with this header section, empty line included, has to be looked at."""
    return bool(may_be_placeholder(head))


def is_placeholder(raw: bytes, most_parts: int) -> bool:
    """Whether the message stands for attachments.

    Raises:
        Malformed, TooLarge: it means to, and some of them could never be pulled.
    """
    try:
        found = parse_placeholder(raw, most_parts)
    except (Malformed, TooLarge):
        if _TYPE.search(raw) and _NAMED.search(raw.decode("latin-1")):
            raise
        return False
    fields, body = parse_fields(raw, 0, len(raw))
    meant = sum(_is_meant(part) for part in parse_parts(raw, fields, body, most_parts))
    if meant > len(found.attachments):
        raise Malformed(f"{meant - len(found.attachments)} of {meant} attachments cannot be read")
    return meant > 0


def _is_meant(part: Part) -> bool:
    """Whether the part means to stand for an attachment; other external bodies are none of ours (RFC 2046 5.2.3)."""
    text = _BLANK.sub("", first_text(part.fields, "content-type"))
    return text.lower().startswith(EXTERNAL) and _NAMED.search(text) is not None


def reply_to(refusal: Exception) -> Reply:
    """What the mail server's client hears of a placeholder that is refused; what is not its fault is for later."""
    if isinstance(refusal, Unproven):
        return UNPROVED
    return MALFORMED if isinstance(refusal, (Malformed, TooLarge)) else LATER
