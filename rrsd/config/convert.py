"""Text of one INI value becomes a value of the type that a settings class declares, and back."""

import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import (
    Address,
    ClientIdentifier,
    Domain,
    parse_address,
    parse_client_identifier,
    parse_domain,
)
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.peers import Issuer, Origin, Url, parse_issuer, parse_origin, parse_url
from rrsd.core.values.settings import NamedSize, Size

_DURATION = re.compile(r"(\d{1,15})\s*(ms|s|min|h|d)", re.ASCII)
_DURATIONS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SIZE = re.compile(r"(\d{1,18})\s*(B|KiB|MiB|GiB|TiB)?", re.ASCII)
_SIZES = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_YES_NO = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


class NotOne(Exception):
    """The text is not one of what was wanted; its argument says what would be right."""


@frozen
class Converter:
    """How one type is read and written; `right` completes the sentence "write …"."""

    right: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def read_duration(text: str) -> timedelta:
    """The duration that a whole number and a unit write."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    try:
        return int(match.group(1)) * _DURATIONS[match.group(2)]
    except OverflowError:
        raise ValueError(text) from None


def write_duration(value: timedelta) -> str:
    """The duration in the largest unit that divides it."""
    for unit, one in _DURATIONS.items():
        if value and value % one == timedelta():
            return f"{value // one}{unit}"
    return "0s"


def read_size(text: str) -> Size:
    """The number of bytes that a whole number, with or without a binary unit, writes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return Size(int(match.group(1)) * _SIZES[match.group(2) or "B"])


def write_size(value: int) -> str:
    """The size in the largest binary unit that divides it."""
    for unit, one in _SIZES.items():
        if value and unit != "B" and value % one == 0:
            return f"{value // one}{unit}"
    return str(int(value))


def _read_named_size(text: str) -> NamedSize:
    name, _, size = text.partition("=")
    return NamedSize(parse_address(name) if "@" in name else parse_domain(name), read_size(size))


def _write_named_size(value: NamedSize) -> str:
    return f"{value.name}={write_size(value.size)}"


def _read_text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(text)
    return text


def _read_whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _read_bool(text: str) -> bool:
    return _YES_NO[text.lower()]


def _write_bool(value: bool) -> str:
    return "yes" if value else "no"


CONVERTERS: dict[type, Converter] = {
    str: Converter("one line of text", _read_text),
    int: Converter("a whole number", _read_whole),
    bool: Converter("yes or no", _read_bool, _write_bool),
    timedelta: Converter("a whole number with ms, s, min, h or d after it, as in 15s", read_duration, write_duration),
    Size: Converter("a number of bytes, or one with KiB, MiB, GiB or TiB, as in 8MiB", read_size, write_size),
    NamedSize: Converter(
        "a domain or an address, = and a size, as in bar.test=5MiB", _read_named_size, _write_named_size
    ),
    Domain: Converter("a domain name such as foo.test", parse_domain),
    Address: Converter("an address such as alice@foo.test", parse_address),
    ClientIdentifier: Converter("a client identifier OU.CN such as _rra.bar.test", parse_client_identifier),
    Digest: Converter("a SHA-256 in base64url without padding", parse_digest),
    Origin: Converter("an https origin such as https://rs.foo.test, without a slash at its end", parse_origin),
    Issuer: Converter("an https URL such as https://id.foo.test, without query or slash at its end", parse_issuer),
    Url: Converter("an https URL such as https://id.foo.test/login", parse_url),
}


def convert(kind: Any, text: str) -> Any:
    """The value of type `kind` that `text` writes; nothing written is None or () where the type allows it.

    Raises:
        NotOne: it writes no such value.
    """
    inner, optional = _without_none(kind)
    if optional and not text:
        return None
    if get_origin(inner) in (tuple, frozenset):
        items = [_convert_one(get_args(inner)[0], item) for item in _items(get_args(inner)[0], text)]
        return get_origin(inner)(items)
    return _convert_one(inner, text)


def _items(kind: Any, text: str) -> list[str]:
    """Values of a list: one per line; where the type has no spaces in it, also several on a line."""
    lines = [line.strip().rstrip(",") for line in text.split("\n") if line.strip()]
    return lines if kind is str else [word.rstrip(",") for line in lines for word in line.split()]


def _convert_one(kind: Any, text: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(text)
        except ValueError:
            raise NotOne(right_for(kind)) from None
    converter = CONVERTERS[kind]
    try:
        return converter.read(text)
    except (ValueError, KeyError, Malformed):
        raise NotOne(converter.right) from None


def right_for(kind: Any) -> str:
    """What would be right where a `kind` is wanted, for the sentence "write …"."""
    inner, optional = _without_none(kind)
    nothing = ", or nothing" if optional else ""
    if get_origin(inner) in (tuple, frozenset):
        return f"{right_for(get_args(inner)[0])}, one per line"
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return f"one of {', '.join(inner)}{nothing}"
    return CONVERTERS[inner].right + nothing


def render_value(kind: Any, value: Any) -> str:
    """The text that `convert` reads as `value`; lists one per line."""
    inner, _ = _without_none(kind)
    if value is None:
        return ""
    if get_origin(inner) in (tuple, frozenset):
        item = get_args(inner)[0]
        rendered = [render_value(item, one) for one in value]
        return "\n".join(sorted(rendered) if get_origin(inner) is frozenset else rendered)
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return str(value)
    return CONVERTERS[inner].write(value)


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (Union, UnionType):
        rest = [one for one in get_args(kind) if one is not NoneType]
        return rest[0], len(rest) < len(get_args(kind))
    return kind, False
