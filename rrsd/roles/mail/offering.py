"""How a message is known to the next server, so that it can be asked about it or can know it again: pure names."""

import hashlib
from collections.abc import Iterable

from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, ForwardPath
from rrsd.core.values.instants import Instant
from rrsd.core.wire.mime_split import MOST_HEADER
from rrsd.roles.mail.holding import queue_of
from rrsd.roles.mail.rules import header_of, message_key

UNQUEUED = "UNQUEUED"
"""What stands where the queue's name is for other messages."""
_TAIL = 16
"""Characters of a digest, 96 bits, behind the queue's own name."""


def delivery_name(envelope: Envelope, key: Digest, recipients: Iterable[ForwardPath], at: Instant) -> str:
    """The name of one attempt to hand the message on to these recipients, as the next server's log will have it: the
    name that the mail server's queue has for it comes first, and whoever reads logs finds both."""
    said = "\n".join((key.b64, at.isoformat(), *(each.path for each in recipients)))
    digest = Digest(hashlib.sha256(said.encode("utf-8", "replace")).digest())
    return f"{queue_of(envelope.forwarded)}-{digest.b64[:_TAIL]}"


def hasty_name(key: Digest, at: Instant) -> str:
    """The same for a message that no queue has had yet."""
    digest = Digest(hashlib.sha256(f"{key.b64}\n{at.isoformat()}".encode()).digest())
    return f"{UNQUEUED}-{digest.b64[:_TAIL]}"


def opening_of(begin: bytes) -> bytes:
    """What the message that begins so can be known by at each retry, however its bytes are divided: its header section,
    or as much of it as is looked at; b"" when it has none."""
    section = header_of(begin)
    if section or begin.startswith(b"\r\n"):
        return section or b""
    return begin[:MOST_HEADER]


def passing_key(envelope: Envelope, begin: bytes) -> Digest | None:
    """The name of a message that passes, by what it begins with; None where nothing tells two of them apart: the mail
    server names none, or there is no header."""
    opening = opening_of(begin)
    if not opening or not envelope.forwarded.get("IDENT"):
        return None
    return message_key(envelope, hashlib.sha256(opening).digest())


FIELD = "RRS-Delivery"
"""The trace field by which the mailboxes know a message again."""


def field_of(key: Digest | None) -> bytes:
    """The field for a message that goes by the key, b"" for one that has none."""
    return b"" if key is None else f"{FIELD}: {key.b64}\r\n".encode()


def mailboxes_of(recipients: Iterable[ForwardPath], delimiters: str) -> list[str]:
    """Whose mailboxes these are, as far as a name can say: whatever its case, without an extension. Two names for one
    are as many as they seem; one name for two does no harm."""
    found = []
    for each in recipients:
        local, _, domain = each.path.lower().rpartition("@")
        ends = [at for delimiter in delimiters if (at := local.find(delimiter)) > 0]
        found.append(f"{local[: min(ends, default=len(local))]}@{domain}")
    return found
