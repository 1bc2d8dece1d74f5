"""Personal links for recipients whose domain collects nothing, and the codes that open them."""

from enum import StrEnum

from attrs import field, frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant


@frozen
class Link:
    """One message's resources for one envelope recipient, until `expires`; `key` is the digest of its secret."""

    key: Digest
    message_id: str
    sender: Address
    recipient: Address
    expires: Instant


@frozen
class OneTimeCode:
    """A code that was sent to the recipient of the link `link`; `code` is its digest together with the link's."""

    link: Digest
    recipient: Address
    code: Digest = field(repr=False)
    made: Instant
    expires: Instant


@frozen
class LinkSession:
    """A browser that entered the code of the link `link`; `key` is the digest of its cookie."""

    key: Digest
    link: Digest
    expires: Instant


class Attempt(StrEnum):
    """What became of a code that somebody entered."""

    RIGHT = "right"
    WRONG = "wrong"
    OVER = "over"
    """None is open: none was sent, or it was used, is too old, or was guessed at too often."""
