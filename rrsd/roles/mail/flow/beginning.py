"""The first bytes of a message, read ahead of the rest and put before it again."""

from collections.abc import AsyncIterator, Iterable

from rrsd.roles.mail.rules import header_of


async def read_head(message: AsyncIterator[bytes]) -> tuple[bytes, bytes | None]:
    """What the message begins with, and its header section as `header_of` sees it."""
    begin, section = b"", None
    async for block in message:
        begin += block
        section = header_of(begin)
        if section is not None:
            break
    return begin, section


async def joined_blocks(first: Iterable[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """These blocks and then the others."""
    for block in first:
        yield block
    async for block in rest:
        yield block
