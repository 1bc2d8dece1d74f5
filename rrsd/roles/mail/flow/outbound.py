"""Our users' mail on its way out, between the queue and the signature."""

from collections.abc import AsyncIterator, Sequence

from attrs import define, evolve, field

from rrsd.core.refusals import Refusal, TooLarge
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply
from rrsd.roles.mail.flow.beginning import joined_blocks, read_head
from rrsd.roles.mail.flow.dispatch import Dispatch, Mail
from rrsd.roles.mail.flow.ledger import DONE
from rrsd.roles.mail.flow.lines import line_of, turn_away
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.offering import passing_key
from rrsd.roles.mail.ports import Audit, Blobs, Deposits, Domains, Spools
from rrsd.roles.mail.replies import joined
from rrsd.roles.mail.rules import Form, Forms, Header, domains_of, nobody_collects, read_header, threshold_of
from rrsd.roles.mail.settings import Settings


@define(eq=False)
class _Question:
    """Whether anybody would get a placeholder; the domains are asked once, and only when there is something to take."""

    domains: Domains
    settings: Settings
    header: Header
    recipients: Sequence[ForwardPath]
    size: int | None
    forms: Forms | None = field(default=None, init=False)

    async def may_take(self) -> bool:
        """Ask; refuses with TooLarge when the message cannot go out at all."""
        known = await self.ask()
        size = self.settings.most_mail + 1 if self.size is None else self.size
        forms = set(known.grouped(self.recipients, size, 0.0))
        if Form.REFUSED in forms and self.size is not None:
            raise TooLarge("no mail can carry this")
        return bool(forms & {Form.PLACEHOLDER, Form.LINK, Form.LATER})

    async def ask(self) -> Forms:
        """What is known of everybody's domain, which does not matter where nobody can prove the author."""
        if self.forms is None:
            asked = domains_of(self.recipients)
            is_provable = self.header.is_provable
            standings = await self.domains.standings(asked) if is_provable else nobody_collects(asked)
            self.forms = Forms(standings, self.settings)
        return self.forms


@define(eq=False, kw_only=True)
class Outbound:
    """The content filter: one reply for all recipients, and only when the next server has everything."""

    ours: Domain
    settings: Settings
    domains: Domains
    deposits: Deposits
    spools: Spools
    blobs: Blobs
    dispatch: Dispatch
    audit: Audit

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """The reply; whatever cannot be done now is for later, and the queue keeps the message."""
        header: Header | None = None
        try:
            begin, section = await read_head(message)
            header = read_header(section, self.ours) if section else None
            blocks = joined_blocks([begin], message)
            if header is not None:
                reply = await self._take(envelope, header, blocks)
            else:
                reply = await self._pass(envelope, passing_key(envelope, begin), blocks)
            return (self.dispatch.ledger.partly.reply(envelope, reply),)
        except Refusal as refusal:
            return (turn_away(self.audit, line_of("refused", envelope, envelope.recipients, header), refusal),)

    async def _pass(self, envelope: Envelope, key: Digest | None, message: AsyncIterator[bytes]) -> Reply:
        """Somebody else's message, or one that nobody could complete; to whom has it, it does not go again."""
        if key is None:
            return await self._pass_on(envelope, None, message)
        ledger = self.dispatch.ledger
        with ledger.claim(key, envelope.recipients):
            rest = await ledger.rest(key, envelope)
            if not rest.recipients:
                return joined(rest.replies or [DONE])
            left = evolve(envelope, recipients=rest.recipients)
            return joined([await self._pass_on(left, key, message), *rest.replies])

    async def _pass_on(self, envelope: Envelope, key: Digest | None, message: AsyncIterator[bytes]) -> Reply:
        said = f"unchanged, {len(envelope.recipients)} recipients"
        line = evolve(line_of("granted", envelope, envelope.recipients), evidence=said, size=envelope.sender.size or 0)
        self.audit.record(line)
        return joined(await self.dispatch.ledger.hand_on(key, envelope, message, line))

    async def _take(self, envelope: Envelope, header: Header, message: AsyncIterator[bytes]) -> Reply:
        recipients, settings = envelope.recipients, self.settings
        question = _Question(self.domains, settings, header, recipients, envelope.sender.size)
        threshold = threshold_of(header.author, domains_of(recipients), settings)
        parcel = Parcel(threshold, self.spools.begin(), self.deposits, self.blobs, question.may_take)
        try:
            await parcel.fill(message)
            if parcel.is_one_file and parcel.size > max(threshold, settings.most_mail):
                await question.ask()
            return await self.dispatch.send(Mail(envelope, header, parcel, question.forms))
        finally:
            await parcel.close()
