"""Which chunks are fetched again."""

import json

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.core.wire.chunks import render_chunks
from rrsd.core.wire.fields import Span
from rrsd.roles.rra.damage import damaged, most_of_list

WHOLE = digest_of(b"whole")
SIZE = 9 * CHUNK + 7
GOOD = [digest_of(bytes([place])) for place in range(10)]


def listed(chunks: list[Digest] = GOOD, size: int = SIZE) -> bytes:
    """A list as a server sends it."""
    return json.dumps(render_chunks(Blob(WHOLE, size, tuple(chunks)))).encode()


def found(*places: int) -> list[Digest]:
    """The chunks that came, other ones at these places."""
    return [digest_of(b"other") if place in places else each for place, each in enumerate(GOOD)]


class Damage(SynchronousTestCase):
    """Lists against what came."""

    def test_spans(self) -> None:
        """In order; neighbours are one; the last is shorter."""
        for places, spans in (
            ((), ()),
            ((3,), (Span(3 * CHUNK, 4 * CHUNK),)),
            ((0, 1, 3), (Span(0, 2 * CHUNK), Span(3 * CHUNK, 4 * CHUNK))),
            ((8, 9), (Span(8 * CHUNK, SIZE),)),
            ((0, 2, 4, 6, 8), tuple(Span(n * CHUNK, (n + 1) * CHUNK) for n in (0, 2, 4, 6, 8))),
            ((0, 2, 4, 6, 8, 9), ()),
        ):
            self.assertEqual(damaged(listed(), found(*places), WHOLE, SIZE), spans, places)

    def test_lists_of_something_else(self) -> None:
        """Another size, another number of chunks, no list at all."""
        for text, there in (
            (listed(GOOD, SIZE - 1), GOOD),
            (listed(), GOOD[1:]),
            (b"{}", GOOD),
            (b"", GOOD),
        ):
            self.assertRaises(Malformed, damaged, text, there, WHOLE, SIZE)

    def test_a_list_has_a_bound(self) -> None:
        """That of a resource of its size; a good one is well below it, with spaces too."""
        self.assertLess(len(json.dumps(json.loads(listed()), indent=1)), most_of_list(SIZE))
        self.assertRaises(TooLarge, damaged, b" " * (most_of_list(SIZE) + 1), GOOD, WHOLE, SIZE)
