"""The routes for the recipient's client (protocol 7)."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, TooLarge, Unproven, Unsupported
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.messages import Message, Part
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import content_disposition, etag, parse_wait, render_content_range, render_repr_digest
from rrsd.roles.rra.mailbox import Feed, Posting, Reader, Reading, Wish, require_reader
from rrsd.roles.rra.ports import Audit, Timers, Trust
from rrsd.runtime.loops import Nursery
from rrsd.web.bearer import bearer_of
from rrsd.web.bodies import read
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.router import Router, answer
from rrsd.web.streams import EventStream, send
from rrsd.web.trail import name_of, reading

MAIL = "message/rfc822"
MOST_PAGE = 500
PAGE = 50
# Bytes from strangers on the API's own origin: never run, never framed, never guessed at.
_HARMLESS = {
    "Cache-Control": "private, no-transform",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


@frozen(kw_only=True)
class MailboxPages:
    """A user's mailbox over HTTP."""

    routes: ClassVar[Router] = Router()
    trust: Trust
    reader: Reader
    posting: Posting
    feed: Feed
    timers: Timers
    clock: IReactorTime
    document: Mapping[str, Any]
    most_message: int
    audit: Audit
    resource_metadata: str = ""

    @routes.route("/api/openapi.json", methods=["GET"])
    async def openapi(self, request: IRequest) -> bytes:
        """What this API is."""
        return answer(request, self.document, Access_Control_Allow_Origin="*")

    @routes.route("/api/messages", methods=["GET"])
    async def messages(self, request: IRequest) -> bytes:
        """A page of messages, newest first."""
        with self._reads(request) as visit:
            user, most = visit.of(await self._user(request)), _most(request)
            found = await self.reader.messages(user.subject, _before(request), most)
        after = found[-1].received.isoformat() if len(found) == most else None
        return answer(request, {"messages": [show_message(each) for each in found], "next": after}, no_store=True)

    @routes.route("/api/messages", methods=["POST"])
    async def post(self, request: IRequest) -> bytes:
        """A message from the user, into their own mailbox or to others here."""
        with reading(self.audit, "accept", request):
            user, raw = await self._user(request), _message_of(request, self.most_message)
            recipients = _recipients(request)
        accepted = await self.posting.post(user.subject, raw, recipients)
        document = {"messages": [show_message(each) for each in accepted], "next": None}
        return answer(request, document, 201, no_store=True)

    @routes.route("/api/messages/<message>", methods=["GET"])
    async def message(self, request: IRequest, message: str) -> bytes:
        """One message."""
        with self._reads(request) as visit:
            found = await self.reader.message(visit.of(await self._user(request)).subject, message)
        return answer(request, show_message(found), no_store=True)

    @routes.route("/api/messages/<message>/raw", methods=["GET"])
    async def raw(self, request: IRequest, message: str) -> bytes | None:
        """The complete message."""
        with self._reads(request) as visit:
            user = visit.of(await self._user(request))
            restored = await self.reader.raw(_wish(request, user, message, 0))
        _set(request, _HARMLESS | {"Content-Type": MAIL, "Content-Length": str(restored.size)})
        _set(request, {"Content-Disposition": content_disposition(f"{message}.eml")})
        return await _send(request, restored.blocks)

    @routes.route("/api/messages/<message>/parts/<int:index>", methods=["GET"])
    async def part(self, request: IRequest, message: str, index: int) -> bytes | None:
        """One attachment."""
        with self._reads(request) as visit:
            user = visit.of(await self._user(request))
            part = await self.reader.part(_wish(request, user, message, index))
        return await _show(request, part)

    @routes.route("/api/events", methods=["GET"])
    async def events(self, request: IRequest) -> None:
        """News until the client leaves or its token expires."""
        with self._reads(request) as visit:
            user = visit.of(await self._user(request))
        stream, nursery = EventStream(request, self.clock), Nursery()
        nursery.spawn(self._tell(user.subject, stream), "news of one listener")
        nursery.spawn(self._expire(user.expires, stream), "end of one listener's token")
        try:
            await stream.run()
        finally:
            await nursery.stop()

    @contextmanager
    def _reads(self, request: IRequest) -> Iterator["_Visit"]:
        """One decision about reading: granted when the block ends, and then on the record."""
        visit = _Visit()
        with reading(self.audit, "read", request):
            yield visit
        peer, resource = address_of(request), name_of(request)
        self.audit.record(Event("read", "granted", who=visit.who, subject=visit.subject, peer=peer, resource=resource))

    async def _user(self, request: IRequest) -> VerifiedAccess:
        bearer = bearer_of(request)
        try:
            access = await self.trust.prove_user(bearer)
            certificate = certificate_of(request) if access.confirmation is not None else None
        except (Malformed, TooLarge) as refusal:
            raise Unproven(f"not a token or a certificate: {refusal.detail}") from None
        require_reader(access, None if certificate is None else certificate.x5t)
        return access

    async def _tell(self, recipient: Address, stream: EventStream) -> None:
        async for news in self.feed.subscribe(recipient):
            stream.push("progress", news)

    async def _expire(self, at: Instant, stream: EventStream) -> None:
        await self.timers.sleep(max(timedelta(0), at - self.timers.now()))
        stream.close()


