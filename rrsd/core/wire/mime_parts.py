"""Body parts by their offsets: multipart messages taken apart without touching a byte (RFC 2046 5.1)."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.wire.mime_fields import Field, first_text, named, parse_fields, parse_media

MOST_DEPTH = 20
MOST_FIELDS = 100_000  # header fields of all parts together: each costs a hundred times the four bytes that it takes
OPAQUE = ("multipart/signed", "multipart/encrypted")  # RFC 1847 2: a whole that is for its reader's program alone
IDENTITY = frozenset({"", "7bit", "8bit", "binary"})

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@frozen
class Part:
    """One leaf of a message's tree of parts.

    Its delimiter line begins at `delimiter`, its header at `start`, its body at `body`; the next delimiter line begins
    at `end`. `closes` is whether it is the last part of the outermost multipart.
    """

    delimiter: int
    start: int
    body: int
    end: int
    fields: tuple[Field, ...]
    closes: bool


def parse_parts(raw: bytes, fields: Sequence[Field], body: int, most: int) -> tuple[Part, ...]:
    """The leaves of the message with this header, in order; none when it is no multipart.

    What is signed or encrypted as a whole, and what has a transfer encoding that a multipart cannot have, is one leaf.

    Raises:
        Malformed: a multipart has no boundary, no part or no end, or is nested deeper than `MOST_DEPTH`.
        TooLarge: there are more than `most` parts, or more than `MOST_FIELDS` fields in their headers.
    """
    found: list[Part] = []
    held = 0
    for part in _leaves(raw, fields, (body, len(raw)), 1, most):
        held += len(part.fields)
        if len(found) == most or held > MOST_FIELDS:
            raise TooLarge("parts or their header fields")
        found.append(part)
    return tuple(found)


def has_identity_encoding(fields: Sequence[Field]) -> bool:
    """Whether the body stands there as it is (RFC 2045 6.2)."""
    return all(each.text.lower() in IDENTITY for each in named(fields, "content-transfer-encoding"))


def _leaves(raw: bytes, fields: Sequence[Field], span: tuple[int, int], depth: int, most: int) -> Iterator[Part]:
    boundary = boundary_of(fields)
    if boundary is None:
        return
    if depth > MOST_DEPTH:
        raise Malformed("parts nested too deeply")
    edges = _edges(raw, span, boundary, most)
    for (delimiter, start), (end, _) in pairwise(edges):
        inner, body = _header(raw, start, end)
        if boundary_of(inner) is None:
            yield Part(delimiter, start, body, end, inner, depth == 1 and end == edges[-1][0])
        else:
            yield from _leaves(raw, inner, (body, end), depth + 1, most)


def _header(raw: bytes, start: int, end: int) -> tuple[tuple[Field, ...], int]:
    """The part's header; a part without a proper one is all body."""
    try:
        return parse_fields(raw, start, end)
    except Malformed:
        return (), start


def boundary_of(fields: Sequence[Field]) -> str | None:
    """The boundary that divides the body under these fields; None where there is nothing to look into.

    Raises:
        Malformed: it is a multipart without a boundary that one can have.
    """
    if len(named(fields, "content-type")) != 1 or not has_identity_encoding(fields):
        return None
    text = first_text(fields, "content-type").lower()
    if not text.startswith("multipart/") or text.startswith(OPAQUE):
        return None
    media = parse_media(first_text(fields, "content-type"))
    boundary = "" if media is None else media.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise Malformed("multipart boundary")
    return boundary


def _edges(raw: bytes, span: tuple[int, int], boundary: str, most: int) -> list[tuple[int, int]]:
    """Where each delimiter line begins and ends, the closing one last; `most` parts at most lie between them."""
    escaped = re.escape(boundary.encode("ascii"))
    line = re.compile(rb"--%b(?<=\r\n--%b)(--)?+[ \t]*+(?:\r\n|\Z)" % (escaped, escaped))
    edges: list[tuple[int, int]] = []
    for match in line.finditer(raw, *span):
        if len(edges) > most:
            raise TooLarge("delimiters")
        edges.append((match.start(), match.end()))
        if match[1] and len(edges) > 1:
            return edges
        if match[1]:
            break
    raise Malformed("multipart has no part or no end")
