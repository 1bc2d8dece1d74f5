"""The hash of a body, block by block, against the engine's of the whole."""

import base64
import hashlib
import tracemalloc

from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.wire.dkim_body import RelaxedBody

PIECES = st.lists(
    st.sampled_from([b"\r\n", b" ", b"\t", b"a", b"\r", b"\n", b"word", b"  \r\n", b"\r\n\r\n"]), max_size=40
)


def hashed(*blocks: bytes) -> bytes:
    """What comes out."""
    body = RelaxedBody()
    for block in blocks:
        body.feed(block)
    return body.digest()


def expected(body: bytes) -> bytes:
    """What the engine makes of it."""
    return hashlib.sha256(Relaxed.canonicalize_body(body)).digest()


class Bodies(SynchronousTestCase):
    """Whatever they are divided into."""

    @settings(derandomize=True, max_examples=400)
    @given(PIECES, st.data())
    def test_as_the_engine(self, pieces: list[bytes], data: st.DataObject) -> None:
        """The same as of the whole, whatever the division."""
        body = b"".join(pieces)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        blocks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        self.assertEqual(hashed(*blocks), expected(body))
        self.assertEqual(hashed(*(bytes([each]) for each in body)), expected(body))

    def test_published(self) -> None:
        """The hash of nothing (RFC 6376 3.4.4), and of one line end."""
        empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        for body in (b"", b"\r\n", b" \t\r\n\r\n"):
            self.assertEqual(base64.b64encode(hashed(body)).decode(), empty)

    def test_asked_twice(self) -> None:
        """Asking changes nothing."""
        body = RelaxedBody()
        body.feed(b"a \r")
        self.assertEqual(body.digest(), body.digest())

    def test_blank_lines_without_end(self) -> None:
        """A million empty lines are counted, not kept, and neither is a line of a million blanks."""
        body = RelaxedBody()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(100):
            body.feed(b"\r\n" * 10_000)
            body.feed(b" " * 10_000)
        body.feed(b"x")
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        lines = (b"\r\n" * 10_000 + b" " * 10_000) * 100
        self.assertEqual(body.digest(), expected(lines + b"x"))
