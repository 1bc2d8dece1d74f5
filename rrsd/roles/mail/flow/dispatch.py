"""A message of ours handed on: to each recipient once, in one form or another."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

from attrs import define, evolve, frozen

from rrsd.core.refusals import Refusal, TooLarge, Unavailable, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply
from rrsd.roles.mail.flow.ledger import DONE, Ledger, Rest
from rrsd.roles.mail.flow.lines import form_line, line_of, turned_away
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.flow.writing import Replacement, Writer
from rrsd.roles.mail.ports import Audit, Grants, Links, Passages, Timers
from rrsd.roles.mail.replies import joined
from rrsd.roles.mail.rules import (
    Closing,
    Form,
    Forms,
    Header,
    address_of,
    message_key,
    placeholder_of,
)

WAIT = Reply(451, "4.4.3", ("a recipient's domain cannot be asked now, come again",))
NO_PLACE = Reply(
    552, "5.3.4", ("too big for mail, and no place for a link: write a text and attach the files (multipart/mixed)",)
)
SMALL = 1 << 20
"""Bytes of a message that is handed on in a moment."""


@frozen
class Mail:
    """One message of ours that has come whole. `forms` is None when there was nothing to take."""

    envelope: Envelope
    header: Header
    parcel: Parcel
    forms: Forms | None

    @property
    def is_remembered(self) -> bool:
        """Whether the ledger knows of it. Where the mail server names none, a message that is handed on in a moment is
        not: it could not be told from another one with the same words."""
        return bool(self.envelope.forwarded.get("IDENT")) or self.forms is not None or self.parcel.size > SMALL


@define(eq=False, kw_only=True)
class Dispatch:
    """Hands messages on. What one attempt has done is remembered, so that the next one does only the rest."""

    ledger: Ledger
    writer: Writer
    grants: Grants
    passages: Passages
    links: Links
    timers: Timers
    audit: Audit

    async def send(self, mail: Mail) -> Reply:
        """One reply for all recipients.

        Raises:
            TooLarge: a recipient's domain could never take it; nobody got it.
            Unavailable: the same message is being handed on already; or as the ports refuse.
        """
        key = message_key(mail.envelope, mail.parcel.fingerprint)
        with self.ledger.claim(key, mail.envelope.recipients):
            if not mail.is_remembered:
                return await self._send(mail, key, Rest(self.timers.now(), mail.envelope.recipients))
            return await self._send(mail, key, await self.ledger.rest(key, mail.envelope))

    async def _send(self, mail: Mail, key: Digest, rest: Rest) -> Reply:
        replies = rest.replies
        if not rest.recipients:
            return joined(replies or [DONE])
        placeholder = await self.writer.replacement(mail.parcel, mail.header, key, rest.first)
        waited = (self.timers.now() - rest.first).total_seconds()
        groups = self._groups(mail, rest.recipients, waited, placeholder is not None)
        if Form.REFUSED in groups:
            return self._refuse(mail, groups[Form.REFUSED])
        if Form.LATER in groups:
            line = line_of("held", mail.envelope, groups[Form.LATER], mail.header)
            self.audit.record(evolve(line, refusal=Unavailable.reason, evidence=WAIT.lines[0]))
            await self.passages.note(key, (), rest.first)
            replies.append(WAIT)
        if placeholder is not None and Form.PLACEHOLDER in groups:
            replies.append(await self._send_placeholder(mail, key, groups[Form.PLACEHOLDER], placeholder))
        if placeholder is not None and Form.LINK in groups:
            replies.append(await self._send_links(mail, key, groups[Form.LINK], placeholder))
        if Form.WHOLE in groups:
            replies.append(await self._send_whole(mail, key, groups[Form.WHOLE]))
        return joined(replies)

    def _groups(
        self, mail: Mail, recipients: Sequence[ForwardPath], waited: float, has_placeholder: bool
    ) -> Mapping[Form, Sequence[ForwardPath]]:
        if mail.forms is None:
            return {Form.WHOLE: recipients}
        groups = mail.forms.grouped(recipients, mail.parcel.size, waited)
        if Form.REFUSED in groups:
            raise TooLarge("no mail can carry this")
        has_place = has_placeholder and any(isinstance(piece, Closing) for piece in mail.parcel.pieces)
        if Form.LINK in groups and not has_place:
            return {Form.REFUSED: recipients}
        if Form.LATER in groups and mail.forms.may_be_refused(mail.parcel.size, has_place=has_place):
            # Nobody has it yet when it is refused: there is one reply, and one report, for all of them.
            return {Form.LATER: recipients}
        return groups if has_placeholder else {Form.WHOLE: recipients}

    def _refuse(self, mail: Mail, recipients: Sequence[ForwardPath]) -> Reply:
        """No mail can carry it, and there is no place where a link could stand."""
        line = line_of("refused", mail.envelope, recipients, mail.header)
        self.audit.record(turned_away(line, NO_PLACE, TooLarge("no mail can carry this, no place for a link")))
        return NO_PLACE

    async def _send_links(
        self, mail: Mail, key: Digest, recipients: Sequence[ForwardPath], placeholder: Replacement
    ) -> Reply:
        """Each recipient gets a message of their own, with a link that nobody else gets."""
        replies = []
        for recipient in recipients:
            address = address_of(recipient)
            assert address is not None
            message_id = placeholder.message_id
            link = await self.links.make(message_id, mail.header.author, address, placeholder.expires)
            content = placeholder_of(mail.parcel.pieces, placeholder.attachments, mail.header, message_id, link)
            own = evolve(placeholder, content=content)
            replies.append(await self._send_placeholder(mail, key, (recipient,), own, Form.LINK))
        return joined(replies)

    async def _send_placeholder(
        self,
        mail: Mail,
        key: Digest,
        recipients: Sequence[ForwardPath],
        placeholder: Replacement,
        form: Form = Form.PLACEHOLDER,
    ) -> Reply:
        author = mail.header.author
        line = self._written_down(mail, recipients, form, placeholder.size)
        try:
            await self.grants.add(placeholder.grants(author, recipients))
        except Unknown:
            raise Unavailable("what was taken out of the message is gone, it has to come again") from None
        content = mail.parcel.written(placeholder.content)
        replies = await self._hand_on(mail, key, recipients, content, line)
        lost = [each for each, reply in zip(recipients, replies, strict=True) if _is_final(reply)]
        if lost:
            # Who never gets the message has no use for what it grants; if this fails, they end by themselves.
            with suppress(Refusal):
                await self.grants.take_back(placeholder.grants(author, lost))
        return joined(replies)

    async def _send_whole(self, mail: Mail, key: Digest, recipients: Sequence[ForwardPath]) -> Reply:
        line = self._written_down(mail, recipients, Form.WHOLE, mail.parcel.size)
        return joined(await self._hand_on(mail, key, recipients, mail.parcel.whole(), line))

    async def _hand_on(
        self,
        mail: Mail,
        key: Digest,
        recipients: Sequence[ForwardPath],
        content: AsyncIterator[bytes],
        line: Event,
    ) -> Sequence[Reply]:
        sender = evolve(mail.envelope.sender, size=line.size)
        envelope = evolve(mail.envelope, sender=sender, recipients=tuple(recipients))
        return await self.ledger.hand_on(
            key if mail.is_remembered else None, envelope, content, line, is_last=mail.forms is None
        )

    def _written_down(self, mail: Mail, recipients: Sequence[ForwardPath], form: Form, size: int) -> Event:
        """The line about it, before anything is granted or leaves."""
        line = form_line(mail.envelope, recipients, mail.header, (form, mail.parcel.taken, size))
        self.audit.record(line)
        return line


def _is_final(reply: Reply) -> bool:
    return not reply.is_good and not reply.is_temporary
