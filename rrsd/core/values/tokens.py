"""Tokens and what was proved from them (RFC 7519, RFC 8693, RFC 9068). `Claimed…` is parsed only."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from rrsd.core.values.addresses import Address, ClientIdentifier
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Issuer, Origin


class Kind(StrEnum):
    """The `typ` of each JWT spoken here; their rules are mutually exclusive (RFC 8725 3.12)."""

    ACCESS = "at+jwt"
    IMPERSONATION = "rrs-impersonation+jwt"
    DELEGATION = "rrs-delegation+jwt"
    RECEIPT = "rrs-receipt+jwt"
    CLIENT = "client-authentication+jwt"
    INTROSPECTION = "token-introspection+jwt"


class Algorithm(StrEnum):
    """The signature algorithms that are verified; ES256 is the one that is issued."""

    ES256 = "ES256"
    EDDSA = "EdDSA"
    PS256 = "PS256"
    RS256 = "RS256"


@frozen
class ClaimedJws:
    """A compact JWS whose grammar holds and whose signature nobody has looked at."""

    text: str = field(repr=False)
    algorithm: str
    typ: str
    kid: str | None
    claims: Mapping[str, Any]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@frozen
class PublicKey:
    """One verification key of a key set: `jwk` holds public members only and passed the strength rules."""

    kid: str
    algorithm: Algorithm
    jwk: Mapping[str, str]


@frozen
class KeySet:
    """The verification keys of one issuer; `kid`s are distinct.

    `waiting` names those that are published ahead and sign nothing yet, which only the issuer itself knows.
    """

    keys: tuple[PublicKey, ...]
    waiting: frozenset[str] = frozenset()


@frozen
class VerifiedAccess:
    """An access token of the domain's issuer was proved: `subject` is logged in with `client_id`.

    `family` names the login that it comes from, "" where the issuer does not say (claim `sid`).
    """

    issuer: Issuer
    subject: Address
    client_id: str
    scope: frozenset[str]
    expires: Instant
    jti: str
    confirmation: Digest | None = None
    family: str = ""


@frozen
class VerifiedImpersonation:
    """A client proved, with the key of its certificate, that it asks in the name of `subject`."""

    client: ClientIdentifier
    subject: Address
    confirmation: Digest
    expires: Instant
    jti: str


@frozen
class ClaimedDelegation:
    """The claims of a delegation assertion, well-formed and nothing more."""

    issuer: Issuer
    audience: Origin
    subject: Address
    actor: ClientIdentifier
    confirmation: Digest
    issued: Instant
    expires: Instant
    jti: str
    message_ids: frozenset[str] | None
    jws: ClaimedJws


@frozen
class VerifiedDelegation:
    """A delegation assertion was proved in full: `actor` asks for `subject` over the connection that carries it."""

    issuer: Issuer
    audience: Origin
    subject: Address
    actor: ClientIdentifier
    confirmation: Digest
    expires: Instant
    jti: str
    message_ids: frozenset[str] | None


def revoked_names(issuer: Issuer, jti: str, family: str = "") -> tuple[str, ...]:
    """The names of which none may be in the memory of what was revoked: the token's own, and that of its login.

    No `jti` has a space in it, so that neither can be taken for the other.
    """
    return (f"{issuer} {jti}", *((family_name(issuer, family),) if family else ()))


def family_name(issuer: Issuer, family: str) -> str:
    """The name under which everything that comes of one login is revoked."""
    return f"{issuer} login {family}"
