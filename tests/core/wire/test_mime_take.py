"""Attachments taken out of messages and put back: nothing is lost, whatever the message and whatever its blocks."""

import base64
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.wire import mime_take
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.core.wire.mime_split import MOST_DELIMITER, MOST_HEADER, Content, Splitter, Token
from rrsd.core.wire.mime_take import Begin, Close, End, GiveBack, Keep, Some, Step, Taker

HEAD = b'From: alice@foo.test\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
FILE = (
    b'Content-Type: video/mp4\r\nContent-Disposition: attachment; filename="a.mp4"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)
DATA = bytes(range(256)) * 40
SPOILT = (b"=", b"==", b"\r\n", b"!", b"A", b" ", b"-", b"", b"\r", b"\n", b"AAAA", b"\r\n\r\n")


def encoded(data: bytes, line: int = 76) -> bytes:
    """Base64 in lines."""
    lines = Base64Lines(line)
    return lines.feed(data) + lines.finish()


def message(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    """A multipart/mixed of the parts."""
    return HEAD + b"".join(b"--b\r\n" + part for part in parts) + end


def blocks(data: bytes, places: list[int]) -> list[bytes]:
    """`data` cut at the places."""
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def steps_of(data: list[bytes], threshold: int = 1000) -> list[Step]:
    """All steps."""
    taker = Taker(threshold)
    return [step for block in data for step in taker.feed(block)] + taker.finish()


def put_back(steps: list[Step]) -> tuple[bytes, list[bytes], bytes]:
    """The message with everything back in its place, the parts that were taken, and what stayed of the message."""
    whole, stayed, taken = b"", b"", []
    begin, data = None, b""
    for step in steps:
        match step:
            case Keep():
                whole, stayed = whole + step.data, stayed + step.data
            case Begin():
                begin, data = step, b""
            case Some():
                data += step.data
            case End():
                assert begin is not None and step.size == len(data)
                whole += begin.header + encoded(data, begin.line) + step.tail
                taken.append(data)
            case GiveBack():
                assert begin is not None
                back = begin.header + encoded(data, begin.line)
                whole, stayed = whole + back, stayed + back
            case Close():
                pass
    return whole, taken, stayed


class Taking(SynchronousTestCase):
    """What is taken, and what stays."""

    def require(self, raw: bytes, *taken: bytes, threshold: int = 1000) -> list[Step]:
        """These parts are taken, and put back they make the message."""
        steps = steps_of([raw], threshold)
        whole, found, _ = put_back(steps)
        self.assertEqual(whole, raw)
        self.assertEqual(found, list(taken))
        return steps

    def test_attachments(self) -> None:
        """Large ones are taken, with type, name and the length of their lines; small ones stay."""
        text = b"Content-Type: text/plain\r\n\r\nhello\r\n"
        raw = message(text, FILE + encoded(DATA), FILE + encoded(b"small"), FILE + encoded(DATA[:5000], 72) + b"\r\n")
        steps = self.require(raw, DATA, DATA[:5000])
        begins = [step for step in steps if isinstance(step, Begin)]
        self.assertEqual([(b.media_type, b.filename, b.line, b.header) for b in begins],
                         [("video/mp4", "a.mp4", 76, FILE), ("video/mp4", "a.mp4", 72, FILE)])  # fmt: skip
        self.assertEqual([step.tail for step in steps if isinstance(step, End)], [b"", b"\r\n"])
        self.assertEqual(steps[-2:], [Close(b"b"), Keep(b"--b--\r\n")])

    def test_one_file(self) -> None:
        """A message that is a file in base64 and nothing else is known for one, and stays."""
        for raw, is_one in (
            (FILE + encoded(DATA), True), (message(FILE + encoded(DATA)), False), (b"A: b\r\n\r\nhello\r\n", False),
        ):  # fmt: skip
            taker = Taker(1000)
            steps = taker.feed(raw) + taker.finish()
            self.assertEqual((taker.is_one_file, put_back(steps)[0]), (is_one, raw))

    def test_last_lines(self) -> None:
        """Full, short, padded in every way, and followed by empty lines."""
        for size in (1710, 1711, 1712, 1713, 1766, 1767, 1768):
            for tail in (b"", b"\r\n", b"\r\n" * 5):
                self.require(message(FILE + encoded(DATA[:size]) + tail), DATA[:size])

    def test_what_stays(self) -> None:
        """Parts that could not be put back to the byte, and parts that are nobody's attachment."""
        good = encoded(DATA)
        first, _, rest = good.partition(b"\r\n")
        for body in (
            good.replace(b"\r\n", b" \r\n"), good[:-2] + b"!\r\n", good + b"x\r\n", good + b"\r\nAAAA\r\n",
            good + b"\r\n" * 90,
            first[:-1] + b"\r\n" + rest, first + b"\r\n" + first[:40] + b"\r\n" + rest, b"\r\n" + good,
            encoded(DATA[:1711])[:-4] + b"B=\r\n", encoded(DATA[:1710 + 56])[:-4] + b"AAE=\r\n" + good,
            encoded(DATA[:1711]) + good, good.replace(b"A", b"-"), base64.b64encode(DATA) + b"\r\n",
            b"A" * 3000 + b"\r\n",
            encoded(DATA, 4).replace(b"\r\n", b"", 9) + b"A\r\n",
        ):  # fmt: skip
            self.require(message(FILE + body))
        for header in (
            b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Type: video/mp4\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            b"Content-Type: video/mp4\r\nContent-Type: video/mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Type: video\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            b"\r\n",
        ):
            self.require(message(header + good))
        self.require(FILE + good)
        signed = HEAD.replace(b"mixed", b"signed")
        self.require(signed + b"--b\r\n" + FILE + good + b"--b--\r\n")
        self.require(message(FILE + good, end=b""))

    def test_encrypted_as_a_whole(self) -> None:
        """What stands in multipart/encrypted stays, be it the message or a part of one."""
        inner = b"--i\r\n" + FILE + encoded(DATA) + b"--i--\r\n"
        kind = b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=i\r\n\r\n'
        self.require(b"From: alice@foo.test\r\nContent-Type: " + kind + inner)
        self.require(message(b"Content-Type: " + kind + inner, FILE + encoded(DATA)), DATA)

    def test_named_text_and_inner_parts(self) -> None:
        """A text with a name is an attachment; parts of inner multiparts are taken too, and no notice goes there."""
        named = FILE.replace(b"video/mp4", b"text/csv")
        inner = b"Content-Type: multipart/related; boundary=i\r\n\r\n--i\r\n" + named + encoded(DATA) + b"--i--\r\n"
        steps = self.require(message(inner), DATA)
        self.assertEqual(len([step for step in steps if isinstance(step, Close)]), 1)
        other = HEAD.replace(b"mixed", b"alternative")
        self.assertFalse([s for s in self.require(other + b"--b\r\n\r\nx\r\n--b--\r\n") if isinstance(s, Close)])

    def test_names(self) -> None:
        """From the disposition, else from the type, without folders."""
        header = b'Content-Type: video/mp4; name="x/b.mp4"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        steps = self.require(message(header + encoded(DATA)), DATA)
        self.assertEqual([step.filename for step in steps if isinstance(step, Begin)], ["b.mp4"])

    def test_most_parts(self) -> None:
        """Behind very many parts nothing is taken."""
        self.patch(mime_take, "MOST_PARTS", 2)
        self.require(message(b"\r\n", FILE + encoded(DATA), FILE + encoded(DATA)), DATA)

    def test_large(self) -> None:
        """Far more than is held at a time."""
        data = DATA * 200
        raw = message(FILE + encoded(data))
        steps = steps_of([raw[at : at + 65536] for at in range(0, len(raw), 65536)])
        self.assertEqual(put_back(steps)[:2], (raw, [data]))
        self.assertLess(max(len(step.data) for step in steps if isinstance(step, Some)), 1 << 18)
        spoiled = message(FILE + encoded(data)[:-2] + b"=\r\n")
        self.assertIn(GiveBack(), self.require(spoiled))

    PIECES = st.lists(
        st.sampled_from([
            b"--b\r\n", b"--b--\r\n", b"--b", b"\r\n", b"--c\r\n", b"--c--\r\n", FILE,
            b"--b\r\n" + FILE + encoded(DATA[:900]),
            encoded(DATA[:90]), encoded(DATA[:57]), b"AAAA\r\n", b"AA==\r\n", b"text", b"--", b"\r", b"\n", b"-",
            b"Content-Type: multipart/mixed; boundary=c\r\n\r\n", b"Content-Type: text/plain\r\n\r\n",
        ]),
        max_size=12,
    ).map(b"".join)  # fmt: skip

    @given(PIECES, st.lists(st.integers(0, 3000), max_size=8), st.sampled_from([0, 100, 1000]))
    def test_nothing_is_lost(self, body: bytes, places: list[int], threshold: int) -> None:
        """Any message in any blocks: put back it is what it was, and blocks change nothing in what is taken."""
        raw = HEAD + body
        cut = put_back(steps_of(blocks(raw, places), threshold))
        self.assertEqual(cut[0], raw)
        self.assertEqual(cut, put_back(steps_of([raw], threshold)))

    @given(
        st.binary(max_size=400), st.sampled_from([4, 8, 64, 76]),
        st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), st.sampled_from(SPOILT)), max_size=3),
        st.lists(st.integers(0, 800), max_size=4), st.sampled_from([5, 200, mime_take.MOST_HELD]),
    )  # fmt: skip
    @settings(derandomize=True, max_examples=600, deadline=None)
    def test_nearly_base64(
        self, data: bytes, line: int, spoilt: list[tuple[int, int, bytes]], places: list[int], held: int
    ) -> None:
        """Base64 that something is wrong with stays, or is put back to the byte, whichever way its lines are read."""
        body = bytearray(encoded(data, line))
        for at, length, piece in spoilt:
            body[at : at + length] = piece
        raw = message(FILE + bytes(body))
        patched = self.patch(mime_take, "MOST_HELD", held)
        try:
            fast = put_back(steps_of(blocks(raw, places), 50))
            closely = self.patch(mime_take, "_plain_lines", lambda held, line: None)
            slow = put_back(steps_of(blocks(raw, places), 50))
            closely.restore()
        finally:
            patched.restore()
        self.assertEqual((fast[0], slow[0]), (raw, raw))
        self.assertEqual(fast, slow)

    def test_lines_that_are_not_full(self) -> None:
        """A last line that is longer than the others, and padding behind what needs none, would not come back."""
        self.require(message(FILE + encoded(DATA[:600], 16)[:18] + encoded(DATA[:45]) + b""), threshold=10)
        self.require(message(FILE + encoded(DATA[:1710]) + b"AAAA==\r\n"))
        self.require(message(FILE + encoded(DATA[:1710]) + b"AAAA====\r\n"))

    def test_first_line_without_end(self) -> None:
        """Whether it is one of base64 is not known before its end has come."""
        raw = message(FILE + encoded(DATA))
        found = put_back(steps_of(blocks(raw, list(range(len(HEAD) + len(FILE), len(HEAD) + len(FILE) + 200))), 5))
        self.assertEqual(found[:2], (raw, [DATA]))


