"""Messages in DATA over any division into blocks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.wire import smtp_data
from rrsd.core.wire.smtp_data import CRLF, END, Stuffing, Unstuffing, has_even_lines

LINES = st.lists(
    st.one_of(st.sampled_from([b"", b".", b"..", b".a", b"a", b". ", b"..."]), st.binary(max_size=8)), max_size=8
).map(lambda lines: [line.replace(b"\r", b"").replace(b"\n", b"") for line in lines])
EVEN = st.tuples(st.integers(0, 6), st.integers(0, 9), st.binary(max_size=3)).map(
    lambda each: (b"a" * each[0] + CRLF) * each[1] + each[2]
)
"""Lines of one length, as base64 has them, and something behind them."""
HOSTILE = st.sampled_from([b"\r", b"\n", b"\r\n", b"\n\r", b".", b"\r\n.\r\n", b"a", b""])
CUTS = st.lists(st.integers(0, 80), max_size=12).map(sorted)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in blocks."""
    edges = [0, *(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def stuffed(blocks: list[bytes]) -> bytes:
    """What goes over the wire."""
    stuffing = Stuffing()
    return b"".join([stuffing.put(block) for block in blocks] + [stuffing.end()])


def taken(blocks: list[bytes]) -> tuple[bytes, bytes]:
    """The message, and what is behind it; AssertionError when it does not end."""
    unstuffing, message = Unstuffing(), b""
    for number, block in enumerate(blocks):
        found = unstuffing.take(block)
        message += found.message
        if found.is_end:
            return message, found.rest + b"".join(blocks[number + 1 :])
    raise AssertionError("no end")


class Data(SynchronousTestCase):
    """What goes in comes out."""

    @given(LINES, CUTS, CUTS)
    def test_round_trip(self, lines: list[bytes], out: list[int], back: list[int]) -> None:
        """A message of whole lines, whatever its dots and whatever its blocks."""
        message = b"".join(line + CRLF for line in lines)
        wire = stuffed(cut(message, out))
        self.assertEqual(taken(cut(wire + b"QUIT\r\n", back)), (message, b"QUIT\r\n"))

    @given(LINES, st.binary(min_size=1, max_size=6), CUTS)
    def test_last_line_without_end(self, lines: list[bytes], last: bytes, out: list[int]) -> None:
        """The last line gets its end, and its dot is doubled like every other."""
        last = last.replace(b"\r", b"").replace(b"\n", b"") or b"."
        message = b"".join(line + CRLF for line in lines) + last
        self.assertEqual(taken([stuffed(cut(message, out))])[0], message + CRLF)

    def test_twisted_dot_at_a_block_boundary(self) -> None:
        """A dot that begins a block after a line end is doubled: else the rest of the message would be commands."""
        for size in (4096, 16384, 65536):
            first = b"x" * (size - 2) + CRLF
            attack = b".\r\nMAIL FROM:<evil@foo.test>\r\n"
            wire = stuffed([first, attack])
            self.assertEqual(wire.count(END), 1)
            self.assertEqual(taken(cut(wire, [size]))[0], first + attack)

    def test_empty(self) -> None:
        """A message of nothing."""
        self.assertEqual(stuffed([]), b".\r\n")
        self.assertEqual(taken([b".\r\n"]), (b"", b""))
        self.assertEqual(taken([b".", b"\r", b"\n"]), (b"", b""))

    def test_bare_line_ends(self) -> None:
        """The end of a message smuggled past us, in every spelling; refused on the way in and on the way out."""
        for bare in (
            b"\n",
            b"\r",
            b"a\n.\r\nMAIL",
            b"a\r\n.\n",
            b"a\n.\n",
            b"a\r.\r\n",
            b"\r\r\n",
            b"\n\r\n",
            b"a\r\n\n",
        ):
            for places in ([], [1], [2], [1, 2, 3]):
                with self.assertRaises(Malformed, msg=bare):
                    taken(cut(bare + END, places))
                with self.assertRaises(Malformed, msg=bare):
                    stuffed(cut(bare, places))

    @given(st.binary(max_size=60), CUTS)
    def test_blocks_do_not_matter(self, data: bytes, places: list[int]) -> None:
        """Any bytes are taken or refused alike, whole or in blocks."""

        def outcome(blocks: list[bytes]) -> object:
            try:
                return taken(blocks)
            except Malformed:
                return "refused"

        self.assertEqual(outcome([data + END]), outcome(cut(data + END, places)))


class EvenLines(SynchronousTestCase):
    """Lines of one length are looked at faster, and with the same eyes."""

    @given(EVEN, st.integers(0, 60), HOSTILE, CUTS)
    def test_fast_as_slow(self, even: bytes, at: int, hostile: bytes, places: list[int]) -> None:
        """Whatever stands at whatever place in them, and whatever the blocks: taken or refused alike, both ways."""
        message = even[:at] + hostile + even[at + 1 :]
        fast = _both(message, places)
        slow = smtp_data.has_even_lines
        smtp_data.has_even_lines = lambda text: False
        try:
            self.assertEqual(_both(message, places), fast)
        finally:
            smtp_data.has_even_lines = slow

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"aa"]), max_size=24).map(b"".join))
    def test_never_a_false_yes(self, text: bytes) -> None:
        """A yes means that every CR has its LF and every LF its CR."""
        if has_even_lines(text):
            self.assertFalse(set(text.replace(CRLF, b"")) & set(CRLF))

    def test_bare_at_every_place(self) -> None:
        """One byte of one line of base64 is a CR or a LF."""
        text = (b"A" * 76 + CRLF) * 3
        self.assertTrue(has_even_lines(text))
        for at in range(len(text)):
            for bare in (b"\r", b"\n"):
                changed = text[:at] + bare + text[at + 1 :]
                self.assertEqual(has_even_lines(changed), changed == text, at)

    def test_uneven(self) -> None:
        """Nothing is said of text with one line end, or with lines of several lengths."""
        for text in (b"", b"a", b"a\r\n", b"a\r\nbb\r\nc\r\n", b"a\r\na\r\na\r"):
            self.assertFalse(has_even_lines(text))


def _both(message: bytes, places: list[int]) -> list[object]:
    """What becomes of it on its way in and on its way out."""
    found: list[object] = []
    for run in (lambda: taken(cut(message + END, places)), lambda: stuffed(cut(message, places))):
        try:
            found.append(run())
        except Malformed:
            found.append("refused")
    return found
