"""Who may exchange what for what (RFC 8693, RFC 8705 2.2, RFC 8707 2)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from rrsd.core.refusals import (
    Expired,
    Forbidden,
    Malformed,
    NotGranted,
    Refusal,
    Replayed,
    TooLarge,
    Unknown,
    Unproven,
    WrongScope,
    WrongTarget,
)
from rrsd.core.values.addresses import Address
from rrsd.core.values.clients import Method
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, Issuer
from rrsd.core.values.tokens import Algorithm, ClaimedDelegation, ClaimedJws, VerifiedAccess, VerifiedImpersonation
from rrsd.core.wire import claims as claim
from rrsd.core.wire.delegation import parse_actors
from rrsd.core.wire.exchange import GRANT_TYPE, ExchangeRequest
from rrsd.roles.sts.clients import Client

MOST_LIFE = timedelta(seconds=300)
"""What is issued lives no longer, whatever the settings say."""

REMEMBER = timedelta(seconds=60)
"""How long beyond its end an assertion is remembered: clocks differ, and ends are rounded to seconds."""

LEAST_LEFT = timedelta(seconds=1)
LONGEST_CHAIN = 16
"""Actors in a token that is issued, whatever the settings say."""

NEEDED_SCOPE = "mail"
"""What an access token must permit to become a delegation: whatever is retrieved by one belongs to the mail."""

ABOUT_THE_SUBJECT = (Unproven, Expired, Replayed, Unknown, Forbidden, TooLarge, Malformed)
"""What can be wrong with a subject token; to the client it is all one (RFC 8693 2.2.2 invalid_request)."""


def require_binding(client: Client, certificate: Certificate | None) -> Certificate:
    """The certificate that what is issued is bound to: however the client proved itself, it is one in its name.

    Raises:
        Malformed: there is none, or its OU.CN is not the client; no resource server would take it (protocol 4).
    """
    if certificate is None or certificate.client != client.identifier:
        raise Malformed("no certificate in the client's name to bind the token to")
    return certificate


def require_target(client: Client, asked: ExchangeRequest) -> None:
    """Returns None if the client may ask for this resource server.

    Raises:
        WrongTarget: it may not.
    """
    if client.targets is not None and asked.resource not in client.targets:
        raise WrongTarget("not a target of this client")


def require_no_actor(asked: ExchangeRequest) -> None:
    """Returns None unless an actor token came: the actor is the client that proved itself, nobody else.

    Raises:
        Malformed: one came; it is refused, not ignored.
    """
    if asked.has_actor:
        raise Malformed("actor tokens are not taken here")


@frozen
class Subject:
    """Whom a subject token speaks of, until when, which kind of proof that was, and all that narrows it.

    `actors` acted before, the latest first; `may_act` says who may act next, None anybody. `access` is the access token
    that it is, if it is one. `message_ids` are those of a delegation, None all.
    """

    address: Address
    expires: Instant
    evidence: str
    actors: tuple[Mapping[str, str], ...] = ()
    may_act: Mapping[str, Any] | None = None
    access: VerifiedAccess | None = None
    message_ids: frozenset[str] | None = None


def impersonated(client: Client, verified: VerifiedImpersonation) -> Subject:
    """The user whom the client names by itself.

    Raises:
        Malformed: the assertion is another client's, or this one may not impersonate users of that domain.
    """
    if verified.client != client.identifier or verified.subject.domain not in client.impersonate:
        raise Malformed("the client may not impersonate this user")
    return Subject(verified.subject, verified.expires, "impersonation")


def delegated(client: Client, issuer: Issuer, verified: VerifiedAccess, jws: ClaimedJws) -> Subject:
    """The user whose access token this is. `jws` is the token that was proved.

    A token that is bound to another certificate is taken because its audience is on the client's list: whoever serves
    that audience gets such tokens with their proof, and what is issued is bound to the client instead.

    Raises:
        Malformed: the token was issued for somebody else, or names somebody else who may act, or its chain of actors
            is not of its form.
    """
    may_act = _require_recipient(client, issuer, jws.claims)
    actors = parse_actors(jws.claims)
    return Subject(verified.subject, verified.expires, "access token", actors, may_act, verified)


def passed_on(client: Client, issuer: Issuer, claimed: ClaimedDelegation) -> Subject:
    """The user whom a delegation of ours speaks of, in the hands of the resource server that it was issued for.

    Raises:
        Malformed: as `delegated`.
    """
    may_act = _require_recipient(client, issuer, claimed.jws.claims)
    actors = parse_actors(claimed.jws.claims)
    return Subject(claimed.subject, claimed.expires, "delegation", actors, may_act, message_ids=claimed.message_ids)


def _require_recipient(client: Client, issuer: Issuer, claims: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Who may act next, which is the client or anybody (RFC 8693 4.4); an actor token makes no difference to it."""
    if claims.get("aud") not in client.audiences:
        raise Malformed("the token is for another audience")
    if "may_act" not in claims:
        return None
    may_act = claim.members(claims, "may_act")
    if claim.text(may_act, "sub") != str(client.identifier) or may_act.keys() - {"sub", "iss"}:
        raise Malformed("the token names another actor")
    if "iss" in may_act and may_act["iss"] != issuer.url:
        raise Malformed("the token names an actor of another issuer")
    return may_act


