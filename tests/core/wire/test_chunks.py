"""Chunk lists."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import digest_of
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.core.wire.chunks import parse_chunks, render_chunks

WHOLE = digest_of(b"whole")


class ChunkTests(SynchronousTestCase):
    """Digests of a resource's parts."""

    @settings(derandomize=True, max_examples=50)
    @given(st.integers(0, 5 * CHUNK))
    def test_round_trip(self, size: int) -> None:
        """What is rendered parses to the same blob, for any size."""
        chunks = tuple(digest_of(bytes([each])) for each in range(-(-size // CHUNK)))
        blob = Blob(WHOLE, size, chunks)
        self.assertEqual(parse_chunks(render_chunks(blob), WHOLE), blob)

    def test_lists_that_do_not_fit(self) -> None:
        """Another resource, chunk size or number of chunks is refused, and so are digests that are none."""
        good = render_chunks(Blob(WHOLE, CHUNK + 1, (digest_of(b"1"), digest_of(b"2"))))
        changes: tuple[dict[str, Any], ...] = (
            {"resource": digest_of(b"").ni}, {"resource": None}, {"chunk_size": 1}, {"size": CHUNK},
            {"size": 2 * CHUNK + 1},
            {"size": -1}, {"size": True}, {"size": 2**63}, {"chunks": None}, {"chunks": []}, {"chunks": [1, 2]},
            {"chunks": ["x", "y"]},
        )  # fmt: skip
        for change in changes:
            self.assertRaises(Malformed, parse_chunks, good | change, WHOLE)
