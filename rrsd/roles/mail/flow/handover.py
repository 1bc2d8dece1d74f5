"""How a placeholder, or what it stands for, goes on to the mailboxes, and what is remembered of that."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

from attrs import define, evolve, frozen

from rrsd.core.refusals import Refusal, Unsupported
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LATER, LOST, Envelope, Reply
from rrsd.core.values.holds import Hold, Stand
from rrsd.core.values.messages import Placeholder
from rrsd.core.wire.mime_fields import Field, parse_fields
from rrsd.core.wire.results import in_the_name_of, render_results
from rrsd.roles.mail.flow.mailboxes import ToMailboxes
from rrsd.roles.mail.flow.sealing import Sealer
from rrsd.roles.mail.holding import STANDS, Way
from rrsd.roles.mail.ports import Holds, Pulls, Timers
from rrsd.roles.mail.replies import reply_of

Content: TypeAlias = tuple[int, AsyncIterator[bytes]]
"""How many bytes, and the bytes."""


@frozen
class Arrived:
    """A placeholder that is here now, whole; `queue` is the mail server's name for it, `key` the mailboxes'."""

    envelope: Envelope
    raw: bytes
    placeholder: Placeholder
    digest: Digest
    queue: str
    key: Digest | None


@define(eq=False)
class Case:
    """What becomes of it for one recipient: `address` is None for one who is not ours, `reply` until it is decided.
    What `is_offered` was offered to the mailboxes as it came, who may have it, and goes there as it came again.

    `refusal` and `evidence` are for the trail, which has its line where `is_told`.
    """

    index: int
    path: str
    address: Address | None = None
    hold: Hold | None = None
    way: Way = Way.PASS
    reply: Reply | None = None
    refusal: str = ""
    evidence: str = ""
    is_offered: bool = False
    is_told: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is to be found out what becomes of it."""
        return self.reply is None and not self.is_offered

    def postpone(self, refusal: Refusal) -> None:
        """Something failed here: the mail server shall come again."""
        reply = reply_of(refusal)
        self.way, self.reply = Way.HOLD, reply if reply.is_temporary else LATER
        self.refusal, self.evidence = refusal.reason, refusal.detail


@frozen(kw_only=True)
class Handover:
    """Hands over to the next mail server. `service` is our authserv-id; with a `sealer` we seal what we complete."""

    next: ToMailboxes
    pulls: Pulls
    holds: Holds
    timers: Timers
    service: str
    sealer: Sealer | None = None

    async def deliver(
        self, message: Arrived, cases: Sequence[Case], tell: Callable[[Case], None], *, may_wait: bool
    ) -> None:
        """Deliver to everyone whose case has no reply yet, and of whom `tell` has written down what becomes of it.

        Where the complete message cannot be made, the recipients get the placeholder, or while it `may_wait`, nothing
        for now.
        """
        complete = [case for case in cases if case.reply is None and case.way is Way.COMPLETE]
        if complete:
            try:
                content = await self._completed(message, complete[0])
            except Refusal as refusal:
                for case in complete:
                    _give_up(case, refusal, may_wait=may_wait)
            else:
                await self._send(message, _told(complete, tell), content)
        plain = _told([case for case in cases if case.reply is None], tell)
        await self._send(message, plain, (len(message.raw), self._offered(message, plain)))

    async def _completed(self, message: Arrived, case: Case) -> Content:
        assert case.hold is not None, "only what was accepted can be complete"
        return await completed(self.pulls, self.service, case.hold, message.raw, self.sealer)

    async def _send(self, message: Arrived, cases: Sequence[Case], content: Content) -> None:
        if not cases:
            return
        recipients = tuple(message.envelope.recipients[case.index] for case in cases)
        sender = evolve(message.envelope.sender, size=content[0])
        envelope = evolve(message.envelope, sender=sender, recipients=recipients)
        try:
            replies = await self.next.send(envelope, message.key, content[1])
        except Unsupported as refusal:
            replies = (reply_of(refusal),) * len(cases)
        except Refusal as refusal:
            for case in cases:
                case.postpone(refusal)
            return
        for case, reply in zip(cases, replies, strict=True):
            case.reply = reply
            if reply.is_good:
                await self._remember(message, case, STANDS[case.way])
            elif case.is_offered and reply != LOST:
                await self._remember(message, case, Stand.HELD)

    async def _offered(self, message: Arrived, cases: Sequence[Case]) -> AsyncIterator[bytes]:
        """The message as it came. Before its end goes out it is durable that these recipients may have it in this form.
        Were it completed at the next try, the mailboxes would drop it as one they have, and nobody would swap it."""
        yield message.raw
        for case in cases:
            if case.address is not None and not case.is_offered:
                await self.holds.put(evolve(self._hold(message, case, case.address), stand=Stand.OFFERED))
                case.is_offered = True

    async def _remember(self, message: Arrived, case: Case, stand: Stand) -> None:
        """The row that keeps a retry from delivering again; without it a placeholder would never be swapped, and
        anything else is better delivered twice than bounced."""
        if case.address is None:
            return
        try:
            await self.holds.put(evolve(self._hold(message, case, case.address), stand=stand))
        except Refusal as refusal:
            if case.way is Way.PLACEHOLDER:
                case.postpone(refusal)

    def _hold(self, message: Arrived, case: Case, address: Address) -> Hold:
        now, message_id = self.timers.now(), message.placeholder.message_id
        return case.hold or Hold(address, message.digest, message.queue, message_id, "", now, Stand.HELD)


def _told(cases: Sequence[Case], tell: Callable[[Case], None]) -> Sequence[Case]:
    """Those whose line is written; nothing is delivered without a trace."""
    for case in cases:
        try:
            tell(case)
        except Refusal as refusal:
            case.postpone(refusal)
        else:
            case.is_told = True
    return [case for case in cases if case.is_told]


async def completed(pulls: Pulls, service: str, hold: Hold, raw: bytes, sealer: Sealer | None = None) -> Content:
    """The complete message with our results on top, sealed if there is a `sealer`, and without results that somebody
    else wrote in our name.

    Refuses as `Pulls.restored` and `Sealer.seal`.
    """
    restored = await pulls.restored(hold.recipient, hold.digest)
    _, signer, selector, _ = hold.evidence.split()
    results = render_results(service, signer, selector)
    fields, _ = parse_fields(raw, 0, len(raw))
    false = in_the_name_of(service, fields)
    if sealer is not None:
        seal = await sealer.seal(raw, results, _with_results(results, restored.blocks, false))
        results, restored = seal + results, await pulls.restored(hold.recipient, hold.digest)
    size = len(results) + restored.size - sum(each.end - each.start for each in false)
    return size, _with_results(results, restored.blocks, false)


def _give_up(case: Case, refusal: Refusal, *, may_wait: bool) -> None:
    if may_wait:
        case.postpone(refusal)
    else:
        case.way, case.refusal = Way.PLACEHOLDER, refusal.reason


async def once(raw: bytes) -> AsyncIterator[bytes]:
    """All of it in one block."""
    yield raw


async def _with_results(results: bytes, blocks: AsyncIterator[bytes], false: Sequence[Field]) -> AsyncIterator[bytes]:
    """What the fields `false` say is left out; they lie in the header, which the blocks begin with."""
    yield results
    at = 0
    async for block in blocks:
        kept, start = [], 0
        for each in false:
            begin, end = max(start, each.start - at), max(0, each.end - at)
            if end > start and begin < len(block):
                kept.append(block[start:begin])
                start = end
        kept.append(block[start:])
        at += len(block)
        yield b"".join(kept)
