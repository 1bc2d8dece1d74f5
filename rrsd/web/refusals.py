"""What each refusal is over HTTP: status, OAuth error, challenge (RFC 6749 5.2, RFC 6750 3, RFC 8707 2, RFC 9728 5.1).

The table is total over `rrsd.core.refusals.ALL`; a reply says nothing beyond its row.
"""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from rrsd.core import refusals
from rrsd.core.refusals import Refusal
from rrsd.core.wire.oauth import render_challenge


@frozen
class Shape:
    """A status and the value of `error` in the body."""

    status: int
    error: str


TABLE: Mapping[type[Refusal], Shape] = MappingProxyType(
    {
        refusals.Malformed: Shape(400, "invalid_request"),
        refusals.Unauthenticated: Shape(401, "unauthorized"),
        refusals.UnknownClient: Shape(401, "invalid_client"),
        refusals.Unproven: Shape(401, "invalid_token"),
        refusals.Expired: Shape(401, "invalid_token"),
        refusals.Replayed: Shape(401, "invalid_token"),
        refusals.NotGranted: Shape(400, "invalid_grant"),
        refusals.UnsupportedGrant: Shape(400, "unsupported_grant_type"),
        refusals.UnauthorizedClient: Shape(400, "unauthorized_client"),
        refusals.WrongTarget: Shape(400, "invalid_target"),
        refusals.WrongScope: Shape(400, "invalid_scope"),
        refusals.Forbidden: Shape(403, "access_denied"),
        refusals.Unknown: Shape(404, "not_found"),
        refusals.Withdrawn: Shape(410, "gone"),
        refusals.Conflict: Shape(409, "conflict"),
        refusals.Unsupported: Shape(415, "invalid_request"),
        refusals.Unsatisfiable: Shape(416, "invalid_request"),
        refusals.TooLarge: Shape(413, "invalid_request"),
        refusals.TooMany: Shape(429, "slow_down"),
        refusals.Unavailable: Shape(503, "temporarily_unavailable"),
        refusals.NoSpace: Shape(507, "temporarily_unavailable"),
        refusals.Damaged: Shape(500, "server_error"),
    }
)


def shape_of(refusal: Refusal) -> Shape:
    """The row of the refusal."""
    return TABLE[type(refusal)]


def headers_of(refusal: Refusal, shape: Shape, resource_metadata: str = "") -> dict[str, str]:
    """The header fields that the refusal brings: `WWW-Authenticate` with a 401, `Retry-After` where there is one,
    `Content-Range` with a 416.

    A request that came without a credential is challenged without an error code (RFC 6750 3.1).
    """
    found: dict[str, str] = {}
    if shape.status == 401:
        parameters = {} if isinstance(refusal, refusals.Unauthenticated) else {"error": shape.error}
        if resource_metadata:
            parameters["resource_metadata"] = resource_metadata
        found["WWW-Authenticate"] = render_challenge("Bearer", **parameters)
    if isinstance(refusal, refusals.TooMany | refusals.Unavailable):
        found["Retry-After"] = str(max(1, refusal.retry_after))
    if isinstance(refusal, refusals.Unsatisfiable) and refusal.size is not None:
        found["Content-Range"] = f"bytes */{refusal.size}"
    return found
