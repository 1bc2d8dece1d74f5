"""The complete message, put together while it is sent: no attachment is ever whole in memory."""

from collections.abc import AsyncIterator

from attrs import evolve, frozen

from rrsd.core.refusals import TooLarge, Unavailable, Unknown
from rrsd.core.values.messages import Arrival, Attachment, Message, Placeholder, Verbatim
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.core.wire.mime import attachment_head, parse_placeholder, restored_size
from rrsd.roles.rra.ports import Blobs

BLOCK = 65536


@frozen
class Restoration:
    """A complete RFC 5322 message on its way out: `blocks` are exactly `size` bytes."""

    size: int
    blocks: AsyncIterator[bytes]


@frozen
class Restorer:
    """Puts attachments back into placeholders of at most `most_message` bytes and `most_parts` parts."""

    blobs: Blobs
    most_message: int
    most_parts: int

    async def restore(self, message: Message) -> Restoration:
        """The message with every attachment in its place.

        Bytes count as arrived when this recipient's own pull stored them, not because they are in the store.

        Raises:
            Unavailable: a part has not arrived.
            TooLarge, Malformed: the placeholder is beyond the present limits.
            Damaged: the stored placeholder is not what it was.
        """
        if message.raw_size > self.most_message:
            raise TooLarge("placeholder")
        raw = b"".join([block async for block in self.blobs.read(message.raw, 0, message.raw_size)])
        placeholder = parse_placeholder(raw, self.most_parts)
        _require_arrived(message, placeholder)
        sized = [await self._sized(each) for each in placeholder.attachments]
        placeholder = evolve(placeholder, attachments=tuple(sized))
        return Restoration(restored_size(placeholder, len(raw)), self._blocks(raw, placeholder))

    async def _sized(self, attachment: Attachment) -> Attachment:
        """With the size of what was stored: an earlier message may have stored it under a truer one."""
        try:
            blob = await self.blobs.find(attachment.digest)
        except Unknown:
            raise Unavailable("an attachment is not in the store") from None
        return evolve(attachment, size=blob.size)

    async def _blocks(self, raw: bytes, placeholder: Placeholder) -> AsyncIterator[bytes]:
        for step in placeholder.plan:
            if isinstance(step, Verbatim):
                for start in range(step.start, step.end, BLOCK):
                    yield raw[start : min(start + BLOCK, step.end)]
            else:
                async for block in self._encoded(placeholder.attachments[step.index]):
                    yield block

    async def _encoded(self, attachment: Attachment) -> AsyncIterator[bytes]:
        yield attachment_head(attachment)
        encoder = Base64Lines(attachment.shape.line)
        async for block in self.blobs.read(attachment.digest, 0, attachment.size):
            yield encoder.feed(block)
        yield encoder.finish() + b"\r\n" * attachment.shape.empty


def _require_arrived(message: Message, placeholder: Placeholder) -> None:
    arrived = {part.index for part in message.parts if part.arrival is Arrival.STORED}
    missing = [index for index in range(len(placeholder.attachments)) if index not in arrived]
    if missing:
        raise Unavailable(f"{len(missing)} attachments have not arrived, the first is number {missing[0]}")
