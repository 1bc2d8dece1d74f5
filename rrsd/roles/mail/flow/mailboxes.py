"""The way to the mailboxes: on top of each message stands by what they know it again, and no message goes in twice at
the same time.

Between their yes and ours a crash makes the mail server send the message again (RFC 1047). The field is the same then,
and the mailboxes' own script, which `rrsctl mail setup` prints, drops what the recipient has.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from attrs import define, evolve, field

from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.roles.mail.holding import BUSY
from rrsd.roles.mail.offering import field_of
from rrsd.roles.mail.ports import Audit, Relay


@define(eq=False)
class ToMailboxes:
    """Hands messages to the LMTP server."""

    next: Relay
    audit: Audit
    _busy: set[tuple[Digest, str]] = field(factory=set, init=False)

    async def send(self, envelope: Envelope, key: Digest | None, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What it says about each recipient; refuses as the relay."""
        top = field_of(key)
        if not top:
            return await self.next.send(envelope, message)
        if envelope.sender.size is not None:
            envelope = evolve(envelope, sender=evolve(envelope.sender, size=envelope.sender.size + len(top)))
        return await self.next.send(envelope, _topped(top, message))

    async def alone(
        self, envelope: Envelope, key: Digest | None, step: Callable[[Envelope], Awaitable[Sequence[Reply]]]
    ) -> tuple[Reply, ...]:
        """The replies of `step`, which is given the recipients to whom nobody is delivering the same message now; the
        others are busy, which the trail has."""
        if key is None:
            return tuple(await step(envelope))
        free = tuple(each for each in envelope.recipients if (key, each.path) not in self._busy)
        for each in envelope.recipients:
            if each not in free:
                why = BUSY.lines[0]
                self.audit.record(Event("deliver", "held", envelope.sender.path, each.path, evidence=why))
        if not free:
            return (BUSY,) * len(envelope.recipients)
        claimed = {(key, each.path) for each in free}
        self._busy |= claimed
        try:
            said = iter(await step(evolve(envelope, recipients=free)))
        finally:
            self._busy -= claimed
        return tuple(next(said) if (key, each.path) in claimed else BUSY for each in envelope.recipients)


async def _topped(top: bytes, message: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield top
    async for block in message:
        yield block
