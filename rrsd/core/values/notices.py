"""Small messages that this daemon writes by itself, and what those about attachments rest on."""

from enum import IntFlag, StrEnum

from attrs import field, frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job


class Kind(StrEnum):
    """What is said about the attachments of a message."""

    DELAYED = "delayed"
    AT_RISK = "at_risk"
    FAILED = "failed"


class Party(StrEnum):
    """Whom it is said to."""

    RECIPIENT = "recipient"
    SENDER = "sender"


class Said(IntFlag):
    """What has been said already, or will never be."""

    NOTHING = 0
    RECIPIENT_DELAYED = 1
    RECIPIENT_AT_RISK = 2
    RECIPIENT_FAILED = 4
    SENDER_DELAYED = 8
    SENDER_AT_RISK = 16
    SENDER_FAILED = 32
    BEGUN_AGAIN = 64
    """Somebody has put a new pull in the place of one that had ended: what becomes of that may be said again."""


@frozen
class Notice:
    """One message to one address, sent once however often it is asked for by its `key`, and no longer after `expires`.

    A recipient elsewhere is told only about a message that we hold grants of for them (`message_id`, by `sender`), or
    about one that they sent and that we received: `about` is its number, 0 for none. `kind` is "" for what somebody
    asked for; other notices are counted. `report` is what programs read of it (RFC 3464 2), "" for none.
    """

    key: str
    recipient: Address
    subject: str
    text: str = field(repr=False)
    expires: Instant
    message_id: str = ""
    sender: Address | None = None
    made: Instant | None = None
    tries: int = 0
    kind: str = ""
    about: int = 0
    report: str = field(default="", repr=False)


@frozen
class Missing:
    """A pull that has not brought its attachment, and what the message calls that."""

    job: Job
    filename: str


@frozen
class Plight:
    """How the attachments of a message in a mailbox stand.

    `recipient` is whose mailbox it is in. `is_answerable` is whether the sender's address was proved when it came and
    a person may read what is sent there. `facts` counts what happened to it that may have to be said. Of its pulls
    `missing` may still arrive; `failed` never will, nor those that were `cancelled`. `at_risk` is since when it is
    known that the time will not do for some that are missing, None while it will.
    `examples` are the first of those that are not here. `until` is how long any of them is tried.
    """

    number: int
    message: str
    recipient: Address
    sender: Address
    message_id: str
    subject: str
    received: Instant
    is_answerable: bool
    said: Said
    facts: int
    parts: int
    missing: int
    failed: int
    cancelled: int
    at_risk: Instant | None
    until: Instant
    examples: tuple[Missing, ...] = ()
