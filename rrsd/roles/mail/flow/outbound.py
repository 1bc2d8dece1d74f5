"""Our users' mail on its way out, between the queue and the signature."""

from collections.abc import AsyncIterator

from attrs import define

from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.roles.mail.ports import Relay
from rrsd.roles.mail.replies import joined, reply_of


@define(eq=False, kw_only=True)
class Outbound:
    """The content filter: one reply for all recipients, and only when the next server has everything."""

    next: Relay

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """The reply; whatever cannot be done now is for later, and the queue keeps the message."""
        try:
            return (joined(await self.next.send(envelope, message)),)
        except Refusal as refusal:
            return (reply_of(refusal),)
