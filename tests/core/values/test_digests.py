"""Content digests and their spellings."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, digest_of, parse_digest, parse_hex_digest, parse_ni
from tests.core.vectors import published


class DigestTests(SynchronousTestCase):
    """SHA-256 values."""

    def test_of_bytes(self) -> None:
        """It is the SHA-256 of the bytes."""
        self.assertEqual(digest_of(b"abc").raw, hashlib.sha256(b"abc").digest())

    @settings(derandomize=True, max_examples=100)
    @given(st.binary(min_size=32, max_size=32))
    def test_round_trips(self, raw: bytes) -> None:
        """Each spelling reads as the digest that it was made of."""
        digest = Digest(raw)
        self.assertEqual(parse_digest(str(digest)), digest)
        self.assertEqual(parse_hex_digest(digest.hex), digest)
        self.assertEqual(parse_ni(digest.ni), digest)

    def test_s10_spellings_that_are_not_canonical(self) -> None:
        """Padding, spare bits, hexadecimal, SHA-1 length and other alphabets are refused."""
        good = published.MTLS_X5T
        for text in (
            published.MTLS_NOT_CANONICAL, good + "=", good[:-1], published.MTLS_SPKI, good[:27], good[:-1] + "/",
            " " + good, good + "\n",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_digest, text)
        for text in (published.MTLS_SPKI.upper(), published.MTLS_SPKI[1:], good):
            self.assertRaises(Malformed, parse_hex_digest, text)

    def test_ni_names_of_other_kinds(self) -> None:
        """Another hash, an authority or a query in an ni name is refused."""
        good = digest_of(b"").ni
        for text in (
            good.replace("sha-256", "sha-256-128"),
            good.replace("///", "//foo.test/"),
            good + "?ct=x",
            "ni:",
            "",
        ):
            self.assertRaises(Malformed, parse_ni, text)
