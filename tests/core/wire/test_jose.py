"""Compact JWS and key sets before anybody believes them."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.tokens import Algorithm, Kind
from rrsd.core.wire import base64url, keys
from rrsd.core.wire.jose import (
    MOST_KEYS,
    join_jws,
    parse_jws,
    parse_key_set,
    public_jwk,
    render_key_set,
    signing_input,
    thumbprint,
)
from tests.core import signing
from tests.core.vectors import published

GOOD: dict[str, Any] = {**keys.describe(signing.ISSUER_KEY.public_key()), "kid": "k1"}
HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
CLAIMS = st.dictionaries(st.text(max_size=6), st.text(max_size=6) | st.integers() | st.booleans(), max_size=4)
TYP = st.from_regex(r"[a-z0-9+-]{1,12}", fullmatch=True)


def jws(header: object = HEADER, payload: bytes = b"{}", signature: bytes = bytes(64)) -> str:
    """A compact JWS with that header."""
    return signing.raw_jws(json.dumps(header).encode(), payload, signature)


def changed(**members: object) -> str:
    """A compact JWS whose header differs from a good one."""
    return jws(HEADER | members)


class JwsTests(SynchronousTestCase):
    """The shape of a token."""

    def refuse(self, *texts: str) -> None:
        """Expect each to be `Malformed`."""
        for text in texts:
            self.assertRaises(Malformed, parse_jws, text)

    @settings(derandomize=True, max_examples=100)
    @given(CLAIMS, TYP, st.none() | st.from_regex(r"[!-~]{1,9}", fullmatch=True), st.binary(min_size=64, max_size=64))
    def test_round_trip(self, claims: dict[str, object], typ: str, kid: str | None, signature: bytes) -> None:
        """What is joined parses into its parts."""
        signed = signing_input(Algorithm.ES256, typ, kid, claims)
        parsed = parse_jws(join_jws(signed, signature))
        self.assertEqual((parsed.claims, parsed.typ, parsed.kid), (claims, typ, kid))
        self.assertEqual((parsed.algorithm, parsed.signature, parsed.signing_input), ("ES256", signature, signed))
        self.assertEqual(parsed.text, join_jws(signed, signature))

    @settings(derandomize=True, max_examples=300)
    @given(st.text(max_size=40) | st.builds(signing.raw_jws, st.binary(max_size=20), st.binary(max_size=20)))
    def test_never_crashes(self, text: str) -> None:
        """Any text is a JWS or `Malformed`."""
        with contextlib.suppress(Malformed):
            self.assertEqual(parse_jws(text).text, text)

    @settings(derandomize=True, max_examples=300)
    @given(st.integers(0, 10**6), st.characters(max_codepoint=127))
    def test_never_crashes_on_one_change(self, at: int, character: str) -> None:
        """A good token with any character changed is a token or `Malformed`."""
        text = signing.token(Kind.ACCESS, signing.access())
        at %= len(text)
        with contextlib.suppress(Malformed):
            parse_jws(text[:at] + character + text[at + 1 :])

    def test_another_library_verifies_what_is_joined(self) -> None:
        """A token signed here is a token to jwcrypto."""
        token = jwcrypto_jws.JWS()
        token.deserialize(signing.token(Kind.ACCESS, signing.access()))
        token.verify(jwcrypto_jwk.JWK(**keys.describe(signing.ISSUER_KEY.public_key())))
        self.assertEqual(json.loads(token.payload), signing.access())

    def test_kinds_may_be_spelled_as_media_types(self) -> None:
        """`application/` before the typ is dropped, only once."""
        self.assertEqual(parse_jws(changed(typ="application/at+jwt")).typ, "at+jwt")
        self.assertEqual(parse_jws(changed(typ="application/application/at+jwt")).typ, "application/at+jwt")

    def test_j01_alg_none(self) -> None:
        """No signature is no token: alg none in any case, and an empty signature whatever alg says."""
        self.refuse(published.NONE_JWS, changed(alg="none"), changed(alg="None"), changed(alg="nOnE"))
        self.refuse(jws(signature=b""), jws(HEADER | {"alg": "none"}, signature=b""))

    def test_j02_symmetric_algorithms(self) -> None:
        """A token under HS256, whose secret could be a public key, is refused, as is any other algorithm."""
        for algorithm in ("HS256", "HS512", "ES384", "ES256K", "RS1", "es256", "", "dir", 1, None, ["ES256"]):
            self.refuse(changed(alg=algorithm))

    def test_j04_der_signature(self) -> None:
        """An ECDSA signature in DER is refused."""
        self.refuse(jws(signature=bytes.fromhex("3044" + "0220" + "11" * 32 + "0220" + "11" * 32)))

    def test_j05_signature_length(self) -> None:
        """A signature longer or shorter than its algorithm's is refused, zero-padded halves included."""
        self.refuse(jws(signature=bytes(63)), jws(signature=bytes(65)), jws(signature=bytes(66)))
        self.refuse(jws(HEADER | {"alg": "EdDSA"}, signature=bytes(63)))
        for algorithm in ("RS256", "PS256"):
            self.refuse(*(jws(HEADER | {"alg": algorithm}, signature=bytes(size)) for size in (128, 255, 1025)))
            self.assertEqual(len(parse_jws(jws(HEADER | {"alg": algorithm}, signature=bytes(256))).signature), 256)

    def test_j08_json_with_two_readings(self) -> None:
        """Duplicate members, NaN and other encodings are refused in the header and in the claims."""
        for data in (
            b'{"alg":"ES256","alg":"none","typ":"a"}',
            '{"alg":"ES256"}'.encode("utf-16"),
            b"\xef\xbb\xbf{}",
            b"[]",
            b"",
        ):
            self.refuse(signing.raw_jws(data, b"{}"))
        for data in (b'{"sub":1,"sub":2}', b'{"exp":NaN}', b'{"exp":1e400}', b'{"sub":"\\ud800"}', b"null", b""):
            self.refuse(jws(payload=data))

    def test_j11_keys_that_come_with_the_token(self) -> None:
        """A header that carries a key or says where one is, is refused; so are extensions."""
        for name in ("jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"):
            self.refuse(changed(**{name: "x"}))
            self.refuse(changed(**{name: None}))

    def test_j13_missing_typ(self) -> None:
        """A token without a typ, or with one that is no text, is refused."""
        self.refuse(jws(signing.without(HEADER, "typ")), changed(typ=""), changed(typ=1), changed(typ=None))
        self.refuse(published.ES256_JWS, published.CHAINING_JWS, published.STATEMENT_JWS, published.ED25519_JWS)

    def test_kid_forms(self) -> None:
        """A kid is visible ASCII of sane length, or absent."""
        self.assertIsNone(parse_jws(jws(signing.without(HEADER, "kid"))).kid)
        self.refuse(changed(kid=""), changed(kid="a b"), changed(kid="k\n"), changed(kid=5), changed(kid="k" * 257))

    def test_other_serializations(self) -> None:
        """JSON serialization, JWE, padding, white space and other alphabets are refused."""
        good = jws()
        head, payload, signature = good.split(".")
        self.refuse(json.dumps({"payload": payload, "protected": head, "signature": signature}))
        self.refuse(f"{good}.", f"{good}.AA.AA", good + "=", good + "\n", " " + good, f"{head}.{payload}", "", "..")
        self.refuse(f"{head}=.{payload}.{signature}", f"{head}.{payload[:-1]}+.{signature}", f"{head}..{signature}")

    def test_spare_bits(self) -> None:
        """A second spelling of the same bytes, which would pass a replay memory, is refused."""
        head, payload, _ = jws().split(".")
        self.refuse(f"{head}.{payload}.{base64url.encode(bytes(64))[:-1]}B")

    def test_size(self) -> None:
        """A token longer than allowed is refused unread."""
        good = jws()
        self.assertEqual(parse_jws(good, len(good)).text, good)
        self.assertRaises(TooLarge, parse_jws, good, len(good) - 1)


