"""What is sent in place of a message, and what it promises to whom."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from attrs import frozen

from rrsd.core.proof.dkim import MOST_BYTES
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import ForwardPath
from rrsd.core.values.instants import Instant
from rrsd.core.values.messages import Attachment
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Grant
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.rules import Header, Kept, attachments_of, grants_for, new_message_id, placeholder_of

MOST_PLACEHOLDER = MOST_BYTES - (1 << 20)
"""Bytes; of a larger one nobody would verify the signature. Something is left for what is put on top on its way."""


@frozen
class Replacement:
    """A placeholder."""

    message_id: str
    content: Sequence[Kept | bytes]
    attachments: Sequence[Attachment]
    expires: Instant

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(len(each) if isinstance(each, bytes) else each.end - each.start for each in self.content)

    def grants(self, author: Address, recipients: Iterable[ForwardPath]) -> list[Grant]:
        """What the recipients may retrieve."""
        return grants_for(recipients, self.attachments, author, self.message_id, self.expires)


@frozen(kw_only=True)
class Writer:
    """Writes placeholders for the users of `ours`. What they promise is at `origin`, for so long."""

    ours: Domain
    origin: Origin
    lifetime: timedelta

    async def replacement(self, parcel: Parcel, header: Header, key: Digest, first: Instant) -> Replacement | None:
        """The placeholder of a message that goes by the key and was first seen then. None where there is nothing to
        replace, or where nobody could read what would come out."""
        if not parcel.taken or not await parcel.is_readable():
            return None
        message_id = header.message_id or new_message_id(key, self.ours)
        expires, pieces = first + self.lifetime, parcel.pieces
        attachments = attachments_of(pieces, self.origin, expires)
        try:
            content = placeholder_of(pieces, attachments, header, message_id)
        except Malformed:
            return None
        made = Replacement(message_id, content, attachments, expires)
        return made if made.size <= MOST_PLACEHOLDER else None
