"""What the mailboxes were given and said nothing about: they are looked into before they are given it again.

Dovecot stores a message and writes down that it has it a moment later: killed between the two it stores it once more.
"""

from datetime import timedelta

from attrs import define, field

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LOST, Envelope, ForwardPath, Reply
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
    _since: dict[tuple[Digest, str], Instant | None] = field(factory=dict, init=False)
    """None for who is known to have it."""

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
        found: list[Reply | None] = []
        for recipient in envelope.recipients:
            # Where one cannot be asked, the next one is not waited for.
            found.append(await self._fate(key, envelope, recipient, is_away=LOST in found))
        return tuple(found)

    async def _fate(self, key: Digest, envelope: Envelope, recipient: ForwardPath, *, is_away: bool) -> Reply | None:
        name = (key, recipient.path)
        if self.contents is None or name not in self._since:
            return None
        since = self._since[name]
        try:
            has = since is None or await self._has(self.contents, key, recipient, is_away=is_away)
        except Unavailable as refusal:
            if since is not None and self.timers.now() - since < self.patience:
                self._tell("held", envelope, recipient, refusal)
                return LOST
            has = False
        except Refusal:
            has = False
        if not has:
            del self._since[name]
            return None
        self._tell("granted", envelope, recipient)
        self._since[name] = None
        return HAS

    async def _has(self, contents: Contents, key: Digest, recipient: ForwardPath, *, is_away: bool) -> bool:
        if is_away:
            raise Unavailable("another mailbox cannot be asked")
        (name,) = mailboxes_of([recipient], self.delimiters)
        return await contents.has(parse_address(name), FIELD, key.b64, recipient.path)

    def _tell(self, outcome: str, envelope: Envelope, recipient: ForwardPath, refusal: Refusal | None = None) -> None:
        said = "the mailbox has it" if refusal is None else f"the mailbox may have it: {refusal.detail}"
        reason = "" if refusal is None else refusal.reason
        self.audit.record(
            Event("deliver", outcome, envelope.sender.path, recipient.path, refusal=reason, evidence=said)
        )