class KeySetTests(SynchronousTestCase):
    """Published keys."""

    def kids(self, *entries: object) -> list[str]:
        """The kids of those that are usable."""
        return [key.kid for key in parse_key_set({"keys": list(entries)}).keys]

    def test_round_trip(self) -> None:
        """What is rendered parses to the same keys, and says what they are for."""
        mixed = signing.key_set(
            signing.public(signing.ISSUER_KEY, "a"),
            signing.public(signing.ED_KEY, "b"),
            signing.public(signing.rsa_key(), "c"),
            signing.public(signing.rsa_key(), "d", Algorithm.PS256),
        )
        rendered = render_key_set(mixed)
        self.assertEqual(parse_key_set(rendered), mixed)
        self.assertEqual({entry["use"] for entry in rendered["keys"]}, {"sig"})

    def test_algorithms(self) -> None:
        """The key's type decides, its alg may narrow; RFC 9864's name for EdDSA is read."""
        edwards = keys.describe(signing.ED_KEY.public_key())
        rsa = keys.describe(signing.rsa_key().public_key())
        found = parse_key_set(
            {"keys": [edwards | {"kid": "a", "alg": "Ed25519"}, rsa | {"kid": "b"}, rsa | {"kid": "c", "alg": "PS256"}]}
        )
        self.assertEqual([key.algorithm for key in found.keys], [Algorithm.EDDSA, Algorithm.RS256, Algorithm.PS256])

    def test_published_sets(self) -> None:
        """Keys of the standards are usable."""
        self.assertEqual(self.kids(published.CHAINING_JWK, published.RSA_JWK), ["2813308004", "2011-04-29"])

    def test_key_without_kid(self) -> None:
        """A key without a kid goes by its thumbprint."""
        jwk = published.MTLS_JWK
        self.assertEqual(self.kids(jwk), [thumbprint(jwk).b64])

    def test_j09_two_keys_with_one_kid(self) -> None:
        """A kid that comes twice refuses the set, even where one of the two could not be used."""
        for second in (published.MTLS_JWK | {"kid": "k1"}, {"kty": "EC", "kid": "k1"}, GOOD | {"use": "enc"}):
            self.assertRaises(Malformed, self.kids, GOOD, second)
        self.assertRaises(Malformed, self.kids, published.MTLS_JWK, published.MTLS_JWK)

    def test_j02_symmetric_key_in_the_set(self) -> None:
        """A set that publishes a secret is refused as a whole."""
        self.assertRaises(Malformed, self.kids, GOOD, {"kty": "oct", "k": "AAAA", "kid": "s"})

    def test_j21_weak_keys_are_left_out(self) -> None:
        """Keys that are too weak, off the curve or of another type are not used."""
        weak = keys.describe(signing.rsa_key(1024).public_key())
        self.assertEqual(self.kids(weak, GOOD | {"kid": "x", "y": GOOD["x"]}, {"kid": "y"}, GOOD), ["k1"])
        self.assertEqual(self.kids(GOOD | {"crv": "P-384", "alg": "ES384"}), [])

    def test_j22_keys_for_other_uses(self) -> None:
        """use enc, key_ops without verify, another alg, or a private half leave a key out."""
        for change in (
            {"use": "enc"}, {"use": None}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"}, {"alg": "ES384"},
            {"alg": "EdDSA"},
            {"alg": ["ES256"]}, {"d": "AA"}, {"d": None}, {"kid": ""}, {"kid": 5}, {"kid": None}, {"kid": "a b"},
        ):  # fmt: skip
            self.assertEqual(self.kids(GOOD | change), [], change)
        self.assertEqual(self.kids(GOOD | {"key_ops": ["verify"], "use": "sig", "x5t": "x"}), ["k1"])

    def test_private_members_never_leave(self) -> None:
        """Only required members of a key are kept and published."""
        found = parse_key_set({"keys": [GOOD | {"x5c": ["AA"], "note": "x"}]})
        self.assertEqual(found.keys[0].jwk, signing.without(GOOD, "kid"))

    def test_documents_that_are_no_set(self) -> None:
        """A missing or endless list, or entries that are no objects, refuse the set."""
        documents: list[dict[str, Any]] = [
            {},
            {"keys": {}},
            {"keys": ["x"]},
            {"keys": [None]},
            {"keys": [GOOD] * (MOST_KEYS + 1)},
        ]
        for document in documents:
            self.assertRaises(Malformed, parse_key_set, document)
        self.assertEqual(parse_key_set({"keys": []}).keys, ())

    @settings(derandomize=True, max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "d"]),
            st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "AQAB", "sig", "ES256", published.MTLS_JWK["x"]])
            | st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2) | st.text(max_size=50),
        )
    )  # fmt: skip
    def test_never_crashes(self, entry: dict[str, Any]) -> None:
        """Any entry is a key or left out."""
        with contextlib.suppress(Malformed):
            self.assertLessEqual(len(self.kids(entry)), 1)


class ThumbprintTests(SynchronousTestCase):
    """RFC 7638."""

    def test_published_thumbprints(self) -> None:
        """RSA and Ed25519 keys have the thumbprints that the standards print."""
        self.assertEqual(thumbprint(published.RSA_JWK).b64, published.RSA_THUMBPRINT)
        edwards = {"kty": "OKP", "crv": "Ed25519", "x": published.ED25519_X, "kid": "ignored"}
        self.assertEqual(thumbprint(edwards).b64, published.ED25519_THUMBPRINT)

    def test_what_has_none(self) -> None:
        """A key with a missing member, or of another type, has no thumbprint."""
        for jwk in (
            {},
            {"kty": "oct", "k": "AA"},
            {"kty": ["EC"]},
            {"kty": "EC", "crv": "P-256", "x": "AA"},
            {"kty": "RSA", "e": 1},
        ):
            self.assertRaises(Malformed, thumbprint, jwk)

    def test_jwk_of_pem(self) -> None:
        """A PEM key becomes the JWK with the same members."""
        self.assertEqual(public_jwk(signing.CERTIFICATE.key_pem), keys.describe(signing.CLIENT_KEY.public_key()))
        self.assertRaises(Malformed, public_jwk, b"nonsense")
