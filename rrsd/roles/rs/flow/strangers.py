"""What other domains' agents do here: retrieve, query, acknowledge."""

from collections.abc import AsyncIterator, Mapping, Sequence

from attrs import define, field, frozen

from rrsd.core.proof.tokens import prove_receipt
from rrsd.core.refusals import Forbidden, Refusal, TooLarge, Unknown, Withdrawn
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate
from rrsd.core.values.policies import Action
from rrsd.core.values.resources import Blob, Custody, Grant, Receipt
from rrsd.core.wire.fields import Span, matches_etag, parse_range
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.oauth import parse_bearer
from rrsd.roles.rs import rules
from rrsd.roles.rs.flow.admission import Record, Trace
from rrsd.roles.rs.flow.permission import Permission, grants_of
from rrsd.roles.rs.flow.proofs import Proofs, Proved
from rrsd.roles.rs.ports import Blobs, Grants, Timers


@frozen
class Caller:
    """Whoever sent a request: its Authorization fields, the certificate of its connection, and its address."""

    authorization: tuple[str, ...] = field(repr=False)
    certificate: Certificate | None
    peer: str


@frozen
class Wanted:
    """Which bytes, and under which conditions (RFC 9110 13, 14)."""

    digest: Digest
    body: bool = True
    range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None


@frozen
class Reading:
    """The answer to a retrieval: `span` of the granted bytes, of which `first` are here and `rest` follow.

    `whole` says that no range was selected, `unchanged` that the requester has it already.
    """

    grant: Grant
    span: Span
    whole: bool
    unchanged: bool = False
    first: bytes = b""
    rest: AsyncIterator[bytes] | None = None


@frozen
class Accepted:
    """The receipts that were believed; `fresh` of them for the first time."""

    jtis: tuple[str, ...]
    fresh: int
    single: bool


