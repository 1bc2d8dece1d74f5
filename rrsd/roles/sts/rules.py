"""Who may exchange what for what (RFC 8693, RFC 8705 2.2, RFC 8707 2)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from rrsd.core.refusals import (
    Expired,
    Forbidden,
    Malformed,
    Refusal,
    Replayed,
    TooLarge,
    Unknown,
    UnknownClient,
    Unproven,
    WrongTarget,
)
from rrsd.core.values.addresses import Address, ClientIdentifier, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, Issuer, Origin, parse_origin
from rrsd.core.values.tokens import ClaimedJws, VerifiedAccess, VerifiedImpersonation
from rrsd.core.wire.exchange import GRANT_TYPE, ExchangeRequest
from rrsd.core.wire.oauth import Form

MOST_LIFE = timedelta(seconds=300)
"""A delegation is not revoked, it ends."""

REMEMBER = timedelta(seconds=60)
"""How long beyond its end an assertion is remembered: clocks differ, and ends are rounded to seconds."""

LEAST_LEFT = timedelta(seconds=1)

ABOUT_THE_SUBJECT = (Unproven, Expired, Replayed, Unknown, Forbidden, TooLarge, Malformed)
"""What can be wrong with a subject token; to the client it is all one (RFC 8693 2.2.2 invalid_request)."""


@frozen
class Client:
    """A registered client: the certificates that it proves itself with, and what it may do.

    The chain and the dates of a certificate are not looked at: it was registered by its hash and is good until it is
    taken off the list (RFC 8705 2.2). `targets` is None for any resource server.
    """

    identifier: ClientIdentifier
    certificates: frozenset[Digest]
    impersonate: frozenset[Domain]
    audiences: frozenset[str]
    targets: frozenset[Origin] | None


def register(
    identifier: ClientIdentifier,
    certificates: Iterable[Certificate],
    impersonate: Iterable[Domain],
    audiences: Iterable[str],
    targets: Iterable[str],
) -> Client:
    """The client, if it can be registered.

    Raises:
        Malformed: it has no certificate, one of another subject, or a target that is no https origin.
    """
    known = tuple(certificates)
    if not known or any(certificate.client != identifier for certificate in known):
        raise Malformed(f"client {identifier} needs certificates with its own OU and CN")
    words = frozenset(targets)
    origins = None if "*" in words else frozenset(parse_origin(word) for word in words)
    hashes = frozenset(certificate.x5t for certificate in known)
    return Client(identifier, hashes, frozenset(impersonate), frozenset(audiences), origins)


def own_agent(certificates: Sequence[Certificate], domain: Domain, audience: str) -> Client:
    """The registration of the agent in this very daemon: its own domain's users, any resource server.

    Each of the `certificates` proves it, since two are in use while the agent's key is changed.

    Raises:
        Malformed: there is none, or it names no client.
    """
    if not certificates or certificates[0].client is None:
        raise Malformed("the agent's certificate names no client")
    return register(certificates[0].client, certificates, (domain,), (audience,), ("*",))


@frozen
class Caller:
    """A registered client at the other end of a connection that proves it."""

    client: Client
    certificate: Certificate


def require_caller(clients: Mapping[str, Client], name: str | None, certificate: Certificate | None) -> Caller:
    """The client that sends a request: the one it names, proved by the certificate of this connection.

    Raises:
        UnknownClient: it names none, is not registered, or came with no certificate of its own; all look the same.
    """
    client = clients.get(name or "")
    if client is None or certificate is None or certificate.x5t not in client.certificates:
        raise UnknownClient("no such client with this certificate")
    return Caller(client, certificate)


def require_one_proof(form: Form) -> None:
    """Returns None if the client proves itself by its certificate alone (RFC 6749 2.3).

    Raises:
        Malformed: it brings a secret or an assertion too.
    """
    if any(form.one(name) is not None for name in ("client_secret", "client_assertion", "client_assertion_type")):
        raise Malformed("two ways of client authentication")


def require_target(client: Client, asked: ExchangeRequest) -> None:
    """Returns None if the client may ask for this resource server.

    Raises:
        WrongTarget: it may not.
    """
    if client.targets is not None and asked.resource not in client.targets:
        raise WrongTarget("not a target of this client")


def require_no_actor(asked: ExchangeRequest) -> None:
    """Returns None unless an actor token came: the actor is the client that the connection proves, nobody else.

    Raises:
        Malformed: one came; it is refused, not ignored.
    """
    if asked.has_actor:
        raise Malformed("actor tokens are not taken here")


@frozen
class Subject:
    """Whom a subject token speaks of, until when, and which kind of proof that was."""

    address: Address
    expires: Instant
    evidence: str


def impersonated(client: Client, verified: VerifiedImpersonation) -> Subject:
    """The user whom the client names by itself.

    Raises:
        Malformed: the assertion is another client's, or this one may not impersonate users of that domain.
    """
    if verified.client != client.identifier or verified.subject.domain not in client.impersonate:
        raise Malformed("the client may not impersonate this user")
    return Subject(verified.subject, verified.expires, "impersonation")


def delegated(client: Client, verified: VerifiedAccess, jws: ClaimedJws) -> Subject:
    """The user whose access token this is. `jws` is the token that was proved.

    A token that is bound to another certificate is taken because its audience is on the client's list: whoever serves
    that audience gets such tokens with their proof, and what is issued is bound to the client instead.

    Raises:
        Malformed: the token was issued for somebody else, or says who may act or acts already (RFC 8693 4.1, 4.4):
            an answer without that chain would hide it.
    """
    if jws.claims.get("aud") not in client.audiences:
        raise Malformed("the access token is for another audience")
    if "may_act" in jws.claims or "act" in jws.claims:
        raise Malformed("the access token restricts or names an actor")
    return Subject(verified.subject, verified.expires, "access token")


def end_of(subject: Subject, now: Instant, life: timedelta) -> Instant:
    """When the delegation ends: never later than the subject token.

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


def metadata(issuer: Issuer) -> dict[str, Any]:
    """What this role adds to the issuer's metadata (RFC 8414 2, RFC 8705 3.3)."""
    return {
        "token_endpoint": f"{issuer}/token",
        "grant_types_supported": [GRANT_TYPE],
        "token_endpoint_auth_methods_supported": ["self_signed_tls_client_auth"],
        "tls_client_certificate_bound_access_tokens": True,
    }
