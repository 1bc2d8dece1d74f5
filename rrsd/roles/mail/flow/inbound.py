"""Mail for our users on its way into their mailboxes, after alias expansion."""

from collections.abc import AsyncIterator

from attrs import define

from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.roles.mail.ports import Relay
from rrsd.roles.mail.replies import reply_of


@define(eq=False, kw_only=True)
class Inbound:
    """The LMTP proxy: one reply for each recipient."""

    next: Relay

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """The replies; whatever cannot be done now is for later, and the queue keeps the message."""
        try:
            return await self.next.send(envelope, message)
        except Refusal as refusal:
            return (reply_of(refusal),) * len(envelope.recipients)
