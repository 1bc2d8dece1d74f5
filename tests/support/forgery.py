"""Credentials of a domain's agent, and tokens made by hand: good ones, to be spoiled."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from attrs import field, frozen
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from rrsd.core.proof.tokens import impersonation_claims
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import seconds
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.delegation import delegation_claims
from rrsd.drivers.keys.certificates import KeyPair
from rrsd.drivers.tls.credentials import Credential, parse_credential
from tests.support.world import MemoryDomain

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def pair_of(domain: MemoryDomain) -> KeyPair:
    """The domain's agent: certificate and key."""
    return domain.whole.means.doors.keyring.agent.pair


def name_of(pair: KeyPair) -> ClientIdentifier:
    """Who the agent is."""
    assert pair.certificate.client is not None
    return pair.certificate.client


def agent_of(domain: MemoryDomain) -> Credential:
    """The client certificate and key of the domain's agent."""
    return credential_of(pair_of(domain))


def credential_of(pair: KeyPair) -> Credential:
    """What a connection needs to present the certificate."""
    return parse_credential(pair.certificate_pem, pair.key_pem)


def x5t_of(credential: Credential) -> Digest:
    """The hash that tokens are bound to."""
    return digest_of(credential.chain[0].public_bytes(Encoding.DER))


def b64(data: bytes | str) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def es256(key: Any, signed: bytes) -> bytes:
    """The signature as RFC 7518 3.4 writes it."""
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def jws(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, key: Any) -> str:
    """A JWS over these very bytes or documents, signed with the key."""
    first, second = (b64(part if isinstance(part, bytes) else json.dumps(part)) for part in (header, claims))
    signed = f"{first}.{second}".encode()
    return f"{first}.{second}.{b64(es256(key, signed))}"


@frozen
class Forge:
    """A kind of token: header, claims and key of one that is good, to be spoiled."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: Any = field(repr=False)

    def text(self, header: Any = None, /, **claims: Any) -> str:
        """The token with some members changed; `...` leaves one out."""
        return jws(_changed(self.header, header or {}), _changed(self.claims, claims), self.key)


def _changed(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}


def signing_key_of(domain: MemoryDomain) -> Any:
    """The active signing key: kid and private key."""
    return next(key for key in domain.whole.means.doors.keyring.signing_keys() if key.state.value == "active")


_JTIS = count(1)


def impersonation(
    bar: MemoryDomain, user: str = "bob@bar.test", sts: MemoryDomain | None = None, pair: KeyPair | None = None
) -> Forge:
    """An impersonation assertion of the domain's own agent, or of `pair`, for its own STS unless told otherwise."""
    pair = pair or pair_of(bar)
    issuer = (sts or bar).settings.domain.issuer
    claims = impersonation_claims(
        name_of(pair), bar.address(user), issuer, pair.certificate.x5t, bar.world.now, f"jti-{next(_JTIS)}"
    )
    return Forge({"alg": "ES256", "typ": str(Kind.IMPERSONATION), "kid": pair.kid}, claims, pair.private)


def access(domain: MemoryDomain, user: str = "bob@bar.test", audience: str | None = None, **changes: Any) -> Forge:
    """An access token of the domain's issuer."""
    key, now = signing_key_of(domain), seconds(domain.world.now)
    claims = {
        "iss": str(domain.settings.domain.issuer),
        "aud": audience or str(domain.settings.domain.issuer.origin),
        "sub": user,
        "client_id": "rrsctl",
        "scope": "mail",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": f"jti-{next(_JTIS)}",
    }
    return Forge({"alg": "ES256", "typ": str(Kind.ACCESS), "kid": key.kid}, {**claims, **changes}, key.private)


def delegation(
    issuer: MemoryDomain, rs: MemoryDomain, user: str = "bob@bar.test", credential: Credential | None = None
) -> Forge:
    """A delegation by the domain's STS for its own agent, or for whoever has `credential`."""
    key, now, pair = signing_key_of(issuer), issuer.world.now, pair_of(issuer)
    bound = pair.certificate.x5t if credential is None else x5t_of(credential)
    claims = delegation_claims(
        issuer.settings.domain.issuer, rs.settings.rs.origin, issuer.address(user), name_of(pair), bound, now,
        now + timedelta(seconds=300), f"jti-{next(_JTIS)}", None,
    )  # fmt: skip
    return Forge({"alg": "ES256", "typ": str(Kind.DELEGATION), "kid": key.kid}, claims, key.private)


def receipt(
    issuer: MemoryDomain, rs: MemoryDomain, data: bytes, user: str = "bob@bar.test", message_id: str = "1@foo.test"
) -> Forge:
    """A receipt of the domain's agent."""
    pair, now = pair_of(issuer), seconds(issuer.world.now)
    claims = {
        "iss": str(pair.certificate.client),
        "aud": str(rs.settings.rs.origin),
        "sub": user,
        "resource": digest_of(data).ni,
        "size": len(data),
        "stored_at": now,
        "message_id": message_id,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": f"jti-{next(_JTIS)}",
    }
    return Forge({"alg": "ES256", "typ": str(Kind.RECEIPT), "kid": pair.kid}, claims, pair.private)


def exchange_form(bar: MemoryDomain, rs: MemoryDomain, token: str, kind: str = JWT, **changes: Any) -> dict[str, str]:
    """The form of a token exchange; `...` leaves a parameter out."""
    form = {
        "grant_type": EXCHANGE,
        "client_id": str(name_of(pair_of(bar))),
        "subject_token": token,
        "subject_token_type": kind,
        "requested_token_type": JWT,
        "resource": str(rs.settings.rs.origin),
    }
    return _changed(form, changes)
