"""Our ARC set on top of messages that we completed (RFC 8617): the body is hashed while it passes, and never kept."""

from collections.abc import AsyncIterator

from attrs import frozen

from rrsd.core.proof.arc import Chain, SealingKey, chain_names, judge_chain, seal_message
from rrsd.core.values.records import RecordType
from rrsd.core.wire.dkim_body import RelaxedBody
from rrsd.core.wire.results import FIELD
from rrsd.roles.mail.ports import Names, Threads, Timers

SOME = 1 << 20
"""Bytes that are hashed at once, elsewhere."""
_END = b"\r\n\r\n"


@frozen(kw_only=True)
class Sealer:
    """Seals with `key`."""

    key: SealingKey
    names: Names
    threads: Threads
    timers: Timers

    async def seal(self, raw: bytes, results: bytes, blocks: AsyncIterator[bytes]) -> bytes:
        """Our set for the message that `blocks` are; `raw` is how it came, and `results` our field about that.

        b"" where a chain came with it that nobody may add to.

        Raises:
            Unavailable: a key of those who sealed before cannot be had now; or as `blocks` refuse.
            Malformed, TooLarge: the message as it came cannot be read.
        """
        chain = await self._chain(raw)
        head, body, waiting = b"", RelaxedBody(), bytearray()
        async for block in blocks:
            waiting += block
            if not head:
                at = waiting.find(_END)
                if at < 0:
                    continue
                head = bytes(waiting[: at + len(_END)])
                del waiting[: len(head)]
            if len(waiting) >= SOME:
                await self.threads.run(body.feed, bytes(waiting))
                waiting.clear()
        await self.threads.run(body.feed, bytes(waiting))
        said = results.decode().removeprefix(f"{FIELD}:").strip()
        now = self.timers.now()
        return await self.threads.run(seal_message, head, body.digest(), said, chain, self.key, now)

    async def _chain(self, raw: bytes) -> Chain:
        asked = chain_names(raw)
        records = {name: await self.names.ask(name, RecordType.TXT) for name in asked}
        return await self.threads.run(judge_chain, raw, records)
