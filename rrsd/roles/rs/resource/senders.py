"""The routes for our own users' programs."""

import ssl
from collections.abc import Sequence
from typing import Any, ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import CHUNK, Custody, Grant, Upload
from rrsd.roles.rs.flow.admission import Gate
from rrsd.roles.rs.flow.senders import Senders
from rrsd.roles.rs.resource.rendering import caller_of, field_of
from rrsd.roles.rs.rules import message_name, require_offset, standing
from rrsd.web.bodies import read, read_object
from rrsd.web.peers import address_of
from rrsd.web.router import Router, answer
from rrsd.web.trail import reading

MOST_DRAFT = 8 * 1024 * 1024


@frozen
class SendersPages:
    """What a user of ours may ask of the Resource Server."""

    routes: ClassVar[Router] = Router()
    resource_metadata: str
    gate: Gate
    flow: Senders

    @routes.route("/api/uploads", methods=["POST"])
    async def begin(self, request: IRequest) -> bytes:
        """A new upload of a given size."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "upload", request):
                wish = read_object(request)
            upload = await self.flow.begin(caller_of(request), wish)
        request.setHeader("Location", f"/api/uploads/{upload.upload_id}")
        return _show_upload(request, upload, 201)

    @routes.route("/api/uploads/<upload_id>", methods=["GET"])
    async def look(self, request: IRequest, upload_id: str) -> bytes:
        """How far it is, in `Upload-Offset` and as JSON."""
        with self.gate.enter(address_of(request)):
            return _show_upload(request, await self.flow.look(caller_of(request), upload_id), 200)

    @routes.route("/api/uploads/<upload_id>", methods=["PATCH"])
    async def append(self, request: IRequest, upload_id: str) -> bytes:
        """The next bytes, at most 8 MiB of them; 200 and the digest with the last, 204 before."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "upload", request):
                offset, data = require_offset(field_of(request, b"upload-offset")), read(request, CHUNK)
            upload = await self.flow.append(caller_of(request), upload_id, offset, data)
        return _show_upload(request, upload, 200 if upload.digest else 204)

    @routes.route("/api/uploads/<upload_id>", methods=["DELETE"])
    async def cancel(self, request: IRequest, upload_id: str) -> bytes:
        """Forget it."""
        with self.gate.enter(address_of(request)):
            await self.flow.cancel(caller_of(request), upload_id)
        request.setResponseCode(204)
        return b""

    @routes.route("/api/outgoing", methods=["POST"])
    async def send(self, request: IRequest) -> bytes:
        """The placeholder message of a draft, ready for the mail server."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "send", request):
                draft = read_object(request, MOST_DRAFT)
            sent = await self.flow.send(caller_of(request), draft)
        request.setResponseCode(201)
        request.setHeader("Content-Type", "message/rfc822")
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Location", f"/api/outgoing/{sent.message_id}")
        return sent.raw

    @routes.route("/api/outgoing", methods=["GET"])
    async def sent(self, request: IRequest) -> bytes:
        """What the user sent, newest first, and who keeps a copy already."""
        with self.gate.enter(address_of(request)):
            grants = await self.flow.sent(caller_of(request))
        return answer(request, {"messages": show_messages(grants, self.flow.timers.now())}, no_store=True)

    @routes.route("/api/outgoing/<message_id>", methods=["GET"])
    async def message(self, request: IRequest, message_id: str) -> bytes:
        """One message: each recipient and attachment, and where it is."""
        with self.gate.enter(address_of(request)):
            grants = await self.flow.message(caller_of(request), message_name(message_id))
        (shown,) = show_messages(grants, self.flow.timers.now())
        return answer(request, shown, no_store=True)

    @routes.route("/api/outgoing/<message_id>/receipts", methods=["GET"])
    async def receipts(self, request: IRequest, message_id: str) -> bytes:
        """What recipients' domains signed, with what is needed to check it."""
        with self.gate.enter(address_of(request)):
            kept = await self.flow.receipts(caller_of(request), message_name(message_id))
        name, origin = message_name(message_id), str(self.flow.settings.origin)
        shown = {"message_id": name, "audience": origin, "receipts": [_show_custody(each) for each in kept]}
        return answer(request, shown, no_store=True)

    @routes.route("/api/outgoing/<message_id>", methods=["DELETE"])
    async def withdraw(self, request: IRequest, message_id: str) -> bytes:
        """End the grants of a message."""
        with self.gate.enter(address_of(request)):
            count = await self.flow.withdraw(caller_of(request), message_name(message_id))
        return answer(request, {"withdrawn": count})


def _show_upload(request: IRequest, upload: Upload, status: int) -> bytes:
    request.setHeader("Upload-Offset", str(upload.offset))
    request.setHeader("Upload-Length", str(upload.size))
    request.setHeader("Cache-Control", "no-store")
    if status == 204:
        request.setResponseCode(status)
        return b""
    shown = {
        "upload": upload.upload_id,
        "size": upload.size,
        "offset": upload.offset,
        "expires": upload.expires.isoformat(),
        "digest": upload.digest.b64 if upload.digest else None,
    }
    return answer(request, shown, status)


def show_messages(grants: Sequence[Grant], now: Instant) -> list[dict[str, Any]]:
    """The grants as JSON, by message, in their order."""
    messages: dict[str, dict[str, Any]] = {}
    for grant in grants:
        message = messages.setdefault(grant.message_id, {"message_id": grant.message_id, "grants": []})
        message["grants"].append(_show_grant(grant, now))
    return list(messages.values())


def _show_grant(grant: Grant, now: Instant) -> dict[str, Any]:
    return {
        "recipient": str(grant.recipient),
        "digest": grant.digest.b64,
        "size": grant.size,
        "media_type": grant.media_type,
        "filename": grant.filename,
        "state": standing(grant, now).value,
        "not_after": grant.not_after.isoformat(),
        "withdrawn": grant.withdrawn,
        "receipted": grant.receipted.isoformat() if grant.receipted else None,
        "downloaded": grant.downloaded.isoformat() if grant.downloaded else None,
    }


def _show_custody(custody: Custody) -> dict[str, Any]:
    """The certificate in PEM (RFC 7468), for programs that check a JWS with it."""
    grant = custody.grant
    return {
        "recipient": str(grant.recipient),
        "digest": grant.digest.b64,
        "size": grant.size,
        "filename": grant.filename,
        "receipted": grant.receipted.isoformat() if grant.receipted else None,
        "receipt": custody.receipt,
        "certificate": ssl.DER_cert_to_PEM_cert(custody.certificate),
        "proof": custody.proof,
    }
