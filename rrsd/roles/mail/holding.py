"""What is to be done with a placeholder on its way in: pure decisions."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.envelopes import Reply
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.core.values.instants import Instant
from rrsd.roles.mail.settings import GiveUp, Settings

MARK = b"message/external-body"
"""What every placeholder has in it; a type written in another way is no mark of ours, and the message passes."""
MOST_REASON = 200
RETRIES = timedelta(hours=2)
"""Within which the mail server tries what it keeps once more; Postfix does within 4000 s."""
ON_ITS_WAY = timedelta(minutes=10)
"""Between a message's pulls and its hold, at most."""

_END_OF_HEADER = b"\r\n\r\n"
_MULTIPART = re.compile(rb"^content-type[ \t]*:[ \t\r\n]*multipart/", re.IGNORECASE | re.MULTILINE)
_ORIGINAL = re.compile(rb"X-Original-To: ([^\s<>]{1,320})\r\n")
_QUEUE = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)


class Way(StrEnum):
    """What happens to a placeholder for one recipient now."""

    PASS = "pass"
    """Deliver it as it came: it makes nobody fetch anything."""
    COMPLETE = "complete"
    HOLD = "hold"
    PLACEHOLDER = "placeholder"
    """Deliver it as it came; what it stands for may still arrive."""
    BOUNCE = "bounce"


STANDS: Mapping[Way, Stand] = {
    Way.PASS: Stand.PASSED,
    Way.COMPLETE: Stand.COMPLETED,
    Way.HOLD: Stand.HELD,
    Way.PLACEHOLDER: Stand.PLACEHOLDER,
    Way.BOUNCE: Stand.BOUNCED,
}
"""How the message stands for the recipient afterwards. Total over `Way`."""

OVER = frozenset({Stand.COMPLETED, Stand.PLACEHOLDER, Stand.PASSED, Stand.SWAPPED})
"""What the recipient has already, and does not get again."""

AGAIN = Reply(250, "2.0.0", ("delivered before",))
BUSY = Reply(450, "4.3.0", ("it is being delivered",))
UNASKED = Reply(450, "4.4.3", ("the sender's domain cannot be asked now",))


def may_be_placeholder(head: bytes | bytearray) -> bool | None:
    """Whether a message that begins so may be one; None while its header has not ended."""
    end = 0 if head.startswith(b"\r\n") else head.find(_END_OF_HEADER)
    if end < 0:
        return None
    return _MULTIPART.search(head, 0, end) is not None


def has_mark(raw: bytes) -> bool:
    """Whether the message has what every placeholder has."""
    return MARK in raw.lower()


def queue_of(forwarded: Mapping[str, str]) -> str:
    """The mail server's name for the message, from XFORWARD; "" when it gave none that can be told to a command."""
    name = forwarded.get("IDENT", "")
    return name if _QUEUE.fullmatch(name) else ""


def is_sent_by(path: str, author: Address) -> bool:
    """Whether a message of that reverse path comes from its author's own domain; one that has none, or came through
    somebody else's hands, does not."""
    try:
        return parse_address(path).domain == author.domain
    except Malformed:
        return False


def original_of(raw: bytes) -> Address | None:
    """Whom the mail server says that it was sent to, before it expanded aliases; None when it does not.

    Only the first line is believed: whatever came from elsewhere stands below a Received field of the mail server.
    """
    found = _ORIGINAL.match(raw)
    try:
        return parse_address(found[1].decode()) if found is not None else None
    except (Malformed, UnicodeDecodeError):
        return None


def way_of(progress: Progress, waited: timedelta, settings: Settings) -> Way:
    """What to do with a placeholder whose author is proved and that came first `waited` ago.

    What will never arrive is not waited for; it is bounced only where the operator wants that.
    """
    if progress.failed:
        return Way.BOUNCE if settings.give_up is GiveUp.BOUNCE else Way.PLACEHOLDER
    if not progress.waiting:
        return Way.COMPLETE
    return Way.PLACEHOLDER if waited >= settings.max_hold else Way.HOLD


def held(progress: Progress) -> Reply:
    """What the mail server is told while it keeps the message."""
    return Reply(450, "4.3.0", (f"{progress.waiting} resources are being pulled",))


def bounced(progress: Progress) -> Reply:
    """What the sender is told when an attachment will never arrive."""
    reason = "".join(each if each.isascii() and each.isprintable() else "?" for each in progress.reason)
    text = f"{progress.failed} attachments cannot be retrieved from the sender's domain: {reason[:MOST_REASON]}"
    return Reply(550, "5.6.0", (text,))


def bounce_of(holds: Sequence[Hold], received: Instant, now: Instant, max_hold: timedelta) -> bool | None:
    """Whether the sender of a message that failed has got a bounce, where bounces are wanted; None while the mail
    server has it, or may have it, and will hear of the failure when it comes again."""
    if any(hold.stand is Stand.BOUNCED for hold in holds):
        return True
    coming = any(hold.stand is Stand.HELD and now - hold.since < max_hold + RETRIES for hold in holds)
    return None if coming or (not holds and now - received < ON_ITS_WAY) else False


def flush_arguments(command: tuple[str, ...], queue: str) -> tuple[str, ...]:
    """The command that asks the mail server to try the message now."""
    return tuple(word.replace("{id}", queue) for word in command)
