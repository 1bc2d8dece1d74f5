"""How a placeholder message becomes a message in a mailbox and pulls in the queue: accepted means durable."""

from collections.abc import Sequence
from functools import partial

from attrs import define, evolve

from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooLarge
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, Priority, State
from rrsd.core.values.messages import Arrival, Attachment, Message, Part, Placeholder
from rrsd.core.values.resources import Blob
from rrsd.core.wire.answering import is_answerable
from rrsd.core.wire.mime import parse_placeholder
from rrsd.roles.rra import rules
from rrsd.roles.rra.contacts import Contacts
from rrsd.roles.rra.ports import Audit, Bell, Blobs, Queue, Subjects, Timers
from rrsd.roles.rra.settings import Settings
from rrsd.roles.rra.telling import Waits, first_look

MOST_NAMED = 10
"""Recipients of a refused message that stand in the trail."""


@define(eq=False, kw_only=True)
class Acceptance:
    """Takes placeholder messages from the local MTA, the operator and the API."""

    queue: Queue
    blobs: Blobs
    subjects: Subjects
    timers: Timers
    bell: Bell
    audit: Audit
    settings: Settings
    contacts: Contacts
    waits: Waits | None = None
    """When somebody is told about what was accepted; None where nobody can be."""

    async def accept(
        self,
        raw: bytes,
        recipients: Sequence[Address],
        author: Address | None = None,
        granted: Address | None = None,
        is_proved: bool | None = None,
    ) -> tuple[Message, ...]:
        """The message as it is in each recipient's mailbox, pulls queued, all of it on disk.

        A message that a recipient has already is left out: delivering twice changes nothing. Every recipient is checked
        before anything is written. `author` is the one of our own users who brings it, and not the mail server.

        An address with an extension stands for its user's mailbox, and the pull is made in its name. `granted` is the
        address that it was sent to, where the mail server says that it is another one: an alias of theirs.
        `is_proved` is whether its sender's address was proved; None where nobody looked, and only our own users are
        taken at their word.

        Raises:
            Malformed: it is no message that can be read.
            TooLarge: it is larger than the limit.
            Unknown, Forbidden: a recipient is not one of ours, or is suspended; or it goes to others than the user who
                brings it, and that user did not write it.
            NoSpace: it could not be stored; it may be offered again.
        """
        try:
            return await self._accept_all(raw, recipients, author, granted, is_proved)
        except Refusal as refusal:
            self._refuse(recipients, len(raw), refusal)
            raise

    async def _accept_all(
        self,
        raw: bytes,
        recipients: Sequence[Address],
        author: Address | None,
        granted: Address | None,
        is_proved: bool | None,
    ) -> tuple[Message, ...]:
        if len(raw) > self.settings.most_message:
            raise TooLarge("message")
        if not recipients:
            raise Malformed("a message needs a recipient")
        placeholder = parse_placeholder(raw, self.settings.most_parts)
        if author is not None and set(recipients) != {author} and placeholder.sender != author:
            raise Forbidden("only the author may send it to others")
        for recipient in recipients:
            await self.subjects.require_active(recipient)
        accounts = {recipient: await self.subjects.account(recipient) for recipient in recipients}
        is_believed = is_proved if is_proved is not None else _is_ours(placeholder.sender, recipients[0], author)
        is_told = partial(is_answerable, raw, placeholder.sender)
        blob = await self.blobs.put(raw)
        try:
            accepted = [
                await self._accept(placeholder, blob, account, subject, is_told=is_believed and is_told(subject))
                for subject, account in ((granted or recipient, account) for recipient, account in accounts.items())
            ]
            fresh = tuple(each for each in accepted if each is not None)
            if fresh and author is None:  # before the new pulls are tried: how that ends is later news
                self.contacts.heard(placeholder.sender.domain)
            return fresh
        finally:
            self.bell.ring()

    async def _accept(
        self, placeholder: Placeholder, raw: Blob, recipient: Address, subject: Address, *, is_told: bool
    ) -> Message | None:
        now = self.timers.now()
        look = first_look(now, self.waits, is_answerable=is_told) if self.waits and placeholder.attachments else None
        message = evolve(message_of(placeholder, raw, recipient, now), is_answerable=is_told, look=look)
        granted = subject if subject != recipient else None
        jobs = [
            evolve(self._job(message, index, each, now), granted=granted)
            for index, each in enumerate(placeholder.attachments)
        ]
        has_it = await self.queue.has(message)
        self.audit.record(
            Event(
                "accept",
                "granted",
                who=str(placeholder.sender),
                subject=str(recipient),
                resource=raw.digest.ni,
                evidence="had it already" if has_it else "new",
                size=raw.size,
            )
        )
        return None if has_it else await self.queue.accept(message, jobs)

    def _refuse(self, recipients: Sequence[Address], size: int, refusal: Refusal) -> None:
        subject = " ".join(str(each) for each in recipients[:MOST_NAMED])
        self.audit.record(
            Event("accept", "refused", subject=subject, refusal=refusal.reason, evidence=refusal.detail, size=size)
        )

    def _job(self, message: Message, index: int, attachment: Attachment, now: Instant) -> Job:
        return Job(
            job=0,
            message=message.message,
            index=index,
            recipient=message.recipient,
            sender=message.sender.domain,
            message_id=message.message_id,
            origin=attachment.origin,
            digest=attachment.digest,
            size=attachment.size,
            state=State.NEW,
            priority=Priority.NORMAL,
            accepted=now,
            deadline=rules.deadline_of(now, self.settings.lifetime, attachment.expires),
            due=now,
            not_after=attachment.expires,
        )


def _is_ours(sender: Address, recipient: Address, author: Address | None) -> bool:
    """Whether the sender is of the recipients' domain, and not somebody else's invention."""
    return sender.domain == recipient.domain and author in (None, sender)


def message_of(placeholder: Placeholder, raw: Blob, recipient: Address, now: Instant) -> Message:
    """The message as a mailbox shows it while nothing has arrived; its name is the digest of the placeholder."""
    parts = [
        Part(index, 0, each.digest, each.size, each.media_type, each.filename, Arrival.WAITING)
        for index, each in enumerate(placeholder.attachments)
    ]
    message = Message(
        message=raw.digest.b64,
        recipient=recipient,
        sender=placeholder.sender,
        message_id=placeholder.message_id,
        subject=placeholder.subject,
        date=placeholder.date,
        received=now,
        raw=raw.digest,
        raw_size=raw.size,
    )
    return evolve(message, parts=tuple(parts))
