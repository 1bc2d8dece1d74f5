"""Whether a token was signed by the key that it should be."""

from attrs import evolve
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.signatures import verify, verify_with_certificate
from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.tokens import Algorithm, ClaimedJws, KeySet, Kind
from rrsd.core.wire import base64url
from rrsd.core.wire.jose import parse_jws, parse_key_set
from tests.core import signing
from tests.core.signing import CLIENT_KEY, ED_KEY, ISSUER_KEY, OTHER_KEY, claimed, key_set, public
from tests.core.vectors import published

CLAIMS = {"sub": "bob@bar.test"}
GOOD = claimed(Kind.ACCESS, CLAIMS)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def published_jws(text: str, algorithm: Algorithm) -> ClaimedJws:
    """A published token whose header has no typ, which is why it does not pass the parser."""
    signed, _, signature = text.rpartition(".")
    return ClaimedJws(text, algorithm, "", None, {}, signed.encode("ascii"), base64url.decode(signature))


def as_pairs(signature: bytes) -> tuple[int, int]:
    """r and s."""
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def of_pairs(r: int, s: int) -> bytes:
    """The signature of r and s."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class VerifyTests(SynchronousTestCase):
    """Signatures by an issuer's keys."""

    def refuse(self, jws: ClaimedJws, keys: KeySet | None = None) -> None:
        """Expect the token to prove nothing."""
        self.assertRaises(Unproven, verify, jws, keys or key_set())

    def test_every_algorithm(self) -> None:
        """Each algorithm verifies with its own kind of key."""
        for key, algorithm in (
            (ISSUER_KEY, Algorithm.ES256), (ED_KEY, Algorithm.EDDSA), (signing.rsa_key(), Algorithm.RS256),
            (signing.rsa_key(), Algorithm.PS256),
        ):  # fmt: skip
            jws = claimed(Kind.ACCESS, CLAIMS, key, algorithm)
            verify(jws, key_set(public(key, "k1", algorithm)))
            self.refuse(evolve(jws, signing_input=jws.signing_input + b"x"), key_set(public(key, "k1", algorithm)))

    def test_j24_key_that_does_not_sign_yet(self) -> None:
        """A key that its issuer published ahead proves nothing until its turn has come."""
        keys = key_set()
        verify(GOOD, keys)
        self.refuse(GOOD, evolve(keys, waiting=frozenset({keys.keys[0].kid})))

    def test_published_tokens(self) -> None:
        """Tokens of the standards verify with their keys."""
        edwards = {"kty": "OKP", "crv": "Ed25519", "x": published.ED25519_X}
        for text, jwk, algorithm in (
            (published.ES256_JWS, published.ES256_JWK, Algorithm.ES256),
            (published.CHAINING_JWS, published.CHAINING_JWK, Algorithm.ES256),
            (published.ED25519_JWS, edwards, Algorithm.EDDSA),
        ):
            keys = parse_key_set({"keys": [jwk]})
            verify(published_jws(text, algorithm), keys)
            self.refuse(published_jws(text.replace(".", "x.", 1), algorithm), keys)

    def test_j01_alg_none(self) -> None:
        """A token under alg none is no token, and a signature of zeros proves nothing."""
        self.assertRaises(Malformed, parse_jws, published.NONE_JWS)
        self.refuse(evolve(GOOD, signature=bytes(64)))

    def test_j03_algorithm_of_another_key(self) -> None:
        """An algorithm that is fine in general but does not belong to the key is refused."""
        key = signing.rsa_key()
        self.refuse(claimed(Kind.ACCESS, CLAIMS, key, Algorithm.PS256), key_set(public(key, "k1", Algorithm.RS256)))
        self.refuse(claimed(Kind.ACCESS, CLAIMS, key, Algorithm.RS256), key_set(public(ISSUER_KEY)))
        self.refuse(GOOD, key_set(public(key)))
        self.refuse(evolve(GOOD, algorithm=Algorithm.EDDSA))

    def test_j04_signatures_of_something_else(self) -> None:
        """Another message's signature, one bit, r or s of zero or beyond the order, and r and s swapped are refused."""
        r, s = as_pairs(GOOD.signature)
        for signature in (
            claimed(Kind.ACCESS, {"sub": "eve@bar.test"}).signature,
            bytes([GOOD.signature[0] ^ 1]) + GOOD.signature[1:],
            GOOD.signature[:-1] + bytes([GOOD.signature[-1] ^ 1]), of_pairs(0, s), of_pairs(r, 0), of_pairs(s, r),
            of_pairs(ORDER, s), of_pairs(r, ORDER), b"\xff" * 64,
        ):  # fmt: skip
            self.refuse(evolve(GOOD, signature=signature))

    def test_j04_der_signature(self) -> None:
        """A DER signature does not even parse."""
        der = ISSUER_KEY.sign(GOOD.signing_input, ec.ECDSA(hashes.SHA256()))
        text = GOOD.text.rpartition(".")[0] + "." + base64url.encode(der)
        self.assertRaises(Malformed, parse_jws, text)

    def test_j09_kids(self) -> None:
        """A kid that is unknown, missing among two keys, or of another issuer's key is refused."""
        two = key_set(public(ISSUER_KEY, "k1"), public(OTHER_KEY, "k2"))
        verify(GOOD, two)
        verify(claimed(Kind.ACCESS, CLAIMS, kid=None), key_set())
        self.refuse(claimed(Kind.ACCESS, CLAIMS, kid=None), two)
        self.refuse(claimed(Kind.ACCESS, CLAIMS, kid="k2"), two)
        self.refuse(claimed(Kind.ACCESS, CLAIMS, kid="k3"), two)
        self.refuse(claimed(Kind.ACCESS, CLAIMS, OTHER_KEY))
        self.refuse(GOOD, KeySet(()))

    def test_j09_two_keys_with_one_kid(self) -> None:
        """Nothing is tried out where a kid names two keys."""
        self.refuse(GOOD, key_set(public(ISSUER_KEY), public(OTHER_KEY)))

    def test_j24_retired_key(self) -> None:
        """A key that is no longer, or not yet, published proves nothing."""
        self.refuse(GOOD, key_set(public(OTHER_KEY, "k2")))


