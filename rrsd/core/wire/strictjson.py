"""JSON with one meaning only (RFC 8259, RFC 7493 I-JSON).

Parsers that differ on duplicate members, infinities or lone surrogates let two readers of one text see two things.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from rrsd.core.refusals import Malformed, TooLarge

MOST_DEPTH = 32


def parse_object(data: bytes, most: int = 65536) -> dict[str, Any]:
    """The JSON object that `data` holds, in UTF-8.

    Raises:
        Malformed: it is not an object, is nested deeper than `MOST_DEPTH`, or has two readings: duplicate members,
            numbers that are none or infinite, a byte order mark, another encoding, lone surrogates.
        TooLarge: more than `most` bytes.
    """
    value = _parse(data, most)
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value


def parse_array(data: bytes, most: int = 65536) -> list[Any]:
    """The JSON array that `data` holds; refuses as `parse_object` does."""
    value = _parse(data, most)
    if not isinstance(value, list):
        raise Malformed("not a JSON array")
    return value


def render(document: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Compact JSON in ASCII, members in their own order."""
    return _ENCODER.encode(document).encode("ascii")


def _parse(data: bytes, most: int) -> object:
    if len(data) > most:
        raise TooLarge(f"JSON of {len(data)} bytes")
    try:
        text = data.decode("utf-8")
        value: object = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise Malformed("not JSON in UTF-8") from None
    if text.count("[") + text.count("{") > MOST_DEPTH:
        _require_shallow(value, MOST_DEPTH)
    if "\\u" in text:
        _require_characters(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("duplicate JSON members")
    return members


def _no_number(text: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("JSON number too large")
    return number


# Made once: making them costs as much as a small document does.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_number, parse_float=_finite)


def _require_shallow(value: object, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth == 0:
            raise Malformed("JSON nested too deep")
        for inner in value.values() if isinstance(value, dict) else value:
            _require_shallow(inner, depth - 1)


def _require_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("lone surrogate in JSON") from None
