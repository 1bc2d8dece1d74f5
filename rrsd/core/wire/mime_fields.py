"""Header fields of messages and body parts (RFC 5322 2.2, RFC 2045 5.1, RFC 2047, RFC 2231)."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote, unquote_to_bytes

from attrs import field, frozen

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.instants import Instant

MOST_STRUCTURED = 16384  # characters of one field that has a grammar; a longer one is read as having none
MOST_FIELDS = 1000  # fields of one header; what mail servers add on the way is a few dozen
MOST_FILENAME = 255
MOST_SHOWN = 998  # characters of a subject or a date that are kept for display

_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:((?:[^\r]++|\r\n[ \t])*+)(?:\r\n|\Z)")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|[()]|[^"\\()]+', re.DOTALL)
_TOKEN = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
_MEDIA_TYPE = re.compile(rf"\s*({_TOKEN})/({_TOKEN})\s*")
_WORD = re.compile(rf"\s*({_TOKEN})\s*")
_PARAMETER = re.compile(rf';\s*({_TOKEN})\s*=\s*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")\s*', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'["\\]')
_SECTION = re.compile(r"([^*]+)\*([0-9]{1,3})(\*?)")
_ANGLE = re.compile(r"[^<>,:;@]*<\s*([^<>\s]+)\s*>\s*")
_ENCODED_WORD = re.compile(r"=\?([!-)+->@-~]+?)(?:\*[A-Za-z0-9-]*)?\?([BbQq])\?([!->@-~]*)\?=(\s+(?==\?))?")
_CHARSET = re.compile(
    r"utf-?8|us-ascii|iso-8859-[0-9]{1,2}|windows-125[0-8]|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-jp|euc-kr"
    r"|iso-2022-jp"
)
_UNSHOWN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)
_DATE = re.compile(
    r"\s*+(?:[A-Za-z]{3}\s*+,)?\s*+([0-9]{1,2})\s++([A-Za-z]{3})\s++([0-9]{4})\s++([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2}))?\s++(?:([+-])([0-9]{2})([0-5][0-9])|UTC?|GMT|Z)\s*+"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@frozen
class Field:
    """One header field: lower-case `name`, unfolded `text`, and where its lines lie: [start, end), CRLF included."""

    name: str
    text: str
    start: int
    end: int


@frozen
class Typed:
    """A field of the form `value; name=value …`; parameters by lower-case name, RFC 2231 undone."""

    value: str
    parameters: Mapping[str, str] = field(factory=dict)


def parse_fields(raw: bytes, start: int, end: int) -> tuple[tuple[Field, ...], int]:
    """The header section that begins at `start`, and where the body begins; a section may end without an empty line.

    Raises:
        Malformed: a line is neither a field nor the continuation of one.
        TooLarge: more than `MOST_FIELDS` fields.
    """
    fields: list[Field] = []
    while start < end:
        if raw.startswith(b"\r\n", start, end):
            return tuple(fields), start + 2
        match = _FIELD.match(raw, start, end)
        if match is None:
            raise Malformed("header line is not a field")
        if len(fields) == MOST_FIELDS:
            raise TooLarge("header fields")
        text = _FOLD.sub(b"", match[2]).decode("utf-8", "replace").strip(" \t")
        fields.append(Field(match[1].decode("ascii").lower(), text, start, match.end()))
        start = match.end()
    return tuple(fields), end


def named(fields: Sequence[Field], name: str) -> tuple[Field, ...]:
    """The fields called `name`, in order."""
    return tuple(each for each in fields if each.name == name)


def first_text(fields: Sequence[Field], name: str) -> str:
    """What the first field called `name` says, "" when there is none."""
    return next((each.text for each in fields if each.name == name), "")


def parse_media(text: str) -> Typed | None:
    """A Content-Type, `type/subtype` in lower case; None when it follows no grammar or repeats a parameter."""
    return _parse_typed(_MEDIA_TYPE, text)


def parse_word(text: str) -> Typed | None:
    """A field such as Content-Disposition: one word in lower case, then parameters; None as for `parse_media`."""
    return _parse_typed(_WORD, text)


def _parse_typed(head: re.Pattern[str], text: str) -> Typed | None:
    plain = without_comments(text)
    match = None if plain is None else head.match(plain)
    if plain is None or match is None:
        return None
    given: dict[str, str] = {}
    at = match.end()
    while found := _PARAMETER.match(plain, at):
        name, at = found[1].lower(), found.end()
        if name in given:
            return None
        given[name] = found[2] if found[2] is not None else _PAIR.sub(r"\1", found[3])
    return None if plain[at:].strip("; \t") else Typed("/".join(match.groups()).lower(), _joined(given))


def without_comments(text: str) -> str | None:
    """`text` without its comments, which nest; None when they or a quoted string do not end."""
    if len(text) > MOST_STRUCTURED:
        return None
    kept, depth, at = [], 0, 0
    while match := _LEXEME.match(text, at):
        at = match.end()
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
        elif depth == 0:
            kept.append(match[0])
        if depth < 0:
            return None
    return " ".join(kept) if depth == 0 and at == len(text) else None


def _joined(given: Mapping[str, str]) -> dict[str, str]:
    """The parameters with RFC 2231 undone: continuations joined, percent-encodings decoded."""
    plain = {name: value for name, value in given.items() if "*" not in name}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, value in given.items():
        section = _SECTION.fullmatch(name)
        if section is not None:
            pieces.setdefault(section[1], {})[int(section[2])] = (value, bool(section[3]))
        elif name.endswith("*") and name.count("*") == 1:
            pieces[name[:-1]] = {0: (value, True)}
    return plain | {name: _extended(sections) for name, sections in pieces.items()}


def _extended(sections: Mapping[int, tuple[str, bool]]) -> str:
    charset, raw = "utf-8", b""
    for index in range(len(sections)):
        value, encoded = sections.get(index, ("", False))
        if encoded and index == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        raw += unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace")
    return _decode(raw, charset)


def _decode(raw: bytes, charset: str) -> str:
    known = charset.lower() if _CHARSET.fullmatch(charset.lower()) else "utf-8"
    try:
        return raw.decode(known, "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def decode_words(text: str) -> str:
    """`text` for display: encoded words decoded (RFC 2047), control and direction-changing characters removed."""
    return _UNSHOWN.sub("", _ENCODED_WORD.sub(_decode_word, text))[:MOST_SHOWN]


def _decode_word(match: re.Match[str]) -> str:
    try:
        if match[2] in "Bb":
            return _decode(base64.b64decode(match[3] + "=" * (-len(match[3]) % 4), validate=True), match[1])
    except binascii.Error:
        return match[0]
    return _decode(unquote_to_bytes(match[3].replace("%", "%25").replace("_", " ").replace("=", "%")), match[1])


def safe_filename(text: str) -> str:
    """The last component of a file name, without characters that mislead; "" when nothing is left."""
    name = _UNSHOWN.sub("", re.split(r"[/\\]", text)[-1]).strip()
    return "" if name in {".", ".."} else name[-MOST_FILENAME:]


def parse_mailbox(text: str) -> Address:
    """The one mailbox of a From field (RFC 5322 3.4), display name and comments left out.

    Raises:
        Malformed: several mailboxes, a group, a quoted local part, or an address in place of the display name.
    """
    plain = without_comments(text)
    if plain is None:
        raise Malformed("mailbox")
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", plain, flags=re.DOTALL)
    match = _ANGLE.fullmatch(bare)
    return parse_address(match[1] if match else bare.strip())


def parse_date(text: str) -> Instant | None:
    """The instant of an RFC 5322 date-time, None when it is none."""
    match = _DATE.fullmatch(text)
    if match is None or match[2].title() not in _MONTHS:
        return None
    day, month, year = int(match[1]), _MONTHS.index(match[2].title()) + 1, int(match[3])
    zone = timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0)) * (-1 if match[7] == "-" else 1)
    try:
        local = datetime(year, month, day, int(match[4]), int(match[5]), int(match[6] or 0), tzinfo=timezone(zone))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def render_date(moment: Instant) -> str:
    """`moment` as an RFC 5322 date-time in UTC."""
    utc = moment.astimezone(UTC)
    day = f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d}"
    return f"{day} {utc.hour:02d}:{utc.minute:02d}:{utc.second:02d} +0000"


def render_field(name: str, *parts: str) -> bytes:
    """One header field; each of `parts` after the first begins a folded line.

    Raises:
        Malformed: a part holds a line break, another control character, or anything beyond ASCII.
    """
    for part in parts:
        if not part.isascii() or not part.isprintable():
            raise Malformed(f"{name} cannot hold this")
    return f"{name}: ".encode("ascii") + "\r\n ".join(parts).encode("ascii") + b"\r\n"


def require_shown(name: str, text: str) -> None:
    """Returns None when `text` is one line of characters that may stand in a header.

    Raises:
        Malformed: a control, a direction change or a lone surrogate is in it, or it is longer than anyone shows.
    """
    if _UNSHOWN.search(text) or len(text) > MOST_SHOWN:
        raise Malformed(f"{name} cannot hold this")


def encode_words(text: str) -> Iterator[str]:
    """`text` as it may stand in an unstructured field: itself, or encoded words of at most 75 characters (RFC 2047)."""
    if text.isascii() and len(text) <= 66 and "=?" not in text and text == text.strip():
        yield text
        return
    for piece in _pieces(text, 42):
        yield f"=?utf-8?B?{base64.b64encode(piece).decode('ascii')}?="


def _pieces(text: str, most: int) -> Iterator[bytes]:
    piece = b""
    for character in text:
        encoded = character.encode("utf-8")
        if len(piece) + len(encoded) > most:
            yield piece
            piece = b""
        piece += encoded
    yield piece


def render_parameter(name: str, value: str) -> Iterator[str]:
    """`name=value` in as many pieces as it takes to keep lines short (RFC 2231 3 and 4)."""
    if value.isascii() and len(value) <= 60 and not _SPECIAL.search(value):
        yield f'{name}="{value}"'
        return
    for index, piece in enumerate(_pieces(value, 18)):
        charset = "" if index else "UTF-8''"
        yield f"{name}*{index}*={charset}{quote(piece, safe='')}"
