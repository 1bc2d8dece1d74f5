"""Keys that are strong enough."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.tokens import Algorithm
from rrsd.core.wire import base64url, keys
from tests.core import signing
from tests.core.vectors import published

PRIME = 2**255 - 19


def ed25519_jwk(y: int) -> dict[str, str]:
    """A JWK whose point has the encoding `y`."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(y.to_bytes(32, "little"))}


def double(point: tuple[int, int]) -> tuple[int, int]:
    """Twice the point of edwards25519 (RFC 8032 5.1)."""
    x, y = point
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    product = d * x * x * y * y % PRIME
    return (2 * x * y * pow(1 + product, -1, PRIME) % PRIME, (y * y + x * x) * pow(1 - product, -1, PRIME) % PRIME)


def x_of(y: int) -> int:
    """An x coordinate that goes with `y` (RFC 8032 5.1.3)."""
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    square = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    return root if (root * root - square) % PRIME == 0 else root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME


def pem(key: Any) -> bytes:
    """The key as PEM SubjectPublicKeyInfo."""
    encoded: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


class LoadTests(SynchronousTestCase):
    """Reading JWKs and PEM."""

    def test_published_keys(self) -> None:
        """Keys of the standards load and describe themselves."""
        for jwk in (published.MTLS_JWK, ed25519_jwk(int.from_bytes(base64url.decode(published.ED25519_X), "little"))):
            self.assertEqual(keys.describe(keys.load_jwk(jwk)), jwk)
        described = keys.describe(keys.load_jwk(published.RSA_JWK))
        self.assertEqual(described, {"kty": "RSA", "n": published.RSA_N, "e": "AQAB"})

    def test_pem_and_jwk_agree(self) -> None:
        """A key is the same from PEM and from its JWK, and is loaded once."""
        for key in (signing.ISSUER_KEY, signing.ED_KEY, signing.rsa_key()):
            text = pem(key.public_key())
            described = keys.describe(key.public_key())
            self.assertEqual(keys.describe(keys.load_pem(text)), described)
            self.assertIs(keys.calculator_of_pem(text), keys.calculator_of_pem(text))
            members = frozenset(described.items())
            self.assertIs(keys.calculator_of(members), keys.calculator_of(members))

    def test_one_family_of_algorithms_each(self) -> None:
        """A key's type says which algorithms may be used with it, the usual one first."""
        fits = [keys.algorithms_of(key.public_key()) for key in (signing.ISSUER_KEY, signing.ED_KEY, signing.rsa_key())]
        self.assertEqual(fits, [(Algorithm.ES256,), (Algorithm.EDDSA,), (Algorithm.RS256, Algorithm.PS256)])

    def test_j21_point_off_the_curve(self) -> None:
        """An EC point that is not on P-256 is refused."""
        for jwk in (
            published.MTLS_JWK | {"y": published.MTLS_JWK["x"]},
            published.MTLS_JWK | {"x": base64url.encode(b"\xff" * 32)},
            published.MTLS_JWK | {"x": base64url.encode(bytes(32)), "y": base64url.encode(bytes(32))},
        ):
            self.assertRaises(Malformed, keys.load_jwk, jwk)

    def test_j21_other_curves_and_types(self) -> None:
        """secp256k1, P-384, X25519, Ed448, symmetric and unknown keys are refused."""
        for jwk in (
            published.MTLS_JWK | {"crv": "secp256k1"}, published.MTLS_JWK | {"crv": "P-384"}, {"kty": "EC", "crv": 1},
            {"kty": "OKP", "crv": "X25519", "x": published.ED25519_X}, {"kty": "OKP", "crv": "Ed448", "x": "AA"},
            {"kty": "oct", "k": "AAAA"}, {"kty": ["EC"]}, {},
        ):  # fmt: skip
            self.assertRaises(Malformed, keys.load_jwk, jwk)
        for curve in (ec.SECP384R1(), ec.SECP256K1()):
            self.assertRaises(Malformed, keys.load_pem, pem(ec.derive_private_key(5, curve).public_key()))
        montgomery = x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.assertRaises(Malformed, keys.load_pem, pem(montgomery.public_key()))

    def test_j21_ed25519_small_order(self) -> None:
        """Points whose order divides 8 are refused with either sign, and so are encodings beyond the prime."""
        small = [y for y in keys._ED_SMALL if double(double(double((x_of(y), y)))) == (0, 1)]
        self.assertEqual(len(small), 5)
        for y in (*small, PRIME, PRIME + 1, 2**255 - 1):
            self.assertRaises(Malformed, keys.load_jwk, ed25519_jwk(y))
            self.assertRaises(Malformed, keys.load_jwk, ed25519_jwk(y | 1 << 255))

    def test_j21_weak_rsa(self) -> None:
        """RSA of 1024 bits, with exponent 3, or so long that it costs us is refused."""
        for key in (signing.rsa_key(1024), signing.rsa_key(2048, 3)):
            self.assertRaises(Malformed, keys.load_jwk, keys.describe(key.public_key()))
            self.assertRaises(Malformed, keys.load_pem, pem(key.public_key()))
        good = keys.describe(signing.rsa_key().public_key())
        long = base64url.encode(b"\xff" * 2048)
        modulus = base64url.decode(good["n"])
        for change in (
            {"n": long}, {"e": "AQ"}, {"e": "AAEAAQ"}, {"n": base64url.encode(b"\0" + modulus)}, {"n": ""},
            {"n": "A" * 99999}, {"n": base64url.encode(modulus[:-1] + bytes([modulus[-1] & 0xFE]))},
        ):  # fmt: skip
            self.assertRaises(Malformed, keys.load_jwk, good | change)

    def test_members_that_are_not_canonical(self) -> None:
        """Coordinates of another length, with padding, or that are no text are refused."""
        x = published.MTLS_JWK["x"]
        for wrong in (x + "=", x[:-2], base64url.encode(b"\0" + base64url.decode(x)), 5, None, ""):
            self.assertRaises(Malformed, keys.load_jwk, {**published.MTLS_JWK, "x": wrong})

    def test_pem_that_is_none(self) -> None:
        """Text that is not a PEM public key is refused."""
        for text in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff"):
            self.assertRaises(Malformed, keys.load_pem, text)
