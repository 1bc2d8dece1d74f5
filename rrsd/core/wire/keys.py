"""Public keys that are strong enough to verify with (RFC 7518 6, RFC 8037 2, RFC 8725 3.4 and 3.5)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jwcrypto.jwk import JWK

from rrsd.core.refusals import Malformed
from rrsd.core.values.tokens import Algorithm
from rrsd.core.wire import base64url

VerificationKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

LEAST_RSA, MOST_RSA = 2048, 8192  # a longer key costs whoever verifies, not whoever signs
_EXPONENT = 65537
_ED_PRIME = 2**255 - 19
_ED_SIGN = 1 << 255
# The y coordinates of the eight points of small order: with such a key one signature fits many messages.
_ED_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_ED_SMALL = frozenset({0, 1, _ED_PRIME - 1, _ED_ORDER_8, _ED_PRIME - _ED_ORDER_8})

REQUIRED = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("e", "n")}
"""The public members of each key type that is spoken, in the order of RFC 7638 3.2 after `kty` is merged in."""


def load_jwk(jwk: Mapping[str, Any]) -> VerificationKey:
    """The key that the public members of `jwk` describe.

    Raises:
        Malformed: another type or curve, a member that is missing or not canonical, a point off the curve or of small
            order, RSA shorter than 2048 or longer than 8192 bits or with another exponent than 65537.
    """
    kty = jwk.get("kty")
    if kty == "EC" and jwk.get("crv") == "P-256":
        return _p256(_bytes(jwk, "x", 32), _bytes(jwk, "y", 32))
    if kty == "OKP" and jwk.get("crv") == "Ed25519":
        return _ed25519(_bytes(jwk, "x", 32))
    if kty == "RSA":
        return _rsa(_bytes(jwk, "n"), _bytes(jwk, "e"))
    raise Malformed("key type or curve")


@frozen
class Calculator:
    """A key that passed the rules, in the form that jwcrypto calculates with, and what a signature by it may be."""

    jwk: JWK = field(repr=False)
    algorithms: tuple[Algorithm, ...]


@lru_cache(maxsize=1024)
def calculator_of(members: frozenset[tuple[str, str]]) -> Calculator:
    """The calculator for `load_jwk` of these members; the same members cost the work once."""
    key = load_jwk(dict(members))
    return Calculator(JWK.from_pyca(key), algorithms_of(key))


@lru_cache(maxsize=1024)
def calculator_of_pem(pem: bytes) -> Calculator:
    """The calculator for `load_pem`; the same text costs the work once."""
    key = load_pem(pem)
    return Calculator(JWK.from_pyca(key), algorithms_of(key))


def load_pem(pem: bytes) -> VerificationKey:
    """The key in a PEM SubjectPublicKeyInfo, under the rules of `load_jwk`.

    Raises:
        Malformed: it is no such key.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed("not a PEM public key") from None
    return load_jwk(describe(key))


def describe(key: object) -> dict[str, str]:
    """The JWK of a public key, nothing but required members (RFC 7638 3.2).

    Raises:
        Malformed: it is of a type or on a curve that is not spoken here.
    """
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_numbers()
        x, y = (base64url.encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}
    raise Malformed("key type or curve")


def algorithms_of(key: VerificationKey) -> tuple[Algorithm, ...]:
    """What a signature by the key may be; the first one is meant where nothing is said."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return (Algorithm.ES256,)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return (Algorithm.EDDSA,)
    return (Algorithm.RS256, Algorithm.PS256)


def _bytes(jwk: Mapping[str, Any], name: str, length: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not text or len(text) > 4 * MOST_RSA:
        raise Malformed(f"key member {name}")
    data = base64url.decode(text)
    if length is not None and len(data) != length:
        raise Malformed(f"key member {name} length")
    return data


def _integer(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _p256(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    try:
        return numbers.public_key()
    except ValueError:
        raise Malformed("point is not on the curve") from None


def _ed25519(x: bytes) -> ed25519.Ed25519PublicKey:
    y = int.from_bytes(x, "little") & ~_ED_SIGN
    if y >= _ED_PRIME or y in _ED_SMALL:
        raise Malformed("point of small order or not canonical")
    return ed25519.Ed25519PublicKey.from_public_bytes(x)


def _rsa(n: bytes, e: bytes) -> rsa.RSAPublicKey:
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if not LEAST_RSA <= modulus.bit_length() <= MOST_RSA or modulus % 2 == 0 or exponent != _EXPONENT:
        raise Malformed("RSA key size or exponent")
    if n[0] == 0 or e[0] == 0:
        raise Malformed("RSA numbers are not canonical")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()
