"""A listener of the mail server that takes messages back: for all recipients or for none, and it is known which."""

from collections.abc import AsyncIterator, Callable

from attrs import define, evolve, field

from rrsd.core.refusals import Refusal
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LATER, LOST, Envelope, Fate, Offer, Reply
from rrsd.roles.mail.flow.ledger import DONE
from rrsd.roles.mail.offering import hasty_name
from rrsd.roles.mail.ports import Doubts, Timers, Together
from rrsd.roles.mail.replies import joined, reply_of


@define(eq=False)
class _Sent:
    """What is sent. `is_out` when its end goes out, and that is only when `client`, who waits for the reply, is still
    there: nobody else would know that the message has been taken."""

    content: AsyncIterator[bytes]
    client: AsyncIterator[bytes]
    tell: Callable[[], None]
    is_out: bool = field(default=False, init=False)

    async def blocks(self) -> AsyncIterator[bytes]:
        async for block in self.content:
            yield block
        await anext(self.client, None)
        self.is_out = True
        self.tell()


@define(eq=False)
class Reinjection:
    """One of them. When its answer is lost, `doubts` says what became of the message."""

    next: Together
    doubts: Doubts
    timers: Timers
    unanswered: int = field(default=0, init=False)
    """Messages that it may have by now, and has not answered for."""

    async def send(
        self, envelope: Envelope, key: Digest, content: AsyncIterator[bytes], client: AsyncIterator[bytes]
    ) -> Reply:
        """What it says: all recipients have the message, or nobody has it. `LOST` when nobody can tell; never refuses.

        `client` is the message as it comes, which ends when all of it has come and refuses when who sends it is gone.
        """
        now = self.timers.now()
        offer, sent = Offer(hasty_name(key, now), now), _Sent(content, client, self._count)
        named = evolve(envelope, forwarded={**envelope.forwarded, "IDENT": offer.delivery})
        try:
            return joined(await self.next.send(named, sent.blocks(), together=True))
        except Refusal as refusal:
            if not sent.is_out:
                return reply_of(refusal)
        finally:
            self.unanswered -= sent.is_out
        fate = await self.doubts.fate_of(offer)
        return {Fate.TAKEN: DONE, Fate.NOT_TAKEN: LATER, Fate.UNKNOWN: LOST}[fate]

    def _count(self) -> None:
        self.unanswered += 1
