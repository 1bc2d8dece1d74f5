"""What our own users do here: upload, send, look after what they sent, withdraw it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from rrsd.core.refusals import Conflict, Malformed, TooLarge, Unknown
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.messages import Attachment, Outgoing
from rrsd.core.values.resources import Custody, Grant, Upload
from rrsd.core.wire.mime import render_placeholder
from rrsd.core.wire.oauth import parse_bearer
from rrsd.roles.rs import rules
from rrsd.roles.rs.flow.admission import Record, Trace
from rrsd.roles.rs.flow.strangers import Caller
from rrsd.roles.rs.ports import Grants, Timers, Trust, Uploads
from rrsd.roles.rs.settings import Settings

MOST_SHOWN = 10_000


@frozen
class Sent:
    """A message that may go out: the placeholder, and the name that its grants go by."""

    message_id: str
    raw: bytes


@define(eq=False)
class Senders:
    """Our own users' face of the Resource Server. `new_name` gives an unguessable name each time."""

    settings: Settings
    domain: Domain
    trust: Trust
    uploads: Uploads
    grants: Grants
    timers: Timers
    record: Record
    new_name: Callable[[], str]

    async def begin(self, caller: Caller, document: Mapping[str, Any]) -> Upload:
        """A new upload; one of nothing is complete at once.

        Raises:
            Unauthenticated, Unproven, Expired, Forbidden, Unavailable: about the token.
            Malformed, TooLarge: about the size.
            NoSpace: so much cannot be kept.
        """
        with self.record.decision("upload", caller.peer) as trace:
            owner = await self._sender(caller, trace)
            size = rules.parse_size(document, self.settings)
            expires = self.timers.now() + self.settings.upload_lifetime
            upload = Upload(self.new_name(), owner, size, 0, expires)
            await self.uploads.begin(upload)
            return upload if size else await self.uploads.append(upload, b"")

    async def look(self, caller: Caller, upload_id: str) -> Upload:
        """How far an upload of the user is; refuses with Unknown and about the token."""
        with self.record.decision("look", caller.peer) as trace:
            return await self._find(caller, upload_id, trace)

    async def append(self, caller: Caller, upload_id: str, offset: int, data: bytes) -> Upload:
        """The upload with `data` at `offset`, durable.

        Raises:
            Unknown, or about the token: as `look`.
            Conflict: the offset is not where the upload stands.
            TooLarge, NoSpace: the data does not fit.
        """
        with self.record.decision("upload", caller.peer) as trace:
            upload = await self._find(caller, upload_id, trace)
            if offset != upload.offset or upload.digest is not None:
                raise Conflict("the upload stands elsewhere")
            grown = await self.uploads.append(upload, data)
            trace.resource = grown.digest.ni if grown.digest else ""
            return grown

    async def cancel(self, caller: Caller, upload_id: str) -> None:
        """Forget an upload of the user; refuses as `look`."""
        with self.record.decision("cancel", caller.peer) as trace:
            await self.uploads.cancel(await self._find(caller, upload_id, trace))

    async def send(self, caller: Caller, document: Mapping[str, Any]) -> Sent:
        """The placeholder of a new message; its grants are durable when this returns.

        Raises:
            Unauthenticated, Unproven, Expired, Forbidden, Unavailable: about the token.
            Malformed, TooLarge: about the draft.
            Forbidden: an attachment is not the sender's own.
        """
        with self.record.decision("send", caller.peer) as trace:
            sender = await self._sender(caller, trace)
            draft = rules.parse_draft(document, self.settings)
            digests = list(dict.fromkeys(wish.digest for wish in draft.attachments))
            owned = rules.require_owned(draft, await self.uploads.owned(sender, digests) if digests else ())
            message_id = f"{self.new_name()}@{self.domain}"
            now = self.timers.now()
            grants = rules.plan_grants(draft, owned, sender, message_id, now + draft.life)
            raw = self._render(draft, sender, message_id, grants)
            if grants:
                await self.grants.add(grants)
            trace.resource = f"{len(grants)} grants of {message_id}"
            return Sent(message_id, raw)

    async def sent(self, caller: Caller) -> Sequence[Grant]:
        """The user's grants, newest first; refuses about the token."""
        with self.record.decision("look", caller.peer) as trace:
            return await self.grants.sent(await self._sender(caller, trace), MOST_SHOWN)

    async def message(self, caller: Caller, message_id: str) -> Sequence[Grant]:
        """The grants of one message of the user; refuses with Unknown and about the token."""
        with self.record.decision("look", caller.peer, message_id) as trace:
            grants = await self.grants.message(await self._sender(caller, trace), message_id)
            if not grants:
                raise Unknown("no grants of such a message")
            return grants

    async def receipts(self, caller: Caller, message_id: str) -> Sequence[Custody]:
        """What recipients' domains signed for a message of the user; refuses as `message`."""
        with self.record.decision("look", caller.peer, f"receipts of {message_id}") as trace:
            sender = await self._sender(caller, trace)
            if not await self.grants.message(sender, message_id):
                raise Unknown("no grants of such a message")
            return await self.grants.custody(sender, message_id)

    async def withdraw(self, caller: Caller, message_id: str) -> int:
        """End the grants of a message of the user; how many.

        Raises:
            Unknown: the user has no such message with live grants; or about the token.
        """
        with self.record.decision("withdraw", caller.peer, message_id) as trace:
            count = await self.grants.withdraw(await self._sender(caller, trace), message_id)
            if not count:
                raise Unknown("no grants of such a message")
            return count

    async def _sender(self, caller: Caller, trace: Trace) -> Address:
        text = parse_bearer(caller.authorization)
        try:
            access = await self.trust.prove_user(text)
        except (Malformed, TooLarge) as refusal:
            raise rules.not_a_token(refusal) from None
        trace.who, trace.subject, trace.evidence = access.client_id, str(access.subject), str(access.issuer)
        return rules.require_sender(access, caller.certificate, self.domain)

    async def _find(self, caller: Caller, upload_id: str, trace: Trace) -> Upload:
        return await self.uploads.find(upload_id, await self._sender(caller, trace))

    def _render(self, draft: rules.Draft, sender: Address, message_id: str, grants: Sequence[Grant]) -> bytes:
        sizes = {grant.digest: grant.size for grant in grants}
        now = self.timers.now()
        attachments = tuple(
            Attachment(
                digest=wish.digest,
                size=sizes[wish.digest],
                origin=self.settings.origin,
                expires=now + draft.life,
                media_type=wish.media_type,
                filename=wish.filename,
                headers=b"",
            )
            for wish in draft.attachments
        )
        return render_placeholder(
            Outgoing(
                message_id=message_id,
                sender=sender,
                recipients=draft.to,
                subject=draft.subject,
                text=draft.text,
                date=now,
                attachments=attachments,
                boundary=self.new_name(),
                cc=draft.cc,
            )
        )
