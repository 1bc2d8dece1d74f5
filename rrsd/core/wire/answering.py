"""Whether the author of a message may be sent an automatic message about it (RFC 3834 2)."""

import re

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.addresses import Address
from rrsd.core.wire.mime_fields import parse_fields, parse_word

_LISTED = re.compile(r"list-[a-z-]+|mailing-list|x-mailing-list|precedence|x-loop|x-auto-response-suppress")
_MACHINE = re.compile(
    r"mailer-daemon|postmaster|listserv|majordomo|root|(?:no|do[._-]?not)[._-]?reply(?:[+._-].*)?|owner-.*"
    r"|.*[+._-](?:request|owner|bounces?|no-?reply)|bounces?(?:[+._-].*)?",
    re.IGNORECASE,
)


def is_answerable(raw: bytes, author: Address, recipient: Address) -> bool:
    """Whether a person may have written the message that begins with `raw` to `recipient`, and may read what is sent
    to `author`.

    What came by a list or from a program says so by its fields; addresses that nobody reads go by their names. Whoever
    is not named in To or Cc may have got a message that somebody else has sent on: its signature would still hold.
    """
    try:
        fields, _ = parse_fields(raw, 0, len(raw))
    except (Malformed, TooLarge):
        return False
    named = re.compile(rf"(?<![^\s<,;:(\"]){re.escape(str(recipient))}(?![^\s>,;)\"])", re.IGNORECASE | re.ASCII)
    if not any(named.search(each.text) for each in fields if each.name in ("to", "cc")):
        return False
    for each in fields:
        if _LISTED.fullmatch(each.name):
            return False
        if each.name == "auto-submitted":
            said = parse_word(each.text)
            if said is None or said.value != "no":
                return False
    return not _MACHINE.fullmatch(author.local)
