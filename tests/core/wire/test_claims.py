"""Registered claims, read strictly."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.instants import instant
from rrsd.core.wire import claims
from tests.core.vectors import published

X5T = published.MTLS_X5T


class ClaimTests(SynchronousTestCase):
    """One claim at a time."""

    def test_text(self) -> None:
        """A text claim is one string that is not empty."""
        self.assertEqual(claims.text({"aud": "x"}, "aud"), "x")
        values: list[Any] = ["", [], ["x"], 5, None, {}]
        for value in values:
            self.assertRaises(Malformed, claims.text, {"aud": value}, "aud")
        self.assertRaises(Malformed, claims.text, {}, "aud")

    def test_times(self) -> None:
        """nbf is iat where it is absent."""
        whole = claims.times({"iat": 5, "nbf": 6, "exp": 7})
        self.assertEqual(whole, claims.Times(instant(5), instant(6), instant(7)))
        self.assertEqual(claims.times({"iat": 5, "exp": 7}).not_before, instant(5))

    def test_j16_times_that_are_none(self) -> None:
        """exp missing, text, huge, negative, boolean, fractional, or not after iat and nbf is refused."""
        for value in ("123", 1.5e308, 10**30, -1, True, 7.0, None, [7], 5, 4, 0):
            self.assertRaises(Malformed, claims.times, {"iat": 5, "nbf": 5, "exp": value})
        for changed in (
            {"exp": 7},
            {"iat": 5},
            {"iat": "5", "exp": 7},
            {"iat": 5, "nbf": "5", "exp": 7},
            {"iat": 5, "nbf": 7, "exp": 7},
        ):
            self.assertRaises(Malformed, claims.times, changed)

    def test_j19_jti_forms(self) -> None:
        """jti missing, empty, endless or with white space is refused."""
        self.assertEqual(claims.jti({"jti": "a-1"}), "a-1")
        for value in (None, "", "a" * 10240, "a b", "a\n", "ü", 5):
            self.assertRaises(Malformed, claims.jti, {"jti": value})

    def test_s10_confirmations(self) -> None:
        """x5t#S256 padded, not canonical, in hexadecimal, under SHA-1, or beside jkt is refused."""
        self.assertEqual(claims.confirmation({"cnf": {"x5t#S256": X5T, "new": 1}}).b64, X5T)
        cases: tuple[Any, ...] = (
            {"x5t#S256": X5T + "="}, {"x5t#S256": published.MTLS_NOT_CANONICAL}, {"x5t#S256": published.MTLS_SPKI},
            {"x5t": X5T[:27]},
            {"x5t#S256": X5T, "jkt": X5T}, {"x5t#S256": X5T, "jwk": {}}, {"x5t#S256": [X5T]}, {}, "x", None, [X5T],
        )  # fmt: skip
        for cnf in cases:
            self.assertRaises(Malformed, claims.confirmation, {"cnf": cnf})
        self.assertRaises(Malformed, claims.confirmation, {})
