"""The routes for other domains' agents (protocol 5)."""

from typing import ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Unsupported
from rrsd.core.wire.chunks import render_chunks
from rrsd.core.wire.renewals import render_renewed
from rrsd.roles.rs.flow.admission import Gate
from rrsd.roles.rs.flow.renewals import Renewals
from rrsd.roles.rs.flow.strangers import Strangers
from rrsd.roles.rs.resource.rendering import caller_of, digest_of, field_of, show, wanted_of
from rrsd.web.bodies import read, read_object
from rrsd.web.peers import address_of
from rrsd.web.router import Router, answer
from rrsd.web.trail import reading

JOSE = "application/jose"
MOST_RECEIPT_BYTES = 1024 * 1024


@frozen
class StrangersPages:
    """What an agent may ask of the Resource Server."""

    routes: ClassVar[Router] = Router()
    resource_metadata: str
    gate: Gate
    flow: Strangers
    renewals: Renewals

    @routes.route("/.well-known/ni/sha-256/<name>", methods=["GET"])
    async def retrieve(self, request: IRequest, name: str) -> bytes | None:
        """The bytes of a resource, or their head (RFC 6920 4)."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "retrieve", request):
                wanted = wanted_of(request, name)
            return await show(request, await self.flow.retrieve(caller_of(request), wanted))

    @routes.route("/rrs/chunks/sha-256/<name>", methods=["GET"])
    async def chunks(self, request: IRequest, name: str) -> bytes:
        """The digests of a resource's chunks."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "query", request):
                digest = digest_of(name)
            blob = await self.flow.chunks(caller_of(request), digest)
            return answer(request, render_chunks(blob))

    @routes.route("/rrs/receipts", methods=["POST"])
    async def acknowledge(self, request: IRequest) -> bytes:
        """One receipt: 201 the first time, 204 again. Several, one per line: 200 and which were believed."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "acknowledge", request):
                _require_jose(request)
                body = read(request, MOST_RECEIPT_BYTES)
            accepted = await self.flow.acknowledge(caller_of(request), body)
        if accepted.single and not accepted.fresh:
            request.setResponseCode(204)
            return b""
        return answer(request, {"accepted": list(accepted.jtis)}, 201 if accepted.single else 200)

    @routes.route("/rrs/renewals", methods=["POST"])
    async def renew(self, request: IRequest) -> bytes:
        """More time for resources that could not be fetched yet: 200 and until when."""
        with self.gate.enter(address_of(request)):
            with reading(self.gate.audit, "renew", request):
                document = read_object(request)
            renewed = await self.renewals.renew(caller_of(request), document)
        return answer(request, render_renewed(renewed))

    @routes.route("/rrs/contacts", methods=["POST"])
    async def greet(self, request: IRequest) -> bytes:
        """A domain is there again; 204 when it proved itself."""
        with self.gate.enter(address_of(request)):
            await self.flow.greet(caller_of(request))
        request.setResponseCode(204)
        return b""


def _require_jose(request: IRequest) -> None:
    media_type = (field_of(request, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != JOSE:
        raise Unsupported("receipts are application/jose")
