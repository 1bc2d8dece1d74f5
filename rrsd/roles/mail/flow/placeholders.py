"""One placeholder, recipient by recipient: proved, pulled, held, completed, or delivered as it is.

What is durable before what: the pulls and the hold before the 450; the next server's yes before the row that says so,
and that row before our own yes.
"""

from collections.abc import Awaitable, Sequence
from datetime import timedelta

from attrs import define, evolve, field

from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooLarge, Unavailable, Unknown, Withdrawn
from rrsd.core.values.addresses import Address, Domain, parse_address
from rrsd.core.values.authors import VerifiedAuthor
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.core.wire.mime import parse_placeholder
from rrsd.roles.mail import holding
from rrsd.roles.mail.flow.authors import Authors
from rrsd.roles.mail.flow.handover import Arrived, Case, Handover, once
from rrsd.roles.mail.holding import Way
from rrsd.roles.mail.ports import Audit, Subjects
from rrsd.roles.mail.settings import Settings

NOT_FOR_PULLING = (Malformed, TooLarge, Unknown, Forbidden)
"""Refusals of the agent that stay what they are: the message passes as it came."""


@define(eq=False, kw_only=True)
class Placeholders:
    """Takes placeholders of at most `most_parts` parts for the users of `domain`."""

    domain: Domain
    subjects: Subjects
    authors: Authors
    handover: Handover
    audit: Audit
    settings: Settings
    most_parts: int
    _busy: set[tuple[Address, Digest, str]] = field(factory=set, init=False)

    def is_busy(self, recipient: Address, digest: Digest) -> bool:
        """Whether the placeholder is being delivered to the recipient this moment."""
        return any(each[:2] == (recipient, digest) for each in self._busy)

    async def take(self, envelope: Envelope, raw: bytes, key: Digest | None) -> tuple[Reply, ...]:
        """The replies, in order of the recipients. A message that is no placeholder passes. The mailboxes know it by
        `key`.

        Raises:
            Unavailable, Unsupported: it passes, and the next mail server does not take it.
        """
        message = self._read(envelope, raw, key)
        if message is None:
            return await self.handover.next.send(envelope, key, once(raw))
        cases = [Case(index, each.path) for index, each in enumerate(envelope.recipients)]
        claimed: set[tuple[Address, Digest, str]] = set()
        try:
            for case in cases:
                await _guarded(case, self._open(message, case, claimed))
            await self._work(message, [case for case in cases if case.address is not None and case.is_open])
            await self._deliver(message, cases)
        finally:
            self._busy -= claimed
        return tuple(self._answer(message, case) for case in cases)

    def _read(self, envelope: Envelope, raw: bytes, key: Digest | None) -> Arrived | None:
        try:
            placeholder = parse_placeholder(raw, self.most_parts)
        except Refusal as refusal:
            for each in envelope.recipients:
                self._write_down("refused", each.path, raw, refusal=refusal.reason, evidence=refusal.detail)
            return None
        if not placeholder.attachments:
            return None
        return Arrived(envelope, raw, placeholder, digest_of(raw), holding.queue_of(envelope.forwarded), key)

    async def _open(self, message: Arrived, case: Case, claimed: set[tuple[Address, Digest, str]]) -> None:
        """Whose it is, and what is known of it; two deliveries of one message to one recipient wait for each other."""
        address = await self._ours(case)
        if address is None:
            return
        key = (address, message.digest, message.queue)
        case.address = address
        if key in self._busy:
            case.way, case.reply = Way.HOLD, holding.BUSY
            return
        self._busy.add(key)
        claimed.add(key)
        case.hold = await self.handover.holds.find(*key)
        if case.hold is not None and case.hold.stand in holding.OVER:
            case.way, case.reply, case.evidence = Way.COMPLETE, holding.AGAIN, "delivered before"
        elif case.hold is not None and case.hold.stand is Stand.OFFERED:
            case.way, case.is_offered = Way.PLACEHOLDER if case.hold.evidence else Way.PASS, True
            case.evidence = "offered before, as it came"

    async def _ours(self, case: Case) -> Address | None:
        try:
            address = parse_address(case.path)
            if address.domain != self.domain:
                raise Unknown("not an address of ours")
            await self.subjects.require_active(address)
        except (Malformed, Unknown, Forbidden) as refusal:
            case.refusal, case.evidence = refusal.reason, refusal.detail
            return None
        return address

    async def _work(self, message: Arrived, cases: Sequence[Case]) -> None:
        """Prove the author where that is not known, begin to pull, wait a little, decide."""
        author: VerifiedAuthor | Refusal | None = None
        if any(case.hold is None or not case.hold.evidence for case in cases):
            try:
                author = await self.authors.prove(message.raw)
            except Refusal as doubt:
                author = doubt
        for case in cases:
            await _guarded(case, self._begin(message, case, author))
        await self._linger(message, cases)
        for case in cases:
            if case.reply is None and case.hold is not None and case.hold.evidence:
                await _guarded(case, self._decide(message, case, case.hold))

    async def _begin(self, message: Arrived, case: Case, author: VerifiedAuthor | Refusal | None) -> None:
        """Everything that has to be durable before a 450; the verdict too, for keys are withdrawn and DNS fails."""
        if case.hold is not None and case.hold.evidence:
            await self._keep(message, case.hold.recipient, self._granted(message))
        if case.address is None or author is None or (case.hold is not None and case.hold.evidence):
            return
        doubt = author if isinstance(author, Refusal) else None
        if doubt is None:
            try:
                is_proved = isinstance(author, VerifiedAuthor) and author.is_addressed and _is_own(message)
                granted = self._granted(message)
                await self.handover.pulls.accept(message.raw, case.address, granted, is_proved=is_proved)
            except NOT_FOR_PULLING as refusal:
                doubt = refusal
        if doubt is not None:
            case.refusal, case.evidence = doubt.reason, doubt.detail
            if not isinstance(doubt, Unavailable):
                return
        now, evidence = self.handover.timers.now(), author.evidence if isinstance(author, VerifiedAuthor) else ""
        new = Hold(case.address, message.digest, message.queue, message.placeholder.message_id, "", now, Stand.HELD)
        case.hold = evolve(case.hold or new, evidence=evidence)
        await self.handover.holds.put(case.hold)
        if doubt is not None and self._waited(case) < self.settings.max_hold:
            case.way, case.reply = Way.HOLD, holding.UNASKED

    def _granted(self, message: Arrived) -> Address | None:
        """Whom it was sent to, before the mail server expanded aliases."""
        original = holding.original_of(message.raw) if len(message.envelope.recipients) == 1 else None
        return original if original is not None and original.domain == self.domain else None

    async def _keep(self, message: Arrived, recipient: Address, granted: Address | None) -> None:
        """The hold may be known and the pulls not, when a mailbox was put back from a backup."""
        pulls = self.handover.pulls
        try:
            await pulls.progress(recipient, message.digest)
        except Unknown:
            await pulls.accept(message.raw, recipient, granted)

    def _waited(self, case: Case) -> timedelta:
        return timedelta() if case.hold is None else self.handover.timers.now() - case.hold.since

    async def _linger(self, message: Arrived, cases: Sequence[Case]) -> None:
        timers = self.handover.timers
        end = timers.monotonic() + self.settings.linger.total_seconds()
        for case in cases:
            left = timedelta(seconds=end - timers.monotonic())
            if case.address is not None and case.hold is not None and case.hold.evidence and left > timedelta():
                await _guarded(case, self.handover.pulls.settled(case.address, message.digest, left))

    async def _decide(self, message: Arrived, case: Case, hold: Hold) -> None:
        progress = await self.handover.pulls.progress(hold.recipient, hold.digest)
        case.way = holding.way_of(progress, self._waited(case), self.settings)
        case.evidence = _evidence(hold, progress)
        if case.way in (Way.PLACEHOLDER, Way.BOUNCE):
            case.refusal = Withdrawn.reason if progress.failed else Unavailable.reason
        if case.way is Way.HOLD:
            case.reply = holding.held(progress)
        elif case.way is Way.BOUNCE:
            await self.handover.holds.put(evolve(hold, stand=Stand.BOUNCED))
            case.reply = holding.bounced(progress)

    async def _deliver(self, message: Arrived, cases: Sequence[Case]) -> None:
        may_wait = all(self._waited(case) < self.settings.max_hold for case in cases)
        await self.handover.deliver(message, cases, lambda case: self._tell(message, case), may_wait=may_wait)

    def _answer(self, message: Arrived, case: Case) -> Reply:
        """The case's reply, after its line in the trail; what was delivered as it was said to be has that already."""
        reply = case.reply or holding.BUSY
        if case.way is Way.HOLD:
            self._tell(message, case, "held")
        elif case.way is not Way.BOUNCE and not reply.is_good:
            case.refusal = (Unavailable if reply.is_temporary else Forbidden).reason
            case.evidence = f"the next mail server: {reply.code} {' '.join(reply.lines)}"
            self._tell(message, case, "failed")
        elif not case.is_told:
            self._tell(message, case)
        return reply

    def _tell(self, message: Arrived, case: Case, outcome: str = "") -> None:
        said = outcome or ("granted" if case.way is Way.COMPLETE else "refused")
        who, subject = str(message.placeholder.sender), str(case.address or case.path)
        self._write_down(said, subject, message.raw, who=who, refusal=case.refusal, evidence=case.evidence)

    def _write_down(
        self, outcome: str, subject: str, raw: bytes, *, who: str = "", refusal: str = "", evidence: str = ""
    ) -> None:
        ni, size = digest_of(raw).ni, len(raw)
        self.audit.record(
            Event("deliver", outcome, who, subject, resource=ni, refusal=refusal, evidence=evidence, size=size)
        )


def _is_own(message: Arrived) -> bool:
    """Whether its author's own domain has sent it."""
    return holding.is_sent_by(message.envelope.sender.path, message.placeholder.sender)


def _evidence(hold: Hold, progress: Progress) -> str:
    parts = [hold.evidence]
    parts += [f"{progress.waiting} on their way"] if progress.waiting else []
    parts += [f"{progress.failed} will not arrive: {progress.reason}"] if progress.failed else []
    return "; ".join(parts)


async def _guarded(case: Case, work: Awaitable[None]) -> None:
    """What fails for one recipient is for later, and fails for nobody else."""
    try:
        await work
    except Refusal as refusal:
        case.postpone(refusal)
