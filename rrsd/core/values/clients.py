"""Registered clients of the token service, as they are kept (RFC 7591 2, RFC 8705 2)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from rrsd.core.values.instants import Instant


class Method(StrEnum):
    """How a client proves that it is the one it names; each client has exactly one."""

    SELF_SIGNED = "self_signed_tls_client_auth"
    """Its connection's certificate is one of those on its registration (RFC 8705 2.2)."""
    AUTHORITY = "tls_client_auth"
    """A CA of its registration issued the certificate, which has the name of its registration (RFC 8705 2.1)."""
    ASSERTION = "private_key_jwt"
    """A JWT by one of its keys, used once (RFC 7523 2.2)."""


@frozen
class ClientRow:
    """One client that the administrator registered: `document` says all about it, as `rrsctl clients add` sent it."""

    name: str
    document: Mapping[str, Any] = field(repr=False)
    disabled: bool
    created: Instant
