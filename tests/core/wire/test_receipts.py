"""Receipts, written and read."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import digest_of
from rrsd.core.values.resources import Receipt
from rrsd.core.wire.receipts import parse_receipt, receipt_claims
from tests.core.signing import BOB, CLIENT, NOW, ORIGIN

GOOD = Receipt(CLIENT, BOB, digest_of(b"x"), 1, NOW - timedelta(days=1), "<1@foo.test>", "r1")


class ReceiptTests(SynchronousTestCase):
    """A requester's word."""

    @settings(derandomize=True, max_examples=50)
    @given(st.binary(max_size=3), st.integers(0, 2**63 - 1), st.text(min_size=1, max_size=9))
    def test_round_trip(self, data: bytes, size: int, message_id: str) -> None:
        """What is rendered parses to the same receipt."""
        receipt = Receipt(CLIENT, BOB, digest_of(data), size, NOW, message_id, "r1")
        self.assertEqual(parse_receipt(receipt_claims(receipt, ORIGIN, NOW)), receipt)

    def test_told_again(self) -> None:
        """However often a receipt is told, its jti stays and its times are those of the telling."""
        first, again = (receipt_claims(GOOD, ORIGIN, NOW + timedelta(hours=hours)) for hours in (0, 1))
        self.assertEqual(first["jti"], again["jti"])
        self.assertEqual((again["iat"] - first["iat"], again["exp"] - again["iat"]), (3600, 300))

    def test_claims_that_are_none(self) -> None:
        """A missing claim, or one of another form, is refused."""
        good = receipt_claims(GOOD, ORIGIN, NOW)
        changes: list[dict[str, Any]] = [
            {"size": -1},
            {"size": "1"},
            {"size": True},
            {"stored_at": 1.5},
            {"resource": "x"},
        ]
        changes += [{name: None} for name in ("iss", "sub", "resource", "size", "stored_at", "message_id", "jti")]
        for change in changes:
            self.assertRaises(Malformed, parse_receipt, good | change)
