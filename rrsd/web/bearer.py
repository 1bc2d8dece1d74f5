"""The bearer token of a request (RFC 6750 2.1)."""

from typing import cast

from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.wire.oauth import parse_bearer


def bearer_of(request: IRequest) -> str:
    """The one token in `Authorization`; the query and the body are never looked at.

    Raises:
        Unauthenticated: there is none.
        Malformed: two, another scheme, or characters that no token has.
    """
    values = cast(Request, request).requestHeaders.getRawHeaders(b"authorization", [])
    return parse_bearer([value.decode("latin-1") for value in values])
