"""Messages that we write ourselves: durable before anybody relies on them, sent once, and only to whom we know."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from attrs import define

from rrsd.core.refusals import Expired, Forbidden, Refusal, TooMany
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Envelope, ForwardPath, Notify, Reply, ReversePath
from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice
from rrsd.core.wire.mime_own import render_notice_message
from rrsd.roles.mail.flow.ledger import DONE, Ledger
from rrsd.roles.mail.ports import Audit, Granted, Outbox, Received, Subjects, Timers
from rrsd.roles.mail.replies import joined, reply_of
from rrsd.roles.mail.rules import message_key

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=1)
MOST_AT_ONCE = 100
MOST_IN_VAIN = 10
"""Notices that the mail server cannot take now, one after the other; then the others wait too, however many."""
A_DAY = timedelta(days=1)
IDENT = "NOTICE"
"""What stands for a queue's name before ours, in the name that the next server is told."""


@define(eq=False, kw_only=True)
class Notices:
    """The outbox at work. `ring` wakes whoever calls `deliver`.

    Of notices that nobody asked for `most` go to one address in a day about messages of one domain, and `most_domain`
    to one domain elsewhere.
    """

    ours: Domain
    outbox: Outbox
    grants: Granted
    received: Received
    subjects: Subjects
    ledger: Ledger
    timers: Timers
    audit: Audit
    ring: Callable[[], None]
    most: int
    most_domain: int

    async def send(self, notice: Notice) -> None:
        """Take the notice; it is durable when this returns, and the same key again changes nothing.

        Raises:
            Forbidden: the address is neither that of a user of ours, nor named by a live grant, nor the proved sender
                of the message that the notice is about.
            TooMany: the address, or its domain, had enough of them today.
            Malformed: the notice cannot be written as a message.
            NoSpace: it cannot be kept.
        """
        now = self.timers.now()
        if notice.kind and await self.outbox.has(notice.key):
            return
        await self._require_known(notice, now)
        await self._require_few(notice, now)
        render_notice_message(notice, self.ours, now)
        if await self.outbox.add(notice, now):
            self.ring()

    async def deliver(self) -> timedelta | None:
        """Hand over everything whose time has come; how long until the next, None when nothing waits."""
        in_vain = 0
        while due := await self.outbox.due(self.timers.now(), MOST_AT_ONCE):
            for notice in due:
                in_vain = 0 if await self._deliver(notice) else in_vain + 1
                if in_vain == MOST_IN_VAIN:
                    return FIRST_WAIT
        following = await self.outbox.next_due()
        return None if following is None else max(timedelta(0), following - self.timers.now())

    async def _require_known(self, notice: Notice, now: Instant) -> None:
        if notice.recipient.domain == self.ours:
            await self._require_user(notice)
            return
        if notice.about:
            if await self.received.answerable(notice.about) != notice.recipient:
                raise Forbidden("a notice to a sender that nothing proves")
            return
        grants = (
            await self.grants.addressed(notice.message_id, notice.sender, notice.recipient) if notice.sender else ()
        )
        if not any(not grant.withdrawn and now < grant.not_after for grant in grants):
            raise Forbidden("a notice to an address that nothing proves")

    async def _require_few(self, notice: Notice, now: Instant) -> None:
        if not notice.kind:
            return
        most = max(self.most, self.most_domain)
        one, domain = await self.outbox.counted(notice, now - A_DAY, most)
        if one >= self.most:
            raise TooMany(f"{one} notices to this address about this domain within a day")
        if notice.recipient.domain != self.ours and domain >= self.most_domain:
            raise TooMany(f"{domain} notices to this domain within a day")

    async def _require_user(self, notice: Notice) -> None:
        try:
            await self.subjects.require_active(notice.recipient)
        except Refusal:
            raise Forbidden("a notice to no user of ours") from None

    async def _deliver(self, notice: Notice) -> bool:
        """Whether that was the end of it."""
        now = self.timers.now()
        if now >= notice.expires:
            await self._end(notice, Expired("its time is over"), None)
            return True
        reply = await self._hand_over(notice)
        if reply.is_temporary:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(notice.tries, 16))
            await self.outbox.later(notice.key, min(now + wait, notice.expires))
        else:
            await self._end(notice, None if reply.is_good else Forbidden("the mail server"), reply)
        return not reply.is_temporary

    async def _hand_over(self, notice: Notice) -> Reply:
        # A delivery report would go to nobody, so that none is asked for (RFC 3461 4.1, RFC 5321 4.5.5).
        recipient = ForwardPath(str(notice.recipient), frozenset({Notify.NEVER}))
        envelope = Envelope(str(self.ours), ReversePath(""), (recipient,), {"IDENT": IDENT})
        key = message_key(envelope, digest_of(notice.key.encode()).raw)
        try:
            message = render_notice_message(notice, self.ours, notice.made or self.timers.now())
            rest = await self.ledger.rest(key, envelope)
            if not rest.recipients:
                return joined(rest.replies or [DONE])
            (reply,) = await self.ledger.attempt(key, envelope, _once(message))
        except Refusal as refusal:
            reply = reply_of(refusal)
        return reply

    async def _end(self, notice: Notice, refusal: Refusal | None, reply: Reply | None) -> None:
        said = "" if reply is None else f"the mail server: {reply.code} {reply.status} {reply.lines[0]}"
        outcome = "granted" if refusal is None else "failed"
        # First the outbox: a message that has gone out must not go again because the trail has trouble.
        await self.outbox.end(notice.key)
        self.audit.record(
            Event(
                "notice", outcome, who="" if notice.sender is None else str(notice.sender),
                subject=str(notice.recipient), resource=notice.message_id,
                refusal="" if refusal is None else refusal.reason, evidence=said or (refusal.detail if refusal else ""),
            )
        )  # fmt: skip


async def _once(message: bytes) -> AsyncIterator[bytes]:
    yield message
