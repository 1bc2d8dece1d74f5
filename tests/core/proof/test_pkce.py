"""Proof key for code exchange."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.pkce import challenge_of, require_verifier
from rrsd.core.refusals import Malformed, NotGranted
from tests.core.vectors import published


class PkceTests(SynchronousTestCase):
    """RFC 7636, S256."""

    def test_appendix_b(self) -> None:
        """The published verifier makes the published challenge."""
        self.assertEqual(challenge_of(published.PKCE_VERIFIER), published.PKCE_CHALLENGE)
        require_verifier(published.PKCE_CHALLENGE, published.PKCE_VERIFIER)

    def test_another_verifier(self) -> None:
        """Another verifier is refused, and the challenge as its own verifier (plain) is."""
        for verifier in ("a" * 43, published.PKCE_CHALLENGE):
            self.assertRaises(NotGranted, require_verifier, published.PKCE_CHALLENGE, verifier)
        for challenge in ("", published.PKCE_CHALLENGE + "=", "ü\ud800"):
            self.assertRaises(NotGranted, require_verifier, challenge, published.PKCE_VERIFIER)

    def test_verifiers_that_are_none(self) -> None:
        """A verifier is 43 to 128 unreserved characters."""
        for verifier in ("", "a" * 42, "a" * 129, "a" * 42 + "+", "a" * 43 + "\n", "ü" * 43):
            self.assertRaises(Malformed, challenge_of, verifier)
            self.assertRaises(Malformed, require_verifier, published.PKCE_CHALLENGE, verifier)

    @settings(derandomize=True, max_examples=50)
    @given(st.from_regex(r"[A-Za-z0-9._~-]{43,128}", fullmatch=True))
    def test_round_trip(self, verifier: str) -> None:
        """Every verifier fits its own challenge."""
        require_verifier(challenge_of(verifier), verifier)
