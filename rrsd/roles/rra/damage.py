"""Which parts of a damaged resource are fetched again (pure).

A chunk list is a claim: it only says where to look. Whatever it says, the whole is compared with the message's digest.
"""

from collections.abc import Sequence

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest
from rrsd.core.values.resources import CHUNK
from rrsd.core.wire.chunks import parse_chunks
from rrsd.core.wire.fields import Span
from rrsd.core.wire.strictjson import parse_object

MOST_PER_CHUNK = 64
"""Bytes of a list for one chunk: a digest in base64url, quoted, with a comma and some space."""
HEAD = 4096
"""Bytes of a list for all else."""


def most_of_list(size: int) -> int:
    """The longest chunk list of a resource of that size."""
    return HEAD + MOST_PER_CHUNK * -(-size // CHUNK)


def damaged(listed: bytes, found: Sequence[Digest], digest: Digest, size: int) -> tuple[Span, ...]:
    """What is fetched again, in order, neighbours as one: the chunks that are others than `listed`, the text of the
    chunk list, says. None when it says of none, or of more than half, that it is damaged.

    Raises:
        Malformed: it is no list of this resource.
        TooLarge: it is longer than such a list can be.
    """
    claimed = parse_chunks(parse_object(listed, most_of_list(size)), digest)
    if claimed.size != size or len(found) != len(claimed.chunks):
        raise Malformed("chunk list of another size")
    wrong = [place for place, each in enumerate(found) if each != claimed.chunks[place]]
    return _spans(wrong, size) if 2 * len(wrong) <= len(found) else ()


def _spans(places: Sequence[int], size: int) -> tuple[Span, ...]:
    spans: list[Span] = []
    for place in places:
        start, end = place * CHUNK, min(size, (place + 1) * CHUNK)
        if spans and spans[-1].end == start:
            start = spans.pop().start
        spans.append(Span(start, end))
    return tuple(spans)
