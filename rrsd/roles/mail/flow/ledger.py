"""Each recipient once: what was handed on is remembered, and what nobody has answered for is asked about.

What is durable before what: that the next server may have the message, before its end goes out; that a group has it,
before the next group begins.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, Fate, ForwardPath, Offer, Reply
from rrsd.core.values.instants import Instant
from rrsd.roles.mail.flow.lines import line_of, not_taken
from rrsd.roles.mail.flow.partly import Partly
from rrsd.roles.mail.offering import delivery_name
from rrsd.roles.mail.ports import Audit, Doubts, Passages, Relay, Timers
from rrsd.roles.mail.replies import joined, reply_of

DONE = Reply(250, "2.0.0", ("handed on before",))
DOUBT = Reply(451, "4.4.2", ("the next mail server may have it, come again",))


@frozen
class Rest:
    """Who has to get a message that was first seen at `first`; `waits` when somebody else may have it."""

    first: Instant
    recipients: tuple[ForwardPath, ...]
    waits: bool = False

    @property
    def replies(self) -> list[Reply]:
        """What is said for those who are not among the recipients."""
        return [DOUBT] if self.waits else []


@define(eq=False, kw_only=True)
class Ledger:
    """The way to the next server. After `patience` what nobody can tell is sent again: a double beats a loss."""

    next: Relay
    passages: Passages
    doubts: Doubts
    timers: Timers
    audit: Audit
    patience: timedelta
    partly: Partly
    _busy: set[tuple[Digest, str]] = field(factory=set, init=False)
    _began: Instant = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.timers.now()

    @contextmanager
    def claim(self, key: Digest, recipients: Sequence[ForwardPath]) -> Iterator[None]:
        """Nobody else hands the message on to them meanwhile; refuses with Unavailable while somebody does."""
        claimed = {(key, each.path) for each in recipients}
        if claimed & self._busy:
            raise Unavailable("the same message is on its way already")
        self._busy |= claimed
        try:
            yield
        finally:
            self._busy -= claimed

    async def rest(self, key: Digest, envelope: Envelope) -> Rest:
        """Whom the message has not reached; refuses as the store."""
        passage = await self.passages.find(key)
        now = self.timers.now()
        if passage is None:
            return Rest(now, envelope.recipients)
        left = [each for each in envelope.recipients if each.path not in passage.done]
        done = [each for each in envelope.recipients if each.path in passage.done]
        if done:
            self.audit.record(evolve(line_of("granted", envelope, done), evidence="handed on before"))
        waits = False
        for offer in dict.fromkeys(passage.offered[each.path] for each in left if each.path in passage.offered):
            doubted = [each for each in left if passage.offered.get(each.path) == offer]
            fate = await self._fate(offer, envelope, doubted)
            if fate is Fate.TAKEN:
                await self.passages.note(key, [each.path for each in doubted], self.timers.now())
            if fate is not Fate.NOT_TAKEN:
                left = [each for each in left if each not in doubted]
            waits = waits or fate is Fate.UNKNOWN
        return Rest(passage.first, tuple(left), waits)

    async def _fate(self, offer: Offer, envelope: Envelope, recipients: Sequence[ForwardPath]) -> Fate:
        """What became of it, which the trail gets too; what has been unknown for too long was not taken."""
        fate = await self.doubts.fate_of(offer)
        said = f"{offer.delivery}, which the next mail server may have: {fate}"
        if fate is Fate.UNKNOWN and self.timers.now() - max(offer.at, self._began) >= self.patience:
            fate, said = Fate.NOT_TAKEN, f"{said}, sent again"
        outcome, refusal = ("failed", Unavailable.reason) if fate is Fate.UNKNOWN else ("granted", "")
        self.audit.record(evolve(line_of(outcome, envelope, recipients), refusal=refusal, evidence=said))
        return fate

    async def hand_on(
        self,
        key: Digest | None,
        envelope: Envelope,
        content: AsyncIterator[bytes],
        line: Event,
        *,
        is_last: bool = True,
    ) -> Sequence[Reply]:
        """What the next server says about each recipient; without a `key` nothing is remembered.

        `line` is in the trail already: nothing is sent without a trace. What is not taken leaves another one; refuses
        with Unavailable when that cannot be written.
        """
        replies = await self.attempt(key, envelope, content, is_last=is_last)
        self.partly.note(envelope, replies)
        failed = [each for each in zip(envelope.recipients, replies, strict=True) if not each[1].is_good]
        if failed:
            whom = line_of(line.outcome, envelope, [recipient for recipient, _ in failed]).subject
            self.audit.record(not_taken(evolve(line, subject=whom), joined([reply for _, reply in failed])))
        return replies

    async def attempt(
        self, key: Digest | None, envelope: Envelope, content: AsyncIterator[bytes], *, is_last: bool = True
    ) -> Sequence[Reply]:
        """The same without a word in the trail; never refuses."""
        offered = content
        if key is not None:
            at = self.timers.now()
            offer = Offer(delivery_name(envelope, key, envelope.recipients, at), at)
            envelope = evolve(envelope, forwarded={**envelope.forwarded, "IDENT": offer.delivery})
            offered = self._offered(key, envelope, offer, content)
        try:
            replies: Sequence[Reply] = await self.next.send(envelope, offered)
        except Refusal as refusal:
            return (reply_of(refusal),) * len(envelope.recipients)
        if key is not None:
            # If this cannot be written, the recipients stay in doubt, and the next try asks.
            with suppress(Refusal):
                await self._settle(key, envelope, replies, is_last=is_last)
        return replies

    async def _offered(
        self, key: Digest, envelope: Envelope, offer: Offer, content: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The content. Its end is what the next server is waiting for to take it: that it may have it is durable before
        the end goes out."""
        async for block in content:
            yield block
        await self.passages.offer(key, [each.path for each in envelope.recipients], offer)

    async def _settle(self, key: Digest, envelope: Envelope, replies: Sequence[Reply], *, is_last: bool) -> None:
        said = list(zip([each.path for each in envelope.recipients], replies, strict=True))
        done = [path for path, reply in said if reply.is_good]
        lost = [path for path, reply in said if not reply.is_good]
        if done and is_last:
            self.passages.note_soon(key, done, self.timers.now())
        elif done:
            await self.passages.note(key, done, self.timers.now())
        if lost:
            await self.passages.forget(key, lost)
