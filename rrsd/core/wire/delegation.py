"""Delegation assertions, `typ` rrs-delegation+jwt (RFC 8693 4, RFC 8705 3.1, RFC 9396 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Address, ClientIdentifier, parse_address, parse_client_identifier
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Issuer, Origin, parse_issuer, parse_origin
from rrsd.core.values.tokens import ClaimedDelegation, ClaimedJws, Kind
from rrsd.core.wire import claims as claim

DETAIL_TYPE = "rrs_message"
MOST_MESSAGES = 100
MOST_ACTORS = 16
"""Actors of a chain that are looked at; what may be issued has fewer."""
_IDENTITY = frozenset({"sub", "iss", "client_id"})
MOST_MESSAGE_ID = 998  # a header line's length, RFC 5322 2.1.1


def parse_delegation(jws: ClaimedJws) -> ClaimedDelegation:
    """What a delegation assertion claims.

    Raises:
        Malformed: another `typ`, or a claim that is missing or not of its form.
    """
    if jws.typ != Kind.DELEGATION:
        raise Malformed("typ is not that of a delegation")
    claims = jws.claims
    times = claim.times(claims)
    details = claims.get("authorization_details")
    return ClaimedDelegation(
        issuer=parse_issuer(claim.text(claims, "iss")),
        audience=parse_origin(claim.text(claims, "aud")),
        subject=parse_address(claim.text(claims, "sub")),
        actor=_actor(claims),
        confirmation=claim.confirmation(claims),
        issued=times.issued,
        expires=times.expires,
        jti=claim.jti(claims),
        message_ids=None if details is None else parse_message_ids(details),
        jws=jws,
    )


def _actor(claims: Mapping[str, Any]) -> ClientIdentifier:
    # Actors further down the chain are history only (RFC 8693 4.1).
    actor = claim.text(claim.members(claims, "act"), "sub")
    if claim.text(claims, "client_id") != actor:
        raise Malformed("claim client_id is not act.sub")
    parsed = parse_client_identifier(actor)
    if str(parsed) != actor:
        raise Malformed("claim act.sub is not canonical")
    return parsed


def parse_actors(claims: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """The actors in `act`, the outermost first, each with its identity claims; none where there is no `act`.

    Raises:
        Malformed: an actor has no `sub`, or claims that identify nobody (RFC 8693 4.1), or there are more than
            `MOST_ACTORS`.
    """
    found: list[dict[str, str]] = []
    while "act" in claims:
        claims = claim.members(claims, "act")
        claim.text(claims, "sub")
        names = sorted(claims.keys() - {"act"})
        if not set(names) <= _IDENTITY or len(found) == MOST_ACTORS:
            raise Malformed("claim act")
        found.append({name: claim.text(claims, name) for name in names})
    return tuple(found)


def nested(actors: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The claim `act` that says these actors, the outermost first; at least one."""
    act: dict[str, Any] = {}
    for actor in reversed(actors):
        act = {**actor, **({"act": act} if act else {})}
    return act


def parse_message_ids(details: object) -> frozenset[str]:
    """The Message-IDs that `authorization_details` narrow a delegation to.

    Raises:
        Malformed: it is not a list of `rrs_message` with one `message_id` each; a type that is not known is refused,
            not ignored (RFC 9396 5).
    """
    if not isinstance(details, list) or not 0 < len(details) <= MOST_MESSAGES:
        raise Malformed("authorization_details")
    return frozenset(_message_id(detail) for detail in details)


def _message_id(detail: object) -> str:
    if not isinstance(detail, dict) or detail.keys() != {"type", "message_id"} or detail["type"] != DETAIL_TYPE:
        raise Malformed("authorization_details type")
    message_id = claim.text(detail, "message_id")
    if len(message_id) > MOST_MESSAGE_ID or not message_id.isprintable():
        raise Malformed("authorization_details message_id")
    return message_id


def delegation_claims(  # noqa: PLR0913 - one argument per claim
    issuer: Issuer,
    audience: Origin,
    subject: Address,
    actor: ClientIdentifier,
    confirmation: Digest,
    issued: Instant,
    expires: Instant,
    jti: str,
    message_ids: frozenset[str] | None,
) -> dict[str, Any]:
    """The claims of a delegation for `actor` to ask `audience` in the name of `subject`."""
    claims: dict[str, Any] = {
        "iss": str(issuer),
        "aud": str(audience),
        "sub": str(subject),
        "client_id": str(actor),
        "act": {"sub": str(actor)},
        "cnf": {"x5t#S256": confirmation.b64},
        "iat": seconds(issued),
        "nbf": seconds(issued),
        "exp": seconds(expires),
        "jti": jti,
    }
    if message_ids is not None:
        claims["authorization_details"] = [
            {"type": DETAIL_TYPE, "message_id": message_id} for message_id in sorted(message_ids)
        ]
    return claims
