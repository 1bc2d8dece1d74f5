"""Messages: placeholders as they come, and what they become."""

from enum import StrEnum

from attrs import field, frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Origin


@frozen
class Shape:
    """How a part's base64 is written: characters of a full `line`, `empty` lines behind the last one, and the field
    that names the transfer `encoding`, which has so many fields `before` it, or None for all."""

    line: int = 76
    empty: int = 0
    before: int | None = None
    encoding: str = "Content-Transfer-Encoding: base64"


@frozen
class Attachment:
    """One external body of a placeholder: where the resource is, what it must be, and the headers that it gets back.

    `headers` are the raw header lines of the restored part, CRLF-ended, without Content-Transfer-Encoding and without
    the empty line; b"" in an `Outgoing` means that they are made of the type and the name.
    """

    digest: Digest
    size: int
    origin: Origin
    expires: Instant | None
    media_type: str
    filename: str
    headers: bytes
    shape: Shape = field(factory=Shape)


@frozen
class Verbatim:
    """A run of the placeholder's own bytes that the restored message keeps: [start, end)."""

    start: int
    end: int


@frozen
class Restored:
    """The place where attachment number `index` goes, base64 in its shape, headers before it."""

    index: int


@frozen
class Placeholder:
    """A message whose attachments stayed with the sender's domain.

    `plan` lists, in order, what the restored message is made of; over the raw bytes it is total, but for the external
    bodies and the notice that restoring drops. `message_id` has no angle brackets, here and wherever else it is said.
    """

    message_id: str
    sender: Address
    subject: str
    date: str
    attachments: tuple[Attachment, ...]
    plan: tuple[Verbatim | Restored, ...]


@frozen
class Outgoing:
    """What a sender wants to say, resources already stored: enough to write the placeholder."""

    message_id: str
    sender: Address
    recipients: tuple[Address, ...]
    subject: str
    text: str
    date: Instant
    attachments: tuple[Attachment, ...]
    boundary: str
    cc: tuple[Address, ...] = ()


class Arrival(StrEnum):
    """How far an attachment has come, in the words that a person reads."""

    WAITING = "waiting"
    ARRIVING = "arriving"
    STORED = "stored"
    HELD = "held"
    FAILED = "failed"


@frozen
class Message:
    """A message in a recipient's mailbox: the envelope recipient, and the stored placeholder under `raw`.

    `is_answerable` is whether the sender's address was proved when it came, and reports about it may go there. `look`
    is when somebody looks whether anything has to be said of it although nothing has happened.
    """

    message: str
    recipient: Address
    sender: Address
    message_id: str
    subject: str
    date: str
    received: Instant
    raw: Digest
    raw_size: int
    parts: tuple["Part", ...] = field(default=())
    is_answerable: bool = False
    look: Instant | None = None


@frozen
class Part:
    """One attachment of a message in a mailbox; `job` is the pull that brings it, `done` counts bytes on disk."""

    index: int
    job: int
    digest: Digest
    size: int
    media_type: str
    filename: str
    arrival: Arrival
    done: int = 0
    explanation: str = ""
