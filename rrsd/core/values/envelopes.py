"""What goes around a message on its way between mail servers (RFC 5321 2.3.1), carried and never judged."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from rrsd.core.values.instants import Instant


class Body(StrEnum):
    """What a client says of the message's bytes (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Return(StrEnum):
    """How much of the message a delivery report brings back (RFC 3461 4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(StrEnum):
    """When a delivery report is wanted (RFC 3461 4.1); `NEVER` stands alone."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@frozen
class ReversePath:
    """Who sends: `path` as it stood between the angle brackets, "" for nobody, and the parameters of MAIL.

    `envelope_id` is the xtext as it came. `size` is what the client announced, None when it said nothing.
    """

    path: str
    size: int | None = None
    body: Body | None = None
    is_utf8: bool = False
    ret: Return | None = None
    envelope_id: str = ""


@frozen
class ForwardPath:
    """One recipient: `path` as it stood between the angle brackets, and the parameters of RCPT.

    `original` is the value of ORCPT as it came, "" for none.
    """

    path: str
    notify: frozenset[Notify] = frozenset()
    original: str = ""


@frozen
class Envelope:
    """A message's way: the host that the client called itself, sender, recipients, and what XFORWARD said of the first
    hop by upper-case attribute name."""

    helo: str
    sender: ReversePath
    recipients: tuple[ForwardPath, ...]
    forwarded: Mapping[str, str] = field(factory=dict)


class Standing(StrEnum):
    """Whether a recipient's domain collects attachments."""

    COLLECTS = "collects"
    DOES_NOT = "does not"
    UNKNOWN = "unknown"


class Fate(StrEnum):
    """What became of a message whose end the next server was sent, and whose reply never came (RFC 1047)."""

    TAKEN = "taken"
    NOT_TAKEN = "not taken"
    UNKNOWN = "unknown"


@frozen
class Offer:
    """What the next server may have: the name under which it was told of the message (XFORWARD IDENT), and when."""

    delivery: str
    at: Instant


@frozen
class Passage:
    """How far a message has come: when it was first seen, the paths of the recipients that have it, and of those for
    whom it was offered to the next server and nobody has heard whether it has it."""

    first: Instant
    done: frozenset[str]
    offered: Mapping[str, Offer] = field(factory=dict)


@frozen
class Reply:
    """One SMTP reply: a code from 200 to 599, the enhanced status ("" for none) and its lines of text."""

    code: int
    status: str = ""
    lines: tuple[str, ...] = ("",)

    @property
    def is_good(self) -> bool:
        """Whether it says yes, or go on."""
        return self.code < 400

    @property
    def is_temporary(self) -> bool:
        """Whether the same may go well later."""
        return 400 <= self.code < 500


LATER = Reply(451, "4.3.0", ("local trouble, come again",))
LOST = Reply(451, "4.4.2", ("the next mail server stopped before it had answered",))
"""Nobody knows whether it has the message (RFC 1047)."""
"""What is ours to mend."""
