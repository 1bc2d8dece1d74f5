"""Values of every type that a settings class may declare."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.convert import NotOne, convert, render_value, right_for
from rrsd.core.values.addresses import ClientIdentifier, parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.peers import Origin, parse_issuer, parse_origin, parse_url
from rrsd.core.values.settings import NamedSize, Size


class Colour(StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


GOOD: tuple[tuple[Any, str, Any], ...] = (
    (str, "a b", "a b"),
    (int, "0", 0),
    (int, "4711", 4711),
    (bool, "yes", True),
    (bool, "Off", False),
    (timedelta, "15s", timedelta(seconds=15)),
    (timedelta, "500 ms", timedelta(milliseconds=500)),
    (timedelta, "7d", timedelta(days=7)),
    (Size, "8MiB", Size(8 << 20)),
    (Size, "4096", Size(4096)),
    (Size, "1 TiB", Size(1 << 40)),
    (NamedSize, "bar.test=5MiB", NamedSize(parse_domain("bar.test"), Size(5 << 20))),
    (tuple[NamedSize, ...], "a@b.test=1", (NamedSize(parse_address("a@b.test"), Size(1)),)),
    (Colour, "red", Colour.RED),
    (int | None, "", None),
    (int | None, "3", 3),
    (Origin, "https://rs.foo.test:8443", parse_origin("https://rs.foo.test:8443")),
    (ClientIdentifier, "_rra.bar.test", parse_client_identifier("_rra.bar.test")),
    (tuple[int, ...], "", ()),
    (tuple[int, ...], "1, 2\n3", (1, 2, 3)),
    (tuple[str, ...], "a b\nc", ("a b", "c")),
    (frozenset[Colour], "red blue", frozenset(Colour)),
)

BAD: tuple[tuple[Any, str], ...] = (
    (str, ""),
    (str, "a\nb"),
    (str, "a\x00"),
    (int, ""),
    (int, "-1"),
    (int, "1.5"),
    (int, "\u0661"),
    (int, "9" * 19),
    (bool, "maybe"),
    (timedelta, "15"),
    (timedelta, "-1s"),
    (timedelta, "15 weeks"),
    (timedelta, "999999999d9"),
    (Size, "8MB"),
    (NamedSize, "bar.test"),
    (NamedSize, "bar.test=x"),
    (NamedSize, "bar=1"),
    (NamedSize, "@bar.test=1"),
    (Size, "MiB"),
    (Colour, "green"),
    (Colour, ""),
    (Origin, "http://rs.foo.test"),
    (Origin, "https://rs.foo.test/"),
    (tuple[int, ...], "1 x"),
)


class Reading(SynchronousTestCase):
    """From text to values."""

    def test_good(self) -> None:
        """Each type reads what it should."""
        for kind, text, value in GOOD:
            with self.subTest(kind=kind, text=text):
                self.assertEqual(convert(kind, text), value)

    def test_bad(self) -> None:
        """Anything else is refused, with what would be right."""
        for kind, text in BAD:
            with self.subTest(kind=kind, text=text):
                self.assertTrue(str(self.assertRaises(NotOne, convert, kind, text)))

    def test_duration_beyond_what_can_be_counted(self) -> None:
        """A duration that no clock holds is refused like any other nonsense."""
        self.assertEqual(convert(timedelta, "999999999d"), timedelta(days=999999999))
        self.assertRaises(NotOne, convert, timedelta, "9999999999d")

    def test_names(self) -> None:
        """The nouns of the protocol are read by their own grammar."""
        for parse, text in (
            (parse_domain, "foo.test"),
            (parse_address, "alice@foo.test"),
            (parse_issuer, "https://id.foo.test"),
            (parse_url, "https://id.foo.test/x"),
        ):
            value: Any = parse(text)
            self.assertEqual(convert(type(value), text), value)
            self.assertRaises(NotOne, convert, type(value), "?")

    def test_what_would_be_right(self) -> None:
        """The advice names choices, lists and the empty value."""
        self.assertEqual(right_for(Colour | None), "one of red, blue, or nothing")
        self.assertEqual(right_for(tuple[int, ...]), "a whole number, one per line")


class Rendering(SynchronousTestCase):
    """From values to text."""

    def test_round_trip(self) -> None:
        """What is rendered reads as the same value."""
        for kind, _, value in GOOD:
            with self.subTest(kind=kind, value=value):
                self.assertEqual(convert(kind, render_value(kind, value)), value)

    @settings(derandomize=True, deadline=None)
    @given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=99999)))
    def test_durations(self, value: timedelta) -> None:
        """Every duration of whole milliseconds survives."""
        whole = value - timedelta(microseconds=value.microseconds % 1000)
        if whole < timedelta(milliseconds=999_999_999) or whole.microseconds == 0:
            self.assertEqual(convert(timedelta, render_value(timedelta, whole)), whole)

    @settings(derandomize=True, deadline=None)
    @given(st.integers(min_value=0, max_value=10**17))
    def test_sizes(self, value: int) -> None:
        """Every size survives."""
        self.assertEqual(convert(Size, render_value(Size, Size(value))), value)
