"""HTTP field values of resource transfers (RFC 9110 8.8, 13.1, 14; RFC 9530 3; RFC 7240 4.3; RFC 6266; RFC 6920 4)."""

import base64
import binascii
import re
import unicodedata
from datetime import UTC, datetime
from urllib.parse import quote

from attrs import frozen

from rrsd.core.refusals import Malformed, Unsatisfiable
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.instants import Instant

NI_PATH = "/.well-known/ni/sha-256/"
CHUNKS_PATH = "/rrs/chunks/sha-256/"
LONGEST_RETRY = 86400
LONGEST_WAIT = 60
MOST_FILENAME = 200

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII | re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII | re.IGNORECASE)
_STRONG = re.compile(r'"[!#-~]*"', re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,100}", re.ASCII)
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[!#-+\--~ ]*)?", re.ASCII)
_WAIT = re.compile(r'wait *= *"?([0-9]{1,9})"?', re.ASCII | re.IGNORECASE)
_UNSAFE = frozenset('/\\:*?"<>|%')  # separators, what file systems forbid, and what browsers decode once more


@frozen
class Span:
    """The bytes [start, end) of a representation."""

    start: int
    end: int


def parse_range(header: str | None, size: int) -> Span | None:
    """The one range that a Range field asks of `size` bytes; None means the whole (RFC 9110 14.2).

    Several ranges, other units and what is malformed mean the whole too.

    Raises:
        Unsatisfiable: it lies outside.
    """
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        span = Span(max(0, size - int(found[2])), size)
    else:
        start, last = int(found[1]), int(found[2] or size)
        if found[2] and last < start:
            return None
        span = Span(start, min(last + 1, size))
    if span.start >= span.end:
        raise Unsatisfiable(f"range outside {size} bytes", size)
    return span


def render_content_range(span: Span, size: int) -> str:
    """The Content-Range of the part `span` (RFC 9110 14.4)."""
    return f"bytes {span.start}-{span.end - 1}/{size}"


def parse_content_range(text: str) -> tuple[Span, int]:
    """The part and the size of the whole that a Content-Range states.

    Raises:
        Malformed: it is none, leaves the size open, or states a part outside the whole.
    """
    found = _CONTENT_RANGE.fullmatch(text)
    if found is None:
        raise Malformed("Content-Range")
    first, last, size = int(found[1]), int(found[2]), int(found[3])
    if not first <= last < size:
        raise Malformed("Content-Range outside the whole")
    return Span(first, last + 1), size


def etag(digest: Digest) -> str:
    """The strong entity tag of the resource."""
    return f'"sha-256:{digest.b64}"'


def is_strong_etag(text: str) -> bool:
    """Whether it is one strong entity tag (RFC 9110 8.8.3)."""
    return _STRONG.fullmatch(text) is not None


def matches_etag(text: str | None, digest: Digest) -> bool:
    """Whether an If-None-Match or If-Range names the resource; weak tags name nothing here (RFC 9110 13.1)."""
    listed = [each.strip() for each in (text or "").split(",")]
    return listed == ["*"] or etag(digest) in listed


def render_repr_digest(digest: Digest) -> str:
    """The Repr-Digest of the resource (RFC 9530 3)."""
    return f"sha-256=:{base64.b64encode(digest.raw).decode('ascii')}:"


def parse_repr_digest(text: str) -> Digest | None:
    """The SHA-256 that a Repr-Digest states; None when it has other algorithms only.

    Raises:
        Malformed: it is no dictionary of byte sequences, or states two different ones.
    """
    members = [_MEMBER.fullmatch(each.strip(" \t")) for each in text.split(",")]
    stated: set[Digest] = set()
    for member in members:
        if member is None:
            raise Malformed("Repr-Digest")
        if member[1] == "sha-256":
            stated.add(_sha256(member[2]))
    if len(stated) > 1:
        raise Malformed("Repr-Digest contradicts itself")
    return next(iter(stated), None)


def _sha256(text: str) -> Digest:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Malformed("Repr-Digest base64") from None
    if len(raw) != 32:
        raise Malformed("Repr-Digest length")
    return Digest(raw)


def parse_retry_after(text: str | None, now: Instant) -> int | None:
    """The seconds to wait, within [1, `LONGEST_RETRY`]; None when nothing sensible is said (RFC 9110 10.2.3)."""
    stripped = (text or "").strip()
    if _SECONDS.fullmatch(stripped):
        wanted = float(stripped)
    elif (until := _parse_date(stripped)) is not None:
        wanted = (until - now).total_seconds()
    else:
        return None
    return int(min(max(wanted, 1), LONGEST_RETRY))


def _parse_date(text: str) -> Instant | None:
    found = _DATE.fullmatch(text)
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def content_disposition(filename: str) -> str:
    """A Content-Disposition that makes browsers save under a harmless form of `filename` (RFC 6266 4, RFC 8187 3.2)."""
    safe = "".join(map(_harmless, unicodedata.normalize("NFC", filename)))[:MOST_FILENAME].strip(" .")
    if not safe:
        return "attachment"
    plain = "".join(each if each.isascii() else "_" for each in safe)
    value = f'attachment; filename="{plain}"'
    return value if plain == safe else f"{value}; filename*=UTF-8''{quote(safe, safe='')}"


def _harmless(character: str) -> str:
    # Categories C are controls, bidirectional overrides, surrogates and the unassigned; Z other than space are breaks.
    category = unicodedata.category(character)[0]
    return "_" if character in _UNSAFE or category == "C" or (category == "Z" and character != " ") else character


def parse_wait(prefer: str | None) -> int:
    """The seconds that a Prefer field is ready to wait, within [0, `LONGEST_WAIT`] (RFC 7240 4.3)."""
    for preference in (prefer or "").split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found is not None:
            return min(int(found[1]), LONGEST_WAIT)
    return 0


def parse_ni_path(text: str) -> Digest:
    """The digest in the path `/.well-known/ni/sha-256/<digest>` (RFC 6920 4).

    Raises:
        Malformed: it is another path, or the digest is not canonical; nothing is decoded.
    """
    if not text.startswith(NI_PATH):
        raise Malformed("not an ni path for sha-256")
    return parse_digest(text.removeprefix(NI_PATH))


def ni_path(digest: Digest) -> str:
    """The path of the resource."""
    return f"{NI_PATH}{digest.b64}"


def chunks_path(digest: Digest) -> str:
    """The path of the resource's chunk list."""
    return f"{CHUNKS_PATH}{digest.b64}"