@define(eq=False)
class _Visit:
    """Who reads, as far as it is known."""

    who: str = ""
    subject: str = ""

    def of(self, access: VerifiedAccess) -> VerifiedAccess:
        """The user was proved."""
        self.who, self.subject = access.client_id, str(access.subject)
        return access


def show_message(message: Message) -> dict[str, Any]:
    """The message as the client reads it."""
    return {
        "message": message.message,
        "message_id": message.message_id,
        "sender": str(message.sender),
        "recipient": str(message.recipient),
        "subject": message.subject,
        "date": message.date,
        "received": message.received.isoformat(),
        "parts": [show_part(part) for part in message.parts],
    }


def show_part(part: Part) -> dict[str, Any]:
    """The attachment as the client reads it."""
    return {
        "index": part.index,
        "digest": part.digest.b64,
        "size": part.size,
        "media_type": part.media_type,
        "filename": part.filename,
        "arrival": part.arrival.value,
        "done": part.done,
        "explanation": part.explanation,
    }


async def _show(request: IRequest, reading: Reading) -> bytes | None:
    """The bytes, or how far they are. An entity tag and ranges are promised only for what is verified."""
    part, span = reading.part, reading.span
    if reading.verified:
        digest = {"ETag": etag(part.digest), "Repr-Digest": render_repr_digest(part.digest)}
        _set(request, digest | {"Accept-Ranges": "bytes"})
    if reading.unchanged:
        request.setResponseCode(304)
        return b""
    if reading.blocks is None:
        return answer(request, show_part(part), 202, no_store=True, Retry_After="1")
    if span.end - span.start < part.size:
        request.setResponseCode(206)
        _set(request, {"Content-Range": render_content_range(span, part.size)})
    _set(request, _HARMLESS | {"Content-Type": part.media_type, "Content-Length": str(span.end - span.start)})
    _set(request, {"Content-Disposition": content_disposition(part.filename or f"part-{part.index}")})
    return await _send(request, reading.blocks)


async def _send(request: IRequest, blocks: AsyncIterator[bytes]) -> bytes | None:
    if _is_head(request):
        return b""
    await send(request, blocks)
    return None


def _wish(request: IRequest, user: VerifiedAccess, message: str, index: int) -> Wish:
    return Wish(
        user.subject,
        message,
        index,
        bearer_of(request),
        body=not _is_head(request),
        range=_field(request, "range"),
        if_range=_field(request, "if-range"),
        if_none_match=_field(request, "if-none-match"),
        wait=timedelta(seconds=parse_wait(_field(request, "prefer"))),
    )


def _message_of(request: IRequest, most: int) -> bytes:
    media_type = (_field(request, "content-type") or "").partition(";")[0].strip().lower()
    if media_type != MAIL:
        raise Unsupported("a message is message/rfc822")
    return read(request, most)


def _recipients(request: IRequest) -> Sequence[Address]:
    return [parse_address(text) for text in _arguments(request, b"recipient")]


def _before(request: IRequest) -> Instant | None:
    given = _arguments(request, b"before")
    try:
        before = datetime.fromisoformat(given[0].replace(" ", "+")) if given else None
    except ValueError:
        raise Malformed("before is no moment") from None
    if before is not None and before.tzinfo is None:
        raise Malformed("before has no time zone")
    return before


def _most(request: IRequest) -> int:
    text = next(iter(_arguments(request, b"most")), str(PAGE))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 4 and 1 <= int(text) <= MOST_PAGE):
        raise Malformed("most is not a number in range")
    return int(text)


def _arguments(request: IRequest, name: bytes) -> Sequence[str]:
    return [value.decode("utf-8", "replace") for value in (request.args or {}).get(name, [])]


def _field(request: IRequest, name: str) -> str | None:
    values = request.requestHeaders.getRawHeaders(name)
    return None if values is None else ", ".join(values)


def _is_head(request: IRequest) -> bool:
    return bool(request.method == b"HEAD")


def _set(request: IRequest, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        request.setHeader(name, value)