class Splitting(SynchronousTestCase):
    """Tokens are the message."""

    def tokens(self, *data: bytes) -> list[Token]:
        """All of them."""
        splitter = Splitter()
        found = [token for block in data for token in splitter.feed(block)] + splitter.finish()
        self.assertEqual(b"".join(token.data for token in found), b"".join(data))
        return found

    def test_delimiters(self) -> None:
        """White space behind them is theirs, anything else makes them content."""
        kinds: list[Any] = [
            type(token).__name__ for token in self.tokens(HEAD, b"--b \t\r\n\r\nx--b\r\n--bb\r\n--b-\r\n--b--")
        ]
        self.assertEqual(kinds[:3], ["Header", "Delimiter", "Header"])
        self.assertEqual((kinds[-1], kinds.count("Delimiter")), ("Delimiter", 2))

    def test_headers_without_end(self) -> None:
        """A header may end with a delimiter or with the message; one that is none has no fields."""
        for raw in (
            b"",
            b"A: b",
            b"A: b\r\n",
            b"\r\n",
            b"no header\r\n\r\nx",
            HEAD + b"--b\r\nA: b\r\n--b--\r\n",
            b"A: b\r\n--b\r\n",
        ):
            self.tokens(raw)
            self.tokens(*[raw[at : at + 1] for at in range(len(raw))])

    def test_long_lines(self) -> None:
        """Headers and delimiters that do not end are content."""
        for raw in (b"A: " + b"x" * (MOST_HEADER + 9), b"A: b\r\n" * (MOST_HEADER // 6 + 2) + b"\r\nbody",
                    HEAD + b"--b" + b" " * (MOST_DELIMITER + 9) + b"\r\n"):  # fmt: skip
            found = self.tokens(raw)
            self.assertTrue(any(isinstance(token, Content) for token in found))
            self.assertEqual(found[-1].data[-1:], raw[-1:])

    def test_deep(self) -> None:
        """Nested too deeply, the rest is content."""
        raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(40))
        self.tokens(raw + b"x")
