"""Mail for our users on its way into their mailboxes, after alias expansion."""

from collections.abc import AsyncIterator

from attrs import define

from rrsd.core.refusals import Refusal
from rrsd.core.values.calls import Event
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.roles.mail.flow.looking import look
from rrsd.roles.mail.flow.mailboxes import ToMailboxes
from rrsd.roles.mail.flow.placeholders import Placeholders
from rrsd.roles.mail.holding import has_mark, may_be_placeholder
from rrsd.roles.mail.offering import passing_key
from rrsd.roles.mail.ports import Audit, Places
from rrsd.roles.mail.replies import reply_of


@define(eq=False, kw_only=True)
class Inbound:
    """The LMTP proxy: one reply for each recipient. `places` bounds how many messages are looked at."""

    mailboxes: ToMailboxes
    placeholders: Placeholders
    places: Places
    audit: Audit
    most: int

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """The replies; whatever cannot be done now is for later, and the queue keeps the message."""
        try:
            await self.places.acquire()
            try:
                looked = await look(message, self.most)
                key = passing_key(envelope, looked.head)
                if looked.rest is None and may_be_placeholder(looked.head) and has_mark(looked.head):
                    raw = looked.head
                    return await self.mailboxes.alone(
                        envelope, key, lambda free: self.placeholders.take(free, raw, key)
                    )
            finally:
                self.places.release()
            return await self.mailboxes.alone(
                envelope, key, lambda free: self.mailboxes.send(free, key, looked.blocks())
            )
        except Refusal as refusal:
            return (self._turn_away(envelope, refusal),) * len(envelope.recipients)

    def _turn_away(self, envelope: Envelope, refusal: Refusal) -> Reply:
        """What the mail server hears, after a line for each recipient; where they cannot be written, it comes again."""
        reply = reply_of(refusal)
        outcome, who = "failed" if reply.is_temporary else "refused", envelope.sender.path
        try:
            for each in envelope.recipients:
                said = Event("deliver", outcome, who, each.path, refusal=refusal.reason, evidence=refusal.detail)
                self.audit.record(said)
        except Refusal as trouble:
            return reply_of(trouble)
        return reply
