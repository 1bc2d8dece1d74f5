"""Receipts, `typ` rrs-receipt+jwt: a requester's signed word that it keeps its own copy (RFC 7519, RFC 6920)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rrsd.core.values.addresses import parse_address, parse_client_identifier
from rrsd.core.values.digests import parse_ni
from rrsd.core.values.instants import Instant, instant, seconds
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Receipt
from rrsd.core.wire import claims as claim

LIFE = timedelta(minutes=5)
_MOST_SIZE = 2**63 - 1


def receipt_claims(receipt: Receipt, audience: Origin, issued: Instant) -> dict[str, Any]:
    """The claims that tell `audience` of a receipt; its `jti` stays the same however often it is told."""
    return {
        "iss": str(receipt.client),
        "aud": str(audience),
        "sub": str(receipt.subject),
        "resource": receipt.digest.ni,
        "size": receipt.size,
        "stored_at": seconds(receipt.stored_at),
        "message_id": receipt.message_id,
        "iat": seconds(issued),
        "nbf": seconds(issued),
        "exp": seconds(issued + LIFE),
        "jti": receipt.jti,
    }


def parse_receipt(claims: Mapping[str, Any]) -> Receipt:
    """The receipt that the claims are about.

    Raises:
        Malformed: a claim is missing or not of its form.
    """
    return Receipt(
        client=parse_client_identifier(claim.text(claims, "iss")),
        subject=parse_address(claim.text(claims, "sub")),
        digest=parse_ni(claim.text(claims, "resource")),
        size=claim.integer(claims, "size", _MOST_SIZE),
        stored_at=instant(claim.integer(claims, "stored_at", claim.LAST)),
        message_id=claim.text(claims, "message_id"),
        jti=claim.jti(claims),
    )
