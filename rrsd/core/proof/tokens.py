"""Access tokens, impersonation assertions and receipts, proved (RFC 9068 4, RFC 8693 2.1, RFC 8725 3.12)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rrsd.core.proof.signatures import verify, verify_with_certificate
from rrsd.core.proof.times import require_current
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import Address, ClientIdentifier, parse_address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Certificate, Issuer, Origin
from rrsd.core.values.resources import Receipt
from rrsd.core.values.tokens import ClaimedJws, KeySet, Kind, VerifiedAccess, VerifiedImpersonation
from rrsd.core.wire import claims as claim
from rrsd.core.wire import receipts

ACCESS_LIFE = timedelta(hours=24)
IMPERSONATION_LIFE = timedelta(seconds=60)


def prove_access(
    jws: ClaimedJws, keys: KeySet, issuer: Issuer, audiences: frozenset[str], now: Instant
) -> VerifiedAccess:
    """What an access token of `issuer` for one of `audiences` proves.

    Raises:
        Malformed: a claim is missing or not of its form.
        Unproven: another `typ`, issuer, audience or key, or a life of more than `ACCESS_LIFE`.
        Expired: it is over or has not begun.
    """
    _require_kind(jws, Kind.ACCESS)
    claims = jws.claims
    times = claim.times(claims)
    if claim.text(claims, "iss") != issuer.url or claim.text(claims, "aud") not in audiences:
        raise Unproven("access token of another issuer or for another audience")
    require_current(times, ACCESS_LIFE, now)
    verified = VerifiedAccess(
        issuer=issuer,
        subject=parse_address(claim.text(claims, "sub")),
        client_id=claim.text(claims, "client_id"),
        scope=frozenset(claim.text(claims, "scope").split(" ")) - {""} if "scope" in claims else frozenset(),
        expires=times.expires,
        jti=claim.jti(claims),
        confirmation=claim.confirmation(claims) if "cnf" in claims else None,
        family=claim.text(claims, "sid") if "sid" in claims else "",
    )
    verify(jws, keys)
    return verified


def access_claims(access: VerifiedAccess, audience: str, issued: Instant) -> dict[str, Any]:
    """The claims of an access token for `audience` that proves `access` (RFC 9068 2.2)."""
    claims: dict[str, Any] = {
        "iss": str(access.issuer),
        "aud": audience,
        "sub": str(access.subject),
        "client_id": access.client_id,
        "iat": seconds(issued),
        "nbf": seconds(issued),
        "exp": seconds(access.expires),
        "jti": access.jti,
    }
    if access.scope:
        claims["scope"] = " ".join(sorted(access.scope))
    if access.confirmation is not None:
        claims["cnf"] = {"x5t#S256": access.confirmation.b64}
    if access.family:
        claims["sid"] = access.family
    return claims


def impersonation_claims(
    client: ClientIdentifier, subject: Address, audience: Issuer, confirmation: Digest, now: Instant, jti: str
) -> dict[str, Any]:
    """The claims by which `client` asks `audience` to let it act for `subject`."""
    return {
        "iss": str(client),
        "aud": str(audience),
        "sub": str(subject),
        "cnf": {"x5t#S256": confirmation.b64},
        "iat": seconds(now),
        "nbf": seconds(now),
        "exp": seconds(now + IMPERSONATION_LIFE),
        "jti": jti,
    }


def prove_impersonation(
    jws: ClaimedJws, certificate: Certificate, audience: Issuer, now: Instant
) -> VerifiedImpersonation:
    """What an impersonation assertion over the connection of `certificate` proves.

    Raises:
        Malformed: a claim is missing or not of its form.
        Unproven: another `typ`, audience, client, certificate or key, or a life of more than `IMPERSONATION_LIFE`.
        Expired: it is over or has not begun.
    """
    _require_kind(jws, Kind.IMPERSONATION)
    claims = jws.claims
    times = claim.times(claims)
    if claim.text(claims, "aud") != audience.url:
        raise Unproven("impersonation for another issuer")
    require_current(times, IMPERSONATION_LIFE, now)
    confirmation = claim.confirmation(claims)
    if confirmation != certificate.x5t:
        raise Unproven("impersonation for another certificate")
    client = _require_client(claims, certificate)
    verified = VerifiedImpersonation(
        client, parse_address(claim.text(claims, "sub")), confirmation, times.expires, claim.jti(claims)
    )
    verify_with_certificate(jws, certificate)
    return verified


def prove_receipt(jws: ClaimedJws, certificate: Certificate, audience: Origin, now: Instant) -> Receipt:
    """What a receipt over the connection of `certificate` proves.

    Raises:
        Malformed: a claim is missing or not of its form.
        Unproven: another `typ`, audience, client or key, or a life of more than `receipts.LIFE`.
        Expired: it is over or has not begun.
    """
    _require_kind(jws, Kind.RECEIPT)
    times = claim.times(jws.claims)
    if claim.text(jws.claims, "aud") != str(audience):
        raise Unproven("receipt for another resource server")
    require_current(times, receipts.LIFE, now)
    _require_client(jws.claims, certificate)
    receipt = receipts.parse_receipt(jws.claims)
    verify_with_certificate(jws, certificate)
    return receipt


def _require_kind(jws: ClaimedJws, kind: Kind) -> None:
    if jws.typ != kind:
        raise Unproven(f"typ is not {kind}")


def _require_client(claims: Mapping[str, Any], certificate: Certificate) -> ClientIdentifier:
    client = certificate.client
    if client is None or claim.text(claims, "iss") != str(client):
        raise Unproven("the certificate is of another client")
    return client
