"""Whether a JWS was signed by the key that it should be (RFC 7515 5.2, RFC 7518 3, RFC 8725 3.1)."""

from cryptography.exceptions import InvalidSignature
from jwcrypto.jwa import JWA

from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.peers import Certificate
from rrsd.core.values.tokens import ClaimedJws, KeySet, PublicKey
from rrsd.core.wire.keys import Calculator, calculator_of, calculator_of_pem


def verify(jws: ClaimedJws, keys: KeySet) -> None:
    """None if the key that `kid` names signed `jws` with the algorithm that belongs to the key.

    Without `kid` the set must hold exactly one key.

    Raises:
        Unproven: no such key, another algorithm, or another signature.
    """
    key = _choose(jws.kid, keys)
    if jws.algorithm != key.algorithm:
        raise Unproven("the key is for another algorithm")
    _verify(jws, calculator_of(frozenset(key.jwk.items())))


def verify_with_certificate(jws: ClaimedJws, certificate: Certificate) -> None:
    """None if the key of `certificate` signed `jws`; `kid` names nothing here.

    Raises:
        Unproven: it did not, or is not of a kind that signs tokens.
    """
    try:
        calculator = calculator_of_pem(certificate.key_pem)
    except Malformed:
        raise Unproven("the certificate's key signs no tokens") from None
    if jws.algorithm not in calculator.algorithms:
        raise Unproven("the key is for another algorithm")
    _verify(jws, calculator)


def _choose(kid: str | None, keys: KeySet) -> PublicKey:
    fitting = [key for key in keys.keys if kid is None or key.kid == kid]
    if len(fitting) != 1:
        raise Unproven("no key, or no single key, of that kid")
    if fitting[0].kid in keys.waiting:
        raise Unproven("the key does not sign yet")
    return fitting[0]


def _verify(jws: ClaimedJws, calculator: Calculator) -> None:
    """The length of the signature is part of the grammar (`rrsd.core.wire.jose`); here is the arithmetic alone."""
    try:
        JWA.signing_alg(jws.algorithm).verify(calculator.jwk, jws.signing_input, jws.signature)
    except InvalidSignature:
        raise Unproven("signature") from None
