"""Our users' mail before it is queued: what can be done at once is done at once, by one pass through the queue.

Everything else goes into the queue as it came, and from there to the filter behind it, which can wait. So trouble that
passes is never the user's. Nothing is remembered here: who has a message until the reply is who hands it in.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from attrs import define, evolve, frozen

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import LATER, LOST, Envelope, ForwardPath, Reply
from rrsd.roles.mail.flow.beginning import joined_blocks, read_head
from rrsd.roles.mail.flow.lines import form_line, line_of, not_taken, turn_away
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.flow.reinjection import Reinjection
from rrsd.roles.mail.flow.writing import Replacement, Writer
from rrsd.roles.mail.ports import Audit, Blobs, Deposits, Domains, Grants, Spools, Timers
from rrsd.roles.mail.rules import (
    Form,
    Forms,
    Header,
    address_of,
    domains_of,
    message_key,
    nobody_collects,
    read_header,
    threshold_of,
)
from rrsd.roles.mail.settings import Settings

SMALL = 1 << 20
"""Bytes of a message that waits in memory until it has come whole."""


@frozen
class Ways:
    """Where messages go on: placeholders, what is `plain`, and what the queue is to have as it came."""

    placeholders: Reinjection
    plain: Reinjection
    queue: Reinjection

    @property
    def unanswered(self) -> int:
        """Messages that the mail server may have by now, while their clients wait to hear it."""
        return sum(each.unanswered for each in (self.placeholders, self.plain, self.queue))


@frozen
class _Letter:
    """One message of ours; `client` is the message as it comes."""

    envelope: Envelope
    header: Header
    client: AsyncIterator[bytes]


@define(eq=False, kw_only=True)
class Prequeue:
    """The filter before the queue: one reply, which is that of the server that has the message then."""

    ours: Domain
    settings: Settings
    domains: Domains
    deposits: Deposits
    spools: Spools
    blobs: Blobs
    grants: Grants
    writer: Writer
    ways: Ways
    timers: Timers
    audit: Audit

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """The reply; temporary only where nobody can take the message now, or nobody can tell who has it."""
        header: Header | None = None
        try:
            begin, section = await read_head(message)
            header = read_header(section, self.ours) if section else None
            if header is None:
                key = message_key(envelope, hashlib.sha256(begin).digest())
                return (await self._queue(envelope, key, joined_blocks([begin], message), message),)
            return (await self._look(_Letter(envelope, header, message), begin),)
        except Refusal as refusal:
            return (turn_away(self.audit, line_of("refused", envelope, envelope.recipients, header), refusal),)

    async def _look(self, letter: _Letter, begin: bytes) -> Reply:
        """A message that is no larger than what stays in it has nothing to take."""
        recipients = letter.envelope.recipients
        key = message_key(letter.envelope, hashlib.sha256(begin).digest())
        threshold = threshold_of(letter.header.author, domains_of(recipients), self.settings)
        held, size = [begin], len(begin)
        while size <= min(threshold, SMALL):
            block = await anext(letter.client, None)
            if block is None:
                return await self._pass(letter, key, lambda: joined_blocks(held, letter.client), size)
            held.append(block)
            size += len(block)
        blocks = joined_blocks(held, letter.client)
        forms = await self._forms(letter)
        form = None if forms is None else self._one_form(forms, letter.envelope, letter.envelope.sender.size)
        if form is Form.PLACEHOLDER:
            return await self._take(letter, threshold, blocks)
        if forms is not None and form is Form.WHOLE:
            return await self._hold(letter, key, forms, blocks)
        return await self._queue(letter.envelope, key, blocks, letter.client)

    async def _forms(self, letter: _Letter) -> Forms | None:
        """What is known at once of everybody's domain; None when that is not all, or when there is no room here."""
        envelope = letter.envelope
        if not all(map(self._is_outside, envelope.recipients)):
            return None
        with suppress(Refusal):
            await self.deposits.require_room(envelope.sender.size or 0)
            if not letter.header.is_provable:
                return Forms(nobody_collects(domains_of(envelope.recipients)), self.settings)
            asked = self.domains.standings(domains_of(envelope.recipients))
            late = lambda: Unavailable("not known yet")  # noqa: E731
            return Forms(await self.timers.within(self.settings.prequeue_wait, asked, late), self.settings)
        return None

    def _one_form(self, forms: Forms, envelope: Envelope, size: int | None) -> Form | None:
        """The form that everybody gets of a message of so many bytes; None where they differ. Who does not say how
        many is believed to have more than others take."""
        size = self.settings.most_mail + 1 if size is None else size
        found = [*forms.grouped(envelope.recipients, size, 0.0)]
        return found[0] if len(found) == 1 else None

    def _is_outside(self, recipient: ForwardPath) -> bool:
        """Whether the mail server knows nobody else by this address: of others the placeholder would be granted to a
        name, and reach whom the name stands for."""
        address = address_of(recipient)
        return address is not None and address.domain != self.ours and address.domain not in self.settings.aliased

    async def _hold(self, letter: _Letter, key: Digest, forms: Forms, blocks: AsyncIterator[bytes]) -> Reply:
        """Nobody collects: it goes on whole, and stays here until somebody has it."""
        spool = self.spools.begin()
        try:
            async for block in blocks:
                await spool.append(block)
            if self._one_form(forms, letter.envelope, spool.size) is not Form.WHOLE:
                return await self._queue(letter.envelope, key, spool.read(0, spool.size), letter.client)
            return await self._pass(letter, key, lambda: spool.read(0, spool.size), spool.size)
        finally:
            await spool.close()

    async def _take(self, letter: _Letter, threshold: int, blocks: AsyncIterator[bytes]) -> Reply:
        parcel = Parcel(threshold, self.spools.begin(), self.deposits, self.blobs, _yes)
        try:
            await parcel.fill(blocks)
            key = message_key(letter.envelope, parcel.fingerprint)
            placeholder = await self.writer.replacement(parcel, letter.header, key, self.timers.now())
            if placeholder is None:
                return await self._pass(letter, key, parcel.whole, parcel.size)
            reply = await self._send_placeholder(letter, key, parcel, placeholder)
            return await self._or_queue(reply, letter, key, parcel.whole())
        finally:
            await parcel.close()

    async def _pass(
        self, letter: _Letter, key: Digest, content: Callable[[], AsyncIterator[bytes]], size: int
    ) -> Reply:
        """It goes on as it is."""
        reply = await self._send(self.ways.plain, letter, key, content(), (Form.WHOLE, 0, size))
        return await self._or_queue(reply, letter, key, content())

    async def _send_placeholder(self, letter: _Letter, key: Digest, parcel: Parcel, placeholder: Replacement) -> Reply:
        """What it promises is durable before it leaves."""
        grants = placeholder.grants(letter.header.author, letter.envelope.recipients)
        try:
            await self.grants.add(grants)
        except Refusal:
            return LATER
        content, what = parcel.written(placeholder.content), (Form.PLACEHOLDER, parcel.taken, placeholder.size)
        reply = await self._send(self.ways.placeholders, letter, key, content, what)
        if not reply.is_good and not reply.is_temporary:
            # Who never gets the placeholder has no use for what it grants; if this fails, they end by themselves.
            with suppress(Refusal):
                await self.grants.take_back(grants)
        return reply

    async def _send(
        self, way: Reinjection, letter: _Letter, key: Digest, content: AsyncIterator[bytes], what: tuple[Form, int, int]
    ) -> Reply:
        """What cannot be written down does not leave from here."""
        line = form_line(letter.envelope, letter.envelope.recipients, letter.header, what)
        envelope = evolve(letter.envelope, sender=evolve(letter.envelope.sender, size=line.size))
        try:
            self.audit.record(line)
            reply = await way.send(envelope, key, content, letter.client)
            if not reply.is_good and reply != LOST:
                self.audit.record(not_taken(line, reply))
        except Refusal:
            return LATER
        return reply

    async def _or_queue(self, reply: Reply, letter: _Letter, key: Digest, content: AsyncIterator[bytes]) -> Reply:
        """What nobody has, and what somebody may have later, is the queue's."""
        if reply.is_good or not reply.is_temporary:
            return reply
        if reply == LOST:
            return self._told(letter.envelope, reply)
        return await self._queue(letter.envelope, key, content, letter.client)

    async def _queue(
        self, envelope: Envelope, key: Digest, content: AsyncIterator[bytes], client: AsyncIterator[bytes]
    ) -> Reply:
        """As it came; the filter behind the queue writes down what becomes of it."""
        return self._told(envelope, await self.ways.queue.send(envelope, key, content, client))

    def _told(self, envelope: Envelope, reply: Reply) -> Reply:
        """What its client hears, after a line about it if that is a no."""
        if not reply.is_good:
            with suppress(Refusal):
                self.audit.record(not_taken(line_of("failed", envelope, envelope.recipients), reply))
        return reply


async def _yes() -> bool:
    return True
