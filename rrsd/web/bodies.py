"""Request bodies, capped. `rrsd.web.site` has counted them before a handler runs; here each route says its own most."""

from typing import Any, cast

from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.refusals import TooLarge, Unsupported
from rrsd.core.wire.oauth import Form, parse_form
from rrsd.core.wire.strictjson import parse_object

SMALL = 65536


def read(request: IRequest, most: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than `most`.
    """
    data: bytes = cast(Any, request).content.read(most + 1)
    if len(data) > most:
        raise TooLarge("request body")
    return data


def has_body(request: IRequest) -> bool:
    """Whether there are any bytes."""
    content = cast(Any, request).content
    is_empty = not content.read(1)
    content.seek(0)
    return not is_empty


def read_object(request: IRequest, most: int = SMALL) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        Unsupported: the media type is another one.
        TooLarge: it is longer than `most`.
        Malformed: it is not one JSON object.
    """
    kind = cast(Request, request).getHeader("content-type") or ""
    if kind.partition(";")[0].strip().lower() not in ("application/json", "application/merge-patch+json"):
        raise Unsupported("media type is not JSON")
    return parse_object(read(request, most), most)


def form_of(request: IRequest) -> Form:
    """The parameters in the body; any in the query are refused (T-02).

    Raises:
        Unsupported, Malformed: as `rrsd.core.wire.oauth.parse_form`.
        TooLarge: it is longer than 64 KiB.
    """
    found = cast(Request, request)
    query = found.uri.partition(b"?")[2]
    return parse_form(found.getHeader("content-type"), query, read(request, SMALL))