@define(eq=False)
class Strangers:
    """The strangers' face of the Resource Server."""

    proofs: Proofs
    grants: Grants
    blobs: Blobs
    timers: Timers
    record: Record
    permission: Permission

    async def retrieve(self, caller: Caller, wanted: Wanted) -> Reading:
        """The bytes, as far as a grant reaches.

        Raises:
            Unauthenticated, Unproven, Expired, Unavailable: about the delegation.
            Forbidden, Withdrawn: about the grant.
            Unsatisfiable: about the range.
        """
        with self.record.decision("retrieve", caller.peer, wanted.digest.ni) as trace:
            grant = await self._permit(caller, Action.RETRIEVE, wanted.digest, trace)
            if wanted.if_none_match is not None and matches_etag(wanted.if_none_match, wanted.digest):
                return Reading(grant, Span(0, grant.size), whole=True, unchanged=True)
            return await self._open(grant, select(wanted, grant.size), wanted.body)

    async def chunks(self, caller: Caller, digest: Digest) -> Blob:
        """The chunk list of a granted resource; refuses as `retrieve`, and with Unknown when there is no list."""
        with self.record.decision("query", caller.peer, digest.ni) as trace:
            await self._permit(caller, Action.QUERY, digest, trace)
            blob = await self._find(digest)
            if blob.size and not blob.chunks:
                raise Unknown("no chunk list")
            return blob

    async def acknowledge(self, caller: Caller, body: bytes) -> Accepted:
        """Remember that the requester keeps copies of its own; the same receipt again changes nothing.

        One receipt is believed or refused; of several the valid ones are believed.

        Raises:
            Unauthenticated, Unproven, Expired, Unavailable: about the delegation, or the only receipt.
            Forbidden: the only receipt is about no grant, or about one that policy lets nobody acknowledge.
            TooLarge: there are too many.
        """
        with self.record.decision("acknowledge", caller.peer) as trace:
            proved = await prove_caller(self.proofs, caller, trace)
            lines = rules.split_receipts(body)
            texts = self._receipts(lines, proved)
            receipts = list(texts)
            digests = list(dict.fromkeys(receipt.digest for receipt in receipts))
            grants = await self.grants.of(proved.delegation.subject, digests) if digests else ()
            permitted = self.permission.select(Action.ACKNOWLEDGE, proved, grants_of(grants, receipts), trace)
            marked, accepted = rules.acknowledged(permitted, receipts)
            if len(lines) == 1 and not accepted:
                raise Forbidden("no grant for the receipt")
            if marked:
                await self.grants.receipted(_custody(marked, accepted, texts, proved), self.timers.now())
            trace.resource = f"{len(accepted)} of {len(lines)} receipts"
            return Accepted(tuple(receipt.jti for receipt in accepted), len(marked), len(lines) == 1)

    async def greet(self, caller: Caller) -> None:
        """Somebody says that they are there again; that it was proved is all that matters (see `Proofs.heard`).

        Raises:
            Unauthenticated, Unproven, Expired, Unavailable: about the delegation.
        """
        with self.record.decision("contact", caller.peer) as trace:
            await prove_caller(self.proofs, caller, trace)

    def _receipts(self, lines: Sequence[str], proved: Proved) -> dict[Receipt, str]:
        """Those that prove themselves, with their texts, in their order."""
        if len(lines) == 1:
            return {self._receipt(lines[0], proved): lines[0]}
        receipts = {}
        for line in lines:
            try:
                receipts[self._receipt(line, proved)] = line
            except Refusal:
                continue
        return receipts

    def _receipt(self, line: str, proved: Proved) -> Receipt:
        if len(line) > rules.MOST_RECEIPT:
            raise TooLarge("receipt")
        origin = self.proofs.settings.origin
        receipt = prove_receipt(parse_jws(line), proved.certificate, origin, self.timers.now())
        rules.require_same(receipt, proved.delegation)
        return receipt

    async def _permit(self, caller: Caller, action: Action, digest: Digest, trace: Trace) -> Grant:
        proved = await prove_caller(self.proofs, caller, trace)
        grants = await self.grants.naming(digest, proved.delegation.subject)
        return self.permission.require(action, proved, grants, trace)

    async def _open(self, grant: Grant, span: Span | None, body: bool) -> Reading:
        chosen = Span(0, grant.size) if span is None else span
        if not body:
            await self._find(grant.digest)
            return Reading(grant, chosen, whole=span is None)
        blocks = self.blobs.read(grant.digest, chosen.start, chosen.end)
        try:
            # The first block is read before the head is sent, so that bytes that are gone become a plain refusal.
            first = await anext(blocks, b"")
        except Unknown:
            raise Withdrawn("the bytes were collected") from None
        return Reading(grant, chosen, whole=span is None, first=first, rest=blocks)

    async def _find(self, digest: Digest) -> Blob:
        try:
            return await self.blobs.find(digest)
        except Unknown:
            raise Withdrawn("the bytes were collected") from None


async def prove_caller(proofs: Proofs, caller: Caller, trace: Trace) -> Proved:
    """Who asks, for whom, by which proof. Refuses as `Proofs.prove`."""
    proved = await proofs.prove(parse_bearer(caller.authorization), caller.certificate, caller.peer)
    trace.who = str(proved.delegation.actor)
    trace.subject = str(proved.delegation.subject)
    trace.evidence = proved.evidence
    return proved


def _custody(
    marked: Sequence[Grant], accepted: Sequence[Receipt], texts: Mapping[Receipt, str], proved: Proved
) -> list[Custody]:
    """What is kept of the receipts for the grants that they are about."""
    by_name = {(receipt.message_id, receipt.digest): texts[receipt] for receipt in accepted}
    return [
        Custody(grant, by_name[grant.message_id, grant.digest], proved.certificate.der, proved.evidence)
        for grant in marked
    ]


def select(wanted: Wanted, size: int) -> Span | None:
    """The range that is asked for and may be sent; None for the whole."""
    if not wanted.body:
        return None  # RFC 9110 14.2: a range is asked for by GET only
    if wanted.if_range is not None and not matches_etag(wanted.if_range, wanted.digest):
        return None
    return parse_range(wanted.range, size)
