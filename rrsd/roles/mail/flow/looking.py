"""A bounded look at a message while it comes in: most pass, and only what may be a placeholder is kept whole."""

from collections.abc import AsyncIterator

from attrs import define

from rrsd.roles.mail.holding import may_be_placeholder

MOST_HEADER = 1 << 18
"""Bytes within which a header ends, or the message is none of ours."""


@define
class Looked:
    """What was seen of a message; `rest` is None when `head` is the whole of one that may be a placeholder."""

    head: bytes
    rest: AsyncIterator[bytes] | None

    async def blocks(self) -> AsyncIterator[bytes]:
        """The message as it came; once."""
        head, self.head = self.head, b""
        yield head
        del head
        if self.rest is not None:
            async for block in self.rest:
                yield block


async def look(message: AsyncIterator[bytes], most: int) -> Looked:
    """Read until the message is known to be no placeholder of at most `most` bytes, or has ended."""
    seen = bytearray()
    verdict: bool | None = None
    async for block in message:
        seen += block
        if verdict is None:
            verdict = may_be_placeholder(seen) if len(seen) <= MOST_HEADER else False
        if verdict is False or len(seen) > most:
            return Looked(bytes(seen), message)
    return Looked(bytes(seen), None)
