"""Registered JWT claims, read strictly (RFC 7519 4.1, RFC 7800 3.1, RFC 8705 3.1)."""

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.instants import Instant, instant

_JTI = re.compile(r"[!-~]{1,256}", re.ASCII)
LAST = 253370764800  # the year 9999 begins; clocks that are apart must still fit an instant
# Confirmation methods that somebody could mean and that nobody here checks.
_OTHER_METHODS = frozenset({"jwk", "jwe", "kid", "jku", "jkt", "x5t"})


@frozen
class Times:
    """When a token was issued, begins and ends."""

    issued: Instant
    not_before: Instant
    expires: Instant


def text(claims: Mapping[str, Any], name: str) -> str:
    """The claim, a string that is not empty.

    Raises:
        Malformed: it is missing or something else, an array of one string included.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed(f"claim {name}")
    return value


def integer(claims: Mapping[str, Any], name: str, most: int) -> int:
    """The claim, a whole number in [0, most].

    Raises:
        Malformed: it is missing or something else, a boolean or 1.0 included.
    """
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise Malformed(f"claim {name}")
    return value


def members(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The claim, an object.

    Raises:
        Malformed: it is missing or something else.
    """
    value = claims.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"claim {name}")
    return value


def times(claims: Mapping[str, Any]) -> Times:
    """`iat`, `exp` and, where there is one, `nbf`.

    Raises:
        Malformed: one is not a whole number of seconds, or the token ends before it begins.
    """
    issued, expires = integer(claims, "iat", LAST), integer(claims, "exp", LAST)
    not_before = integer(claims, "nbf", LAST) if "nbf" in claims else issued
    if expires <= issued or expires <= not_before:
        raise Malformed("claim exp is not after iat and nbf")
    return Times(instant(issued), instant(not_before), instant(expires))


def jti(claims: Mapping[str, Any]) -> str:
    """The `jti`, 1 to 256 visible ASCII characters.

    Raises:
        Malformed: it is missing or something else.
    """
    value = text(claims, "jti")
    if not _JTI.fullmatch(value):
        raise Malformed("claim jti")
    return value


def confirmation(claims: Mapping[str, Any]) -> Digest:
    """The `x5t#S256` of `cnf`.

    Raises:
        Malformed: it is missing or not canonical, or another confirmation method stands beside it.
    """
    cnf = members(claims, "cnf")
    if _OTHER_METHODS & cnf.keys():
        raise Malformed("claim cnf has another method")
    return parse_digest(text(cnf, "x5t#S256"))
