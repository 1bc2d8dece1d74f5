"""Content digests: the only truth about bytes (RFC 6920, RFC 4648 5)."""

import base64
import hashlib
import re

from attrs import frozen

from rrsd.core.refusals import Malformed

_B64 = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


@frozen(order=True)
class Digest:
    """A SHA-256 value, 32 bytes."""

    raw: bytes

    def __str__(self) -> str:
        return self.b64

    @property
    def b64(self) -> str:
        """base64url without padding, 43 characters."""
        return base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode("ascii")

    @property
    def hex(self) -> str:
        """Lower-case hexadecimal, 64 characters."""
        return self.raw.hex()

    @property
    def ni(self) -> str:
        """The RFC 6920 name without authority."""
        return f"ni:///sha-256;{self.b64}"


def digest_of(data: bytes) -> Digest:
    """The digest of `data`."""
    return Digest(hashlib.sha256(data).digest())


def parse_digest(text: str) -> Digest:
    """The digest written as canonical base64url without padding.

    Raises:
        Malformed: another alphabet, length, padding, or non-zero spare bits.
    """
    if not _B64.fullmatch(text):
        raise Malformed("digest is not canonical base64url")
    return Digest(base64.urlsafe_b64decode(text + "="))


def parse_hex_digest(text: str) -> Digest:
    """The digest written as 64 lower-case hexadecimal digits.

    Raises:
        Malformed: it is not.
    """
    if not _HEX.fullmatch(text):
        raise Malformed("digest is not lower-case hexadecimal")
    return Digest(bytes.fromhex(text))


def parse_ni(text: str) -> Digest:
    """The digest of an RFC 6920 name `ni:///sha-256;<base64url>`; an authority is not accepted.

    Raises:
        Malformed: it is no such name.
    """
    head, _, value = text.partition(";")
    if head != "ni:///sha-256":
        raise Malformed("not an ni name for sha-256")
    return parse_digest(value)
