"""Proof that whoever redeems a code asked for it (RFC 7636); S256 only."""

import hmac
import re

from rrsd.core.refusals import Malformed, NotGranted
from rrsd.core.values.digests import digest_of

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 4.2).

    Raises:
        Malformed: it is not 43 to 128 unreserved characters.
    """
    if not _VERIFIER.fullmatch(verifier):
        raise Malformed("code_verifier")
    return digest_of(verifier.encode("ascii")).b64


def require_verifier(challenge: str, verifier: str) -> None:
    """None if `verifier` is what `challenge` was made of.

    Raises:
        Malformed: it is no verifier.
        NotGranted: it is another one (RFC 7636 4.6).
    """
    if not hmac.compare_digest(challenge_of(verifier).encode("ascii"), challenge.encode("utf-8", "replace")):
        raise NotGranted("code_verifier does not fit")
