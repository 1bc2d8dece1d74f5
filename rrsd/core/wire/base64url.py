"""base64url without padding, in its one canonical form (RFC 7515 2, RFC 4648 3.5 and 5)."""

import base64
import re

from rrsd.core.refusals import Malformed

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


def encode(data: bytes) -> str:
    """`data` without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """The bytes that `text` writes.

    Raises:
        Malformed: another alphabet, padding, an impossible length, or non-zero spare bits.
    """
    if not _ALPHABET.fullmatch(text) or len(text) % 4 == 1:
        raise Malformed("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise Malformed("base64url is not canonical")
    return data
