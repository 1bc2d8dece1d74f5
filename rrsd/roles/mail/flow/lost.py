"""What the mailboxes were given and said nothing about: they are looked into before they are given it again.

Dovecot stores a message and writes down that it has it a moment later: killed between the two it stores it once more.
"""

from datetime import timedelta

from attrs import define, field

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LOST, Envelope, Reply
from rrsd.core.values.instants import Instant
from rrsd.roles.mail.offering import FIELD, mailboxes_of
from rrsd.roles.mail.ports import Audit, Contents, Timers

MOST = 10_000
"""So many are remembered, and only until the daemon ends; it is rare that both end at once."""
HAS = Reply(250, "2.0.0", ("delivered before",))


@define(eq=False, kw_only=True)
class Lost:
    """Deliveries without an answer. Whoever cannot be asked for `patience` is given the message again: a double beats a
    loss. What stands behind a character of `delimiters` in a local part names no other mailbox."""

    contents: Contents | None
    timers: Timers
    audit: Audit
    patience: timedelta
    delimiters: str
    _since: dict[tuple[Digest, str], Instant] = field(factory=dict, init=False)

    def note(self, key: Digest, path: str) -> None:
        """They may have it for this recipient, or not."""
        if self.contents is not None:
            self._since.setdefault((key, path), self.timers.now())
            while len(self._since) > MOST:
                del self._since[next(iter(self._since))]

    async def fates(self, key: Digest, envelope: Envelope) -> tuple[Reply | None, ...]:
        """The reply for each recipient to whom it is not to be given now, None for all others.

        Refuses when that cannot be written down.
        """
        return tuple([await self._fate(key, envelope, index) for index in range(len(envelope.recipients))])

    async def _fate(self, key: Digest, envelope: Envelope, index: int) -> Reply | None:
        recipient = envelope.recipients[index]
        since = self._since.get((key, recipient.path))
        if since is None or self.contents is None:
            return None
        try:
            (name,) = mailboxes_of([recipient], self.delimiters)
            has = await self.contents.has(parse_address(name), FIELD, key.b64, recipient.path)
        except Unavailable as refusal:
            if self.timers.now() - since < self.patience:
                self._tell("held", envelope, recipient.path, refusal)
                return LOST
            has = False
        except Refusal:
            has = False
        if has:
            self._tell("granted", envelope, recipient.path)
            return HAS
        del self._since[key, recipient.path]
        return None

    def _tell(self, outcome: str, envelope: Envelope, path: str, refusal: Refusal | None = None) -> None:
        said = "the mailbox has it" if refusal is None else f"the mailbox may have it: {refusal.detail}"
        reason = "" if refusal is None else refusal.reason
        self.audit.record(Event("deliver", outcome, envelope.sender.path, path, refusal=reason, evidence=said))
