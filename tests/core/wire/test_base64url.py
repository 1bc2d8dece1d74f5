"""base64url in its one canonical form."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.wire import base64url
from tests.core.vectors import published


class Base64UrlTests(SynchronousTestCase):
    """Encoding and strict decoding."""

    @settings(derandomize=True, max_examples=100)
    @given(st.binary(max_size=64))
    def test_round_trip(self, data: bytes) -> None:
        """What is encoded decodes to itself."""
        self.assertEqual(base64url.decode(base64url.encode(data)), data)

    @settings(derandomize=True, max_examples=200)
    @given(st.text("AQgwxyz09-_+/=\n\u0661", max_size=9))
    def test_one_spelling(self, text: str) -> None:
        """Any text either is the one spelling of its bytes or is refused."""
        try:
            self.assertEqual(base64url.encode(base64url.decode(text)), text)
        except Malformed:
            return

    def test_other_spellings(self) -> None:
        """Padding, the other alphabet, white space, an impossible length and spare bits are refused."""
        for text in ("AA==", "+w", "/w", "A A", "AA\n", "A", "AAAAA", "AB", published.MTLS_NOT_CANONICAL):
            self.assertRaises(Malformed, base64url.decode, text)
