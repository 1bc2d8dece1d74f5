"""Whether a JWS was signed by the key that it should be (RFC 7515 5.2, RFC 7518 3, RFC 8725 3.1)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.peers import Certificate
from rrsd.core.values.tokens import Algorithm, ClaimedJws, KeySet, PublicKey
from rrsd.core.wire.keys import VerificationKey, algorithms_of, load_members, load_pem

_SHA256 = hashes.SHA256()
_ES256 = ec.ECDSA(_SHA256)
_PADDINGS: dict[str, padding.AsymmetricPadding] = {
    Algorithm.RS256: padding.PKCS1v15(),
    Algorithm.PS256: padding.PSS(padding.MGF1(_SHA256), padding.PSS.DIGEST_LENGTH),
}


def verify(jws: ClaimedJws, keys: KeySet) -> None:
    """None if the key that `kid` names signed `jws` with the algorithm that belongs to the key.

    Without `kid` the set must hold exactly one key.

    Raises:
        Unproven: no such key, another algorithm, or another signature.
    """
    key = _choose(jws.kid, keys)
    if jws.algorithm != key.algorithm:
        raise Unproven("the key is for another algorithm")
    _verify(jws, load_members(frozenset(key.jwk.items())))


def verify_with_certificate(jws: ClaimedJws, certificate: Certificate) -> None:
    """None if the key of `certificate` signed `jws`; `kid` names nothing here.

    Raises:
        Unproven: it did not, or is not of a kind that signs tokens.
    """
    try:
        key = load_pem(certificate.key_pem)
    except Malformed:
        raise Unproven("the certificate's key signs no tokens") from None
    if jws.algorithm not in algorithms_of(key):
        raise Unproven("the key is for another algorithm")
    _verify(jws, key)


def _choose(kid: str | None, keys: KeySet) -> PublicKey:
    fitting = [key for key in keys.keys if kid is None or key.kid == kid]
    if len(fitting) != 1:
        raise Unproven("no key, or no single key, of that kid")
    return fitting[0]


def _verify(jws: ClaimedJws, key: VerificationKey) -> None:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_to_der(jws.signature), jws.signing_input, _ES256)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(jws.signature, jws.signing_input)
        else:
            key.verify(jws.signature, jws.signing_input, _PADDINGS[jws.algorithm], _SHA256)
    except InvalidSignature:
        raise Unproven("signature") from None


def _to_der(signature: bytes) -> bytes:
    """The form that the library reads; RFC 7518 3.4 writes the two numbers side by side."""
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
