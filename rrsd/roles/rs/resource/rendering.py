"""Requests read and answers written, without a decision."""

from collections.abc import AsyncIterator

from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, TooLarge, Unknown
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.wire.fields import content_disposition, etag, render_content_range, render_repr_digest
from rrsd.roles.rs.flow.strangers import Caller, Reading, Wanted
from rrsd.web.peers import address_of, certificate_of
from rrsd.web.streams import send


def caller_of(request: IRequest) -> Caller:
    """Who sent it; a certificate that cannot be read is none."""
    try:
        certificate = certificate_of(request)
    except (Malformed, TooLarge):
        certificate = None
    return Caller(_values(request, b"authorization"), certificate, address_of(request))


def digest_of(name: str) -> Digest:
    """The digest in a path.

    Raises:
        Unknown: there can be no such resource.
    """
    try:
        return parse_digest(name)
    except Malformed:
        raise Unknown("not a digest") from None


def wanted_of(request: IRequest, name: str) -> Wanted:
    """Which bytes are asked for."""
    return Wanted(
        digest_of(name),
        body=request.method == b"GET",
        range=field_of(request, b"range"),
        if_range=field_of(request, b"if-range"),
        if_none_match=field_of(request, b"if-none-match"),
    )


def field_of(request: IRequest, name: bytes) -> str | None:
    """The header field, repeated ones joined; None when it is missing."""
    return ", ".join(_values(request, name)) or None


def _values(request: IRequest, name: bytes) -> tuple[str, ...]:
    return tuple(value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name, ()))


async def show(request: IRequest, reading: Reading) -> bytes | None:
    """Answer with the granted bytes (protocol 5)."""
    _show_head(request, reading)
    if reading.unchanged or reading.rest is None:
        return b""
    if len(reading.first) == reading.span.end - reading.span.start:
        return reading.first
    await send(request, _joined(reading.first, reading.rest))
    return None


def _show_head(request: IRequest, reading: Reading) -> None:
    grant, span = reading.grant, reading.span
    headers = {
        "ETag": etag(grant.digest),
        "Accept-Ranges": "bytes",
        "Repr-Digest": render_repr_digest(grant.digest),
        "Cache-Control": "private, no-transform",
        "X-Content-Type-Options": "nosniff",
    }
    if not reading.unchanged:
        headers["Content-Type"] = grant.media_type
        headers["Content-Disposition"] = content_disposition(grant.filename)
        headers["Content-Length"] = str(span.end - span.start)
    if not reading.whole:
        headers["Content-Range"] = render_content_range(span, grant.size)
    request.setResponseCode(304 if reading.unchanged else 200 if reading.whole else 206)
    for name, value in headers.items():
        request.setHeader(name, value)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for block in rest:
            yield block
    finally:
        if (close := getattr(rest, "aclose", None)) is not None:
            await close()
