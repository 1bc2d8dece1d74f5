"""What a resource server's answer means before a byte of its body is read (pure; RFC 9110 14, RFC 9530).

Nothing here believes the request: a 206 is judged by its Content-Range, never by what was asked for.
"""

from collections.abc import Mapping

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.wire import fields
from rrsd.roles.rra.rules import Outcome, Result


@frozen
class Asked:
    """What a request for a resource must lead to: `size` bytes under `digest`, those from `offset` on under
    `validator`, up to `end` where not all of these are wanted."""

    digest: Digest
    size: int
    offset: int = 0
    validator: str = ""
    end: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether less than the whole is asked for."""
        return bool(self.offset) or self.end is not None

    @property
    def stop(self) -> int:
        """Where it ends."""
        return self.size if self.end is None else self.end


@frozen
class Body:
    """The answer's body is the rest of the resource: `length` bytes, `validator` its strong ETag or ""."""

    length: int
    validator: str


@frozen
class Restart:
    """The answer cannot continue what is there; the next request is for byte 0."""

    evidence: str


Verdict = Body | Restart | Result

STATUSES: Mapping[int, Outcome] = {
    401: Outcome.NOT_AUTHORIZED,
    403: Outcome.NOT_PERMITTED,
    404: Outcome.MISSING,
    408: Outcome.BROKEN,
    410: Outcome.REFUSED,
    413: Outcome.REFUSED,
    425: Outcome.BROKEN,
    429: Outcome.PUSHED_BACK,
    451: Outcome.REFUSED,
    500: Outcome.BROKEN,
    502: Outcome.UNREACHABLE,
    503: Outcome.UNREACHABLE,
    504: Outcome.UNREACHABLE,
}
"""Outcomes of statuses other than 200, 206 and 416. What is missing here is decided by its hundred."""


def request_headers(asked: Asked, delegation: str) -> tuple[tuple[str, str], ...]:
    """The header fields of a request for what is missing. Content codings are declined always: a coding and a range
    together have corrupted files."""
    headers = [("authorization", f"Bearer {delegation}"), ("accept-encoding", "identity")]
    if asked.is_part:
        last = "" if asked.end is None else asked.end - 1
        headers += [("range", f"bytes={asked.offset}-{last}"), ("if-range", asked.validator)]
    return tuple(headers)


def judge(status: int, headers: Mapping[str, str], asked: Asked, now: Instant) -> Verdict:
    """What the answer's head means; `headers` by lower-case name."""
    if status == 200:
        return _whole(headers, asked)
    if status == 206:
        return _rest(headers, asked)
    if status == 416 and asked.is_part:
        return Restart("416 to a resumed request")
    return _status(status, headers, now)


def _status(status: int, headers: Mapping[str, str], now: Instant) -> Result:
    retry_after = fields.parse_retry_after(headers.get("retry-after"), now)
    if status in (429, 503) and (retry_after is not None or status == 429):
        return Result(Outcome.PUSHED_BACK, f"status {status}", retry_after)
    if status in STATUSES:
        return Result(STATUSES[status], f"status {status}")
    if 400 <= status < 500:
        return Result(Outcome.REFUSED, f"status {status}")
    return Result(Outcome.BROKEN, f"status {status}" + (", a redirect is not followed" if 300 <= status < 400 else ""))


def _whole(headers: Mapping[str, str], asked: Asked) -> Verdict:
    if asked.is_part:
        return Restart("200 to a range request")
    if "content-range" in headers:
        return Result(Outcome.BROKEN, "200 with a Content-Range")
    return _content(headers, asked) or _length(headers, asked)


def _length(headers: Mapping[str, str], asked: Asked) -> Verdict:
    if headers.get("content-length") != str(asked.size):
        return Result(Outcome.MISMATCH, f"length {headers.get('content-length', 'unknown')}, not {asked.size}")
    return Body(asked.size, _validator(headers))


def _rest(headers: Mapping[str, str], asked: Asked) -> Verdict:
    if not asked.is_part:
        return Result(Outcome.BROKEN, "206 to a request for the whole")
    try:
        span, total = fields.parse_content_range(headers.get("content-range", ""))
    except Malformed:
        return Restart("206 without a usable Content-Range")
    if (span.start, span.end, total) != (asked.offset, asked.stop, asked.size):
        return Restart(f"Content-Range {span.start}-{span.end - 1}/{total} is not the missing rest")
    if _validator(headers) != asked.validator:
        return Restart("the validator changed")
    return _content(headers, asked) or Body(asked.stop - asked.offset, asked.validator)


def _content(headers: Mapping[str, str], asked: Asked) -> Result | None:
    """Whether the head already says that these are other bytes."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        return Result(Outcome.BROKEN, "a content coding that was not asked for")
    try:
        stated = fields.parse_repr_digest(headers["repr-digest"]) if "repr-digest" in headers else None
    except Malformed:
        return Result(Outcome.MISMATCH, "Repr-Digest contradicts itself")
    if stated is not None and stated != asked.digest:
        return Result(Outcome.MISMATCH, "Repr-Digest is another")
    return None


def _validator(headers: Mapping[str, str]) -> str:
    etag = headers.get("etag", "")
    return etag if fields.is_strong_etag(etag) else ""