def chain_of(client: Client, subject: Subject, longest: int) -> tuple[Mapping[str, str], ...]:
    """The actors of what is issued: the client, and those before it as they were (RFC 8693 4.1).

    Raises:
        Malformed: there are more than `longest`.
    """
    chain = ({"sub": str(client.identifier)}, *subject.actors)
    if len(chain) > min(longest, LONGEST_CHAIN):
        raise Malformed("the chain of actors is too long")
    return chain


def messages_of(subject: Subject, asked: ExchangeRequest) -> frozenset[str] | None:
    """The messages that a delegation is narrowed to: what was asked, within what the subject token permits.

    Raises:
        Malformed: more was asked, or the subject token does not permit mail at all.
    """
    if subject.access is not None and NEEDED_SCOPE not in subject.access.scope:
        raise Malformed("the access token does not permit mail")
    if subject.message_ids is None or asked.message_ids is None:
        return subject.message_ids if asked.message_ids is None else asked.message_ids
    if not asked.message_ids <= subject.message_ids:
        raise Malformed("more messages than the subject token permits")
    return asked.message_ids


def scope_of(access: VerifiedAccess, asked: ExchangeRequest) -> frozenset[str]:
    """The scope of an access token that is issued: never more than the subject token has.

    Raises:
        WrongScope: more was asked, or nothing is left.
        Malformed: it was asked for single messages, which an access token cannot say.
    """
    scope = access.scope if asked.scope is None else asked.scope
    if asked.message_ids is not None:
        raise Malformed("an access token is not narrowed to messages")
    if not scope or not scope <= access.scope:
        raise WrongScope("more than the subject token permits")
    return scope


def end_of(subject: Subject, now: Instant, life: timedelta) -> Instant:
    """When what is issued ends: never later than the subject token.

    Raises:
        Malformed: nothing would be left of it.
    """
    end = min(now + min(life, MOST_LIFE), subject.expires)
    if end < now + LEAST_LEFT:
        raise Malformed("the subject token is over")
    return end


def about_subject(refusal: Refusal) -> Malformed:
    """The refusal in the words of RFC 8693 2.2.2."""
    return Malformed(f"subject token: {refusal}")


def require_introspection(client: Client) -> None:
    """Returns None if the client may ask about tokens (RFC 7662 4).

    Raises:
        Forbidden: it is not registered for it.
    """
    if not client.introspects:
        raise Forbidden("not registered for introspection")


def require_usable(client: Client, claims: Mapping[str, Any]) -> None:
    """Returns None if a token with these claims is any use to the client that asks about it (RFC 7662 4).

    Raises:
        Forbidden: it is for another resource, or bound while the client compares no certificates.
    """
    if claims.get("aud") not in client.audiences:
        raise Forbidden("the token is for another audience")
    if "cnf" in claims and not client.compares:
        raise Forbidden("a bound token, and a client without mutual TLS")


def require_owner(client: Client, owner: str) -> None:
    """Returns None if a token that is to be revoked was issued to the client that asks (RFC 7009 2.1).

    Raises:
        NotGranted: it was issued to another one.
    """
    if owner != str(client.identifier):
        raise NotGranted("the token is another client's")


_TOLD = (
    "scope", "client_id", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf", "act", "may_act",
    "authorization_details",
)  # fmt: skip


def description(claims: Mapping[str, Any], token_type: str) -> dict[str, Any]:
    """What introspection says about an active token (RFC 7662 2.2, RFC 8705 3.2)."""
    told = {name: claims[name] for name in _TOLD if name in claims}
    return {"active": True, "token_type": token_type, **told}


def metadata(issuer: Issuer, algorithms: Sequence[str]) -> dict[str, Any]:
    """What this role adds to the issuer's metadata (RFC 8414 2, RFC 8705 3.3, RFC 9701 7).

    `algorithms` are those that its answers are signed with.
    """
    document: dict[str, Any] = {
        "grant_types_supported": [GRANT_TYPE],
        "introspection_signing_alg_values_supported": list(algorithms),
        "tls_client_certificate_bound_access_tokens": True,
    }
    for endpoint, path in (("token", "token"), ("introspection", "introspect"), ("revocation", "revoke")):
        document[f"{endpoint}_endpoint"] = f"{issuer}/{path}"
        document[f"{endpoint}_endpoint_auth_methods_supported"] = [method.value for method in Method]
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = [each.value for each in Algorithm]
    return document