class CertificateTests(SynchronousTestCase):
    """Signatures by the key of a client's certificate."""

    def test_every_algorithm(self) -> None:
        """Keys of each kind sign, and their kid names nothing."""
        for key, algorithm in (
            (CLIENT_KEY, Algorithm.ES256), (ED_KEY, Algorithm.EDDSA), (signing.rsa_key(), Algorithm.RS256),
            (signing.rsa_key(), Algorithm.PS256),
        ):  # fmt: skip
            for kid in (None, "anything"):
                jws = claimed(Kind.RECEIPT, CLAIMS, key, algorithm, kid)
                verify_with_certificate(jws, signing.certificate(key))

    def test_m03_another_key_with_the_same_subject(self) -> None:
        """A certificate of the same name does not vouch for this key's signature."""
        jws = claimed(Kind.RECEIPT, CLAIMS, CLIENT_KEY)
        self.assertRaises(Unproven, verify_with_certificate, jws, signing.certificate(OTHER_KEY))

    def test_j03_algorithm_of_another_key(self) -> None:
        """The key's type decides which algorithms count."""
        jws = claimed(Kind.RECEIPT, CLAIMS, ED_KEY, Algorithm.EDDSA)
        self.assertRaises(Unproven, verify_with_certificate, jws, signing.CERTIFICATE)

    def test_keys_that_sign_no_tokens(self) -> None:
        """A certificate on another curve can open a connection and sign nothing."""
        key = ec.derive_private_key(5, ec.SECP384R1())
        self.assertRaises(Unproven, verify_with_certificate, GOOD, signing.certificate(key))
