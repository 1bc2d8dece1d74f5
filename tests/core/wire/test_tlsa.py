"""TLSA records: which can be used, and what they are about."""

import base64
import hashlib
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import Digest
from rrsd.core.values.records import Tlsa
from rrsd.core.wire import tlsa
from rrsd.core.wire.x509 import MOST, public_key_of
from tests.core import signing
from tests.core.vectors import published

MTLS_DER = base64.b64decode("".join(published.MTLS_PEM.splitlines()[1:-1]))
DER = signing.der_certificate()


def record(usage: int, selector: int, matching: int, der: bytes = DER) -> Tlsa:
    """The record of that form about the certificate."""
    selected = der if selector == 0 else public_key_of(der)
    return Tlsa(
        usage,
        selector,
        matching,
        (selected, hashlib.sha256(selected).digest(), hashlib.sha512(selected).digest())[matching],
    )


class UsableTests(SynchronousTestCase):
    """What can be matched here (RFC 7671 4.1)."""

    def test_usable(self) -> None:
        """Usages 2 and 3, both selectors, all three ways of matching."""
        for numbers in product((2, 3), (0, 1), (0, 1, 2)):
            self.assertEqual(tlsa.usable([record(*numbers)]), (record(*numbers),))

    def test_o09_unusable(self) -> None:
        """Usages 0 and 1, numbers that nobody assigned, and data of another length than the digest's."""
        digest = record(3, 1, 1).data
        for odd in (
            Tlsa(0, 1, 1, digest), Tlsa(1, 1, 1, digest), Tlsa(4, 1, 1, digest), Tlsa(255, 1, 1, digest),
            Tlsa(3, 2, 1, digest), Tlsa(3, 255, 1, digest), Tlsa(3, 1, 3, digest), Tlsa(3, 1, 255, digest),
            Tlsa(3, 1, 1, digest[:-1]), Tlsa(3, 1, 1, digest + b"\0"), Tlsa(3, 1, 1, b""), Tlsa(3, 1, 2, digest),
            Tlsa(3, 0, 0, b""), Tlsa(3, 0, 0, bytes(MOST + 1)),
        ):  # fmt: skip
            self.assertEqual(tlsa.usable([odd]), (), odd)

    def test_rfc6698_example(self) -> None:
        """The record of RFC 6698 2.3 is of usage 0, which is of no use for clients."""
        data = bytes.fromhex("d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971")
        example = Tlsa(0, 0, 1, data)
        self.assertEqual(tlsa.render_tlsa(example), f"0 0 1 {data.hex()}")
        self.assertEqual(tlsa.usable([example]), ())

    def test_digest_agility(self) -> None:
        """Of two digests for one usage and selector the stronger counts, whole data beside it (RFC 7671 9)."""
        weak, strong, whole = record(3, 1, 1), record(3, 1, 2), record(3, 1, 0)
        other = record(3, 0, 1)
        self.assertEqual(tlsa.usable([weak, strong, whole, other]), (strong, whole, other))
        self.assertEqual(tlsa.usable([weak, whole]), (weak, whole))
        self.assertEqual(tlsa.usable([weak, Tlsa(3, 1, 2, b"cut")]), (weak,))


class MatchTests(SynchronousTestCase):
    """What a record is about."""

    def test_rfc8705_appendix_a(self) -> None:
        """The published certificate by its computed hashes: 3 1 1 and 3 0 1."""
        self.assertTrue(tlsa.matches(Tlsa(3, 1, 1, bytes.fromhex(published.MTLS_SPKI)), MTLS_DER))
        whole = bytes.fromhex("0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd")
        self.assertTrue(tlsa.matches(Tlsa(3, 0, 1, whole), MTLS_DER))
        self.assertFalse(tlsa.matches(Tlsa(3, 1, 1, whole), MTLS_DER))
        self.assertEqual(
            tlsa.render_tlsa(tlsa.of_key(Digest(bytes.fromhex(published.MTLS_SPKI)))), f"3 1 1 {published.MTLS_SPKI}"
        )

    def test_o09_another_certificate(self) -> None:
        """The key alone is the same in a certificate issued again; the whole is not."""
        again, other = signing.der_certificate(serial=8), signing.der_certificate(signing.OTHER_KEY)
        for numbers in product((3,), (0, 1), (0, 1, 2)):
            self.assertTrue(tlsa.matches(record(*numbers), DER))
            self.assertEqual(tlsa.matches(record(*numbers), again), numbers[1] == 1, numbers)
            self.assertFalse(tlsa.matches(record(*numbers), other))

    def test_no_certificate(self) -> None:
        """What is no certificate matches no key, and never the whole of another."""
        for numbers in product((3,), (0, 1), (0, 1, 2)):
            self.assertFalse(tlsa.matches(record(*numbers), b"no certificate"))

    @settings(derandomize=True, max_examples=200)
    @given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=70))
    def test_never_crashes(self, usage: int, selector: int, matching: int, data: bytes) -> None:
        """Random records are unusable, or about something else."""
        for each in tlsa.usable([Tlsa(usage, selector, matching, data)]):
            self.assertFalse(tlsa.matches(each, DER))
