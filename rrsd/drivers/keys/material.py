"""What signing keys are made of: P-256 for ES256, or RSA for RS256 (RFC 7518 3.3, 3.4, 6.2, 6.3)."""

import base64
from collections.abc import Mapping
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from rrsd.core.refusals import Damaged
from rrsd.core.values.tokens import Algorithm

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

RSA_BITS = 2048
"""The least that RFC 7518 3.3 permits: a signature is slow enough, and a key signs for a quarter of a year."""

_SIZE = 32  # bytes of a number of P-256
_ES256 = ec.ECDSA(hashes.SHA256())


def generate(algorithm: Algorithm) -> PrivateKey:
    """A fresh key for ES256 or RS256."""
    if algorithm is Algorithm.RS256:
        return rsa.generate_private_key(65537, RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def algorithm_of(key: PrivateKey) -> Algorithm:
    """The one algorithm that the key signs with."""
    return Algorithm.RS256 if isinstance(key, rsa.RSAPrivateKey) else Algorithm.ES256


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature as a JWS holds it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(data, _ES256))
    # RFC 7518 3.4: the two numbers side by side, not the DER form.
    return r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")


def private_members(key: PrivateKey) -> dict[str, str]:
    """The private members of the key's JWK (RFC 7518 6.2.2, 6.3.2)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"d": _text(key.private_numbers().private_value, _SIZE)}
    numbers = key.private_numbers()
    parts = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    return {name: _text(number, (number.bit_length() + 7) // 8) for name, number in parts.items()}


def parse(jwk: Mapping[str, str]) -> PrivateKey:
    """The private key in a JWK.

    Raises:
        Damaged: it is of another type or on another curve.
        KeyError, TypeError, ValueError: a member is missing, is no number, or they do not belong together.
    """
    if (jwk["kty"], jwk.get("crv")) == ("EC", "P-256"):
        point = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1())
        # The library checks that the point is on the curve and that the private value is the one of the point.
        return ec.EllipticCurvePrivateNumbers(_number(jwk["d"]), point).private_key()
    if jwk["kty"] != "RSA":
        raise Damaged("a signing key is neither an RSA key nor an EC key on P-256")
    public = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"]))
    p, q, d, dp, dq, qi = (_number(jwk[name]) for name in ("p", "q", "d", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _text(number: int, size: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode("ascii")


def _number(text: str) -> int:
    padded = text + "=" * (-len(text) % 4)
    return int.from_bytes(base64.b64decode(padded, altchars=b"-_", validate=True), "big")
