"""What tokens and metadata of the OpenID Provider say (RFC 9068, RFC 8414, OpenID Connect Core and Discovery)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from rrsd.core.proof import tokens
from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant, seconds
from rrsd.core.values.peers import Issuer
from rrsd.core.values.tokens import VerifiedAccess

SCOPES = ("openid", "email", "offline_access", "mail")


@frozen
class Issued:
    """What an access token is about to say."""

    issuer: Issuer
    audience: str
    subject: Address
    client_id: str
    scope: str
    auth_time: Instant
    jti: str = field(repr=False)
    family: str = ""


def access_claims(issued: Issued, now: Instant, life: timedelta) -> dict[str, Any]:
    """The claims of an access token (RFC 9068 2.2)."""
    scope = frozenset(issued.scope.split(" "))
    access = VerifiedAccess(
        issued.issuer, issued.subject, issued.client_id, scope, now + life, issued.jti, None, issued.family
    )
    return tokens.access_claims(access, issued.audience, now) | {"auth_time": seconds(issued.auth_time)}


def id_claims(issued: Issued, nonce: str, now: Instant, life: timedelta) -> dict[str, Any]:
    """The claims of an ID token (OpenID Connect Core 2)."""
    claims: dict[str, Any] = {
        "iss": str(issued.issuer),
        "sub": str(issued.subject),
        "aud": issued.client_id,
        "iat": seconds(now),
        "exp": seconds(now + life),
        "auth_time": seconds(issued.auth_time),
        "email": str(issued.subject),
        "email_verified": True,
    }
    return claims | ({"nonce": nonce} if nonce else {})


def metadata(issuer: Issuer, algorithms: Sequence[str]) -> dict[str, Any]:
    """What this role adds to the issuer's metadata (RFC 8414 2, OpenID Connect Discovery 3, RFC 9207 3).

    `algorithms` are those that its tokens are signed with.
    """
    return {
        "authorization_endpoint": f"{issuer}/authorize",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": list(SCOPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(algorithms),
        "claims_supported": ["sub", "email", "email_verified", "auth_time"],
    }
