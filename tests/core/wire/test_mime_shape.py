"""How a part was written survives the placeholder."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.messages import Shape
from rrsd.core.wire.mime import attachment_head
from rrsd.core.wire.mime_fields import parse_media
from rrsd.core.wire.mime_render import kept_headers
from rrsd.core.wire.mime_shape import MOST_EMPTY, parse_shape, render_shape, shape_of
from tests.core.wire.mime_cases import FILM

OTHERS = (b"Content-Type: a/b;\r\n name=c\r\n", b"Content-ID: <1@foo.test>\r\n", b"X: y\r\n")
SPELT = (
    "Content-Transfer-Encoding: base64",
    "content-transfer-encoding:BASE64",
    "Content-Transfer-Encoding :  Base64 ",
)


class Shapes(SynchronousTestCase):
    """`shape_of`, `render_shape`, `parse_shape`, `attachment_head`."""

    @given(
        st.integers(0, 3), st.sampled_from(SPELT), st.integers(1, 249).map(lambda n: n * 4), st.integers(0, MOST_EMPTY)
    )
    @settings(derandomize=True, max_examples=200, deadline=None)
    def test_round(self, at: int, spelt: str, line: int, empty: int) -> None:
        """Every place, spelling, length of lines and end."""
        header = b"".join([*OTHERS[:at], spelt.encode() + b"\r\n", *OTHERS[at:]]) + b"\r\n"
        shape = shape_of(header, line, b"\r\n" * empty)
        media = parse_media(f"message/external-body; size=4; {render_shape(shape)}")
        assert media is not None
        self.assertEqual(parse_shape(media.parameters), shape)
        self.assertEqual(attachment_head(evolve(FILM, headers=kept_headers(header), shape=shape)), header)

    def test_as_usual(self) -> None:
        """Nothing is said, so that placeholders are what they were."""
        shape = shape_of(OTHERS[1] + b"Content-Transfer-Encoding: base64\r\n\r\n", 76, b"")
        self.assertEqual((shape, render_shape(shape), parse_shape({})), (Shape(), "", Shape()))

    def test_spelling_that_cannot_be_said(self) -> None:
        """A folded field, one with tabs, and a very long one are spelt as usual, in their place."""
        for spelt in (b":\r\n base64", b":\tbase64", b":" + b" " * 200 + b"base64"):
            header = b"Content-Transfer-Encoding" + spelt + b"\r\n" + OTHERS[1] + b"\r\n"
            self.assertEqual(shape_of(header, 76, b""), Shape(before=0))

    def test_out_of_bounds(self) -> None:
        """What a stranger says and no part of ours has counts as not said."""
        for name, values in (
            ("line", ("0", "3", "78", "1000", "-4", "x", "\u0667\u0666", "99999")),
            ("empty", ("1001", "-1", "", "1e3")),
            ("before", ("1000", "-1", "x")),
            ("encoding", ("base64", "Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: base64\r\nX: y",
                          "Subject: base64", "Content-Transfer-Encoding: base64" + " " * 200)),
        ):  # fmt: skip
            for value in values:
                self.assertEqual(parse_shape({f"rrs-{name}": value}), Shape(), value)

    def test_place_that_is_not_there(self) -> None:
        """Behind all fields then."""
        headers = OTHERS[1]
        for before in (1, 7, None):
            head = attachment_head(evolve(FILM, headers=headers, shape=Shape(before=before)))
            self.assertEqual(head, headers + b"Content-Transfer-Encoding: base64\r\n\r\n")
