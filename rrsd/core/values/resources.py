"""Resources: bytes under a digest, who may have them, and the proof that they arrived."""

from attrs import frozen

from rrsd.core.values.addresses import Address, ClientIdentifier
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant

CHUNK = 8 * 1024 * 1024
"""Bytes per chunk of a chunk list, and between two durable checkpoints of a transfer."""


@frozen
class Blob:
    """Bytes on disk under their digest: `size` of them, `chunks` the SHA-256 of each `CHUNK` of them, () if unknown."""

    digest: Digest
    size: int
    chunks: tuple[Digest, ...] = ()


@frozen
class Grant:
    """One recipient may retrieve one resource of one message until `not_after`.

    `withdrawn` ends it early. `receipted` is when the recipient's domain proved that it keeps its own copy,
    `downloaded` when the recipient first had all of it through a personal link. `promised` is the end that the sender
    gave, where renewals have moved it since.
    """

    message_id: str
    digest: Digest
    size: int
    sender: Address
    recipient: Address
    not_after: Instant
    media_type: str = "application/octet-stream"
    filename: str = ""
    withdrawn: bool = False
    receipted: Instant | None = None
    downloaded: Instant | None = None
    promised: Instant | None = None


@frozen
class Named:
    """One resource of one message, as a recipient knows it."""

    message_id: str
    digest: Digest


@frozen
class Renewal:
    """A recipient's agent asks for these resources to be kept until then."""

    until: Instant
    named: tuple[Named, ...]


@frozen
class Receipt:
    """A requester's signed word that it stored a resource for a user."""

    client: ClientIdentifier
    subject: Address
    digest: Digest
    size: int
    stored_at: Instant
    message_id: str
    jti: str


@frozen
class Custody:
    """A recipient's domain keeps its own copy of what was granted: the receipt that it signed, a compact JWS as it
    came; the certificate, DER, with whose key; and how that was proved to be the domain's."""

    grant: Grant
    receipt: str
    certificate: bytes
    proof: str


@frozen
class Checkpoint:
    """The first `offset` bytes of a transfer are on disk. `prefix` is their digest, `tail` that of their last chunk;
    None where it was not known when they were made durable."""

    offset: int
    prefix: Digest | None = None
    tail: Digest | None = None


@frozen
class Upload:
    """A resource of our own user on its way in: `offset` bytes of `size` are on disk."""

    upload_id: str
    owner: Address
    size: int
    offset: int
    expires: Instant
    digest: Digest | None = None
