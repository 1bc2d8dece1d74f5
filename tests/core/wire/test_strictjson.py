"""JSON with one meaning only."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.wire.strictjson import MOST_DEPTH, parse_array, parse_object, render

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


class StrictJsonTests(SynchronousTestCase):
    """Objects and arrays that come in."""

    @settings(derandomize=True, max_examples=100)
    @given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.lists(VALUES, max_size=4))
    def test_round_trip(self, members: dict[str, object], items: list[object]) -> None:
        """What is rendered reads as itself."""
        self.assertEqual(parse_object(render(members)), members)
        self.assertEqual(parse_array(render(items)), items)

    def test_render_is_compact_ascii(self) -> None:
        """Members keep their order, nothing is added between them, other letters are escaped."""
        self.assertEqual(render({"b": "ü", "a": [1, None]}), b'{"b":"\\u00fc","a":[1,null]}')
        self.assertRaises(ValueError, render, {"a": float("nan")})

    def test_j08_duplicate_members(self) -> None:
        """A member that comes twice is refused at any depth, escaped spellings included."""
        for data in (b'{"alg":"ES256","alg":"none"}', b'{"a":{"iss":1,"iss":1}}', b'{"sub":1,"\\u0073ub":2}'):
            self.assertRaises(Malformed, parse_object, data)

    def test_j08_numbers_that_are_none(self) -> None:
        """NaN, infinities and numbers beyond a double are refused, huge integers too."""
        for text in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000):
            self.assertRaises(Malformed, parse_object, b'{"exp":' + text + b"}")

    def test_j08_other_encodings(self) -> None:
        """UTF-16, a byte order mark, invalid UTF-8 and lone surrogates in any form are refused."""
        for data in (
            '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}',
            b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"\\uDFFF":1}', b'{"a":["\\udc00\\ud800"]}',
            b'{"a":"\xc0\x80"}',
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_object, data)
        self.assertEqual(parse_object(b'{"a":"\\ud83d\\ude00"}'), {"a": "\U0001f600"})

    def test_f09_what_is_no_object(self) -> None:
        """Other values and things that are not JSON are refused."""
        for data in (
            b"",
            b"[]",
            b"1",
            b'"a"',
            b"null",
            b"{'a':1}",
            b'{"a":1}x',
            b'{"a":1,}',
            b'{"a":01}',
            b'{"a":"\n"}',
            b"<p>",
        ):
            self.assertRaises(Malformed, parse_object, data)
        self.assertRaises(Malformed, parse_array, b"{}")

    def test_depth(self) -> None:
        """Nesting is refused beyond the limit, however deep it goes; breadth is fine."""
        at_limit = b'{"a":' * (MOST_DEPTH - 1) + b"{}" + b"}" * (MOST_DEPTH - 1)
        self.assertIn("a", parse_object(at_limit))
        self.assertRaises(Malformed, parse_object, b'{"a":' + at_limit + b"}")
        self.assertRaises(Malformed, parse_object, b'{"a":' + b"[" * MOST_DEPTH + b"]" * MOST_DEPTH + b"}")
        self.assertRaises(Malformed, parse_object, b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}")
        self.assertEqual(parse_object(render({"a": [[] for _ in range(99)]})), {"a": [[]] * 99})

    def test_f09_size(self) -> None:
        """More bytes than allowed are refused before they are read."""
        self.assertEqual(parse_object(b'{"a":1}', 7), {"a": 1})
        self.assertRaises(TooLarge, parse_object, b'{"a":1} ', 7)
        self.assertRaises(TooLarge, parse_array, b"[" * 65537)

    @settings(derandomize=True, max_examples=200)
    @given(st.binary(max_size=40) | st.text('{}[]":,\\ud01eE+-.NaInfity', max_size=40).map(str.encode))
    def test_never_crashes(self, data: bytes) -> None:
        """Any bytes are an object, an array, or refused."""
        with contextlib.suppress(Malformed):
            self.assertIsInstance(parse_object(data), dict)
        with contextlib.suppress(Malformed):
            self.assertIsInstance(parse_array(data), list)
