"""How a part's base64 was written, said in parameters of its external body that others pass over (RFC 2045 5.1, 6.8).

Without them the part comes back with lines of 76 characters and its transfer encoding as the last field.
"""

import re
from collections.abc import Mapping

from rrsd.core.values.messages import Shape
from rrsd.core.wire.mime_fields import MOST_FIELDS, parse_fields
from rrsd.core.wire.mime_take import MOST_LINE

MOST_EMPTY = 1000
"""Empty lines behind a part."""
MOST_ENCODING = 200
"""Characters of the field that names the transfer encoding."""

_USUAL = Shape()
_NAME = "content-transfer-encoding"
_ENCODING = re.compile(rf"{_NAME} *: *base64 *", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


def shape_of(header: bytes, line: int, tail: bytes) -> Shape:
    """The shape of a part that had this header, full lines of `line` characters, and the empty lines `tail`.

    A transfer encoding whose field is folded or holds tabs is spelt as usual.
    """
    fields, _ = parse_fields(header, 0, len(header))
    at = [each.name for each in fields].index(_NAME)
    encoding = header[fields[at].start : fields[at].end].decode("latin-1").removesuffix("\r\n")
    before = at if at < len(fields) - 1 else None
    return Shape(line, len(tail) // 2, before, encoding if _is_encoding(encoding) else _USUAL.encoding)


def render_shape(shape: Shape) -> str:
    """The parameters, "" when all is as usual."""
    said = {
        f"rrs-line={shape.line}": shape.line != _USUAL.line,
        f"rrs-empty={shape.empty}": shape.empty != _USUAL.empty,
        f"rrs-before={shape.before}": shape.before != _USUAL.before,
        f'rrs-encoding="{shape.encoding}"': shape.encoding != _USUAL.encoding,
    }
    return "; ".join(text for text, is_odd in said.items() if is_odd)


def parse_shape(parameters: Mapping[str, str]) -> Shape:
    """What the parameters say; one that is out of bounds counts as not given."""
    line, empty, before = (_number(parameters.get(f"rrs-{name}", "")) for name in ("line", "empty", "before"))
    encoding = parameters.get("rrs-encoding", "")
    return Shape(
        line if line is not None and 4 <= line <= MOST_LINE and line % 4 == 0 else _USUAL.line,
        empty if empty is not None and empty <= MOST_EMPTY else _USUAL.empty,
        before if before is not None and before < MOST_FIELDS else _USUAL.before,
        encoding if _is_encoding(encoding) else _USUAL.encoding,
    )


def _is_encoding(text: str) -> bool:
    return len(text) <= MOST_ENCODING and _ENCODING.fullmatch(text) is not None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None
