"""Base64 in lines, from blocks of any length."""

import base64
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.wire.base64_lines import Base64Lines

SIZES = st.integers(0, 200_000)


class Lines(SynchronousTestCase):
    """They are what the standard library writes, with other ends."""

    @given(
        st.integers(0, 200_000), st.sampled_from([4, 60, 64, 76, 996]), st.lists(st.integers(0, 200_000), max_size=6)
    )
    def test_any_blocks(self, size: int, line: int, places: list[int]) -> None:
        """Any size, any division into blocks, any length of lines; more than a thousand lines at once too."""
        data = bytes(range(251)) * (size // 251 + 1)
        data = data[:size]
        encoder = Base64Lines(line)
        edges = [0, *sorted(min(place, size) for place in places), size]
        found = b"".join([encoder.feed(data[a:b]) for a, b in pairwise(edges)] + [encoder.finish()])
        text = base64.b64encode(data)
        self.assertEqual(found, b"".join(text[at : at + line] + b"\r\n" for at in range(0, len(text), line)))
