"""Authentication-Results (RFC 8601 2.2, 5)."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.wire.mime_fields import parse_fields
from rrsd.core.wire.results import in_the_name_of, render_results


class Results(SynchronousTestCase):
    """What is written, and what is found."""

    def test_written(self) -> None:
        """Two lines, which are read back as ours."""
        field = render_results("bar.test", "foo.test", "s1")
        expected = b"Authentication-Results: bar.test;\r\n dkim=pass header.d=foo.test header.s=s1\r\n"
        self.assertEqual(field, expected)
        self.assertEqual(len(in_the_name_of("Bar.test", parse_fields(field, 0, len(field))[0])), 1)
        self.assertRaises(Malformed, render_results, "bar.test", "foo.test\r\nX: y", "s1")

    def test_in_our_name(self) -> None:
        """In any form, and what has no name that can be read; never what another one wrote."""
        for text, ours in (
            ("bar.test; none", True), ("BAR.TEST 1; x", True), ('"bar.test"; x', True), ("(a;b) bar.test; x", True),
            ("bar.test", True), ("", True), ("; x", True), ("(", True), ("mx.bar.test; x", False),
            ("x; bar.test", False), ("(bar.test) x; y", False),
        ):  # fmt: skip
            field = f"authentication-results: {text}\r\n".encode()
            self.assertEqual(bool(in_the_name_of("bar.test", parse_fields(field, 0, len(field))[0])), ours, text)
