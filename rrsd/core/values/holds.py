"""Placeholders on their way into mailboxes: how each of them stands, and how far its attachments have come."""

from enum import StrEnum

from attrs import frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant


class Stand(StrEnum):
    """What has become of a placeholder for one recipient."""

    HELD = "held"
    """The mail server keeps it and comes again."""
    OFFERED = "offered"
    """The mailboxes were offered it as it came, and have not answered: they may have it, and get nothing else."""
    COMPLETED = "completed"
    PLACEHOLDER = "placeholder"
    """Delivered as a placeholder of a proved author, to be swapped in the mailbox when everything has arrived."""
    PASSED = "passed"
    """Delivered as it came, because nobody proved who wrote it; it stays as it is."""
    BOUNCED = "bounced"
    SWAPPED = "swapped"


@frozen
class Hold:
    """One placeholder, one recipient, one message of the mail server's queue (`queue`, "" where it did not say).

    `digest` is that of the placeholder's bytes, whose text is also its name in the mailbox of the client API.
    `evidence` is what proved the author, "" while nothing has. `since` is when it came first.
    """

    recipient: Address
    digest: Digest
    queue: str
    message_id: str
    evidence: str
    since: Instant
    stand: Stand


@frozen
class Progress:
    """How many attachments are still on their way, and how many will never arrive, and `reason` why; `size` is that of
    the placeholder."""

    waiting: int
    failed: int = 0
    reason: str = ""
    size: int = 0
