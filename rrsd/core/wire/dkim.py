"""DKIM signatures and keys as they are written (RFC 6376 3.2, 3.5 and 3.6.1, RFC 8301, RFC 8463), and ARC's (RFC 8617
4.1)."""

import base64
import binascii
import re
from collections.abc import Mapping

from attrs import frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Domain, parse_domain

MOST_RECORD = 4096  # bytes of a key record; the largest RSA key that anybody uses takes a fifth of that
MOST_SIGNATURE = 4096  # bytes of a signature's field; those of the largest keys take a third of that

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_VALUE = re.compile(r"[!-:<-~ \t]*", re.ASCII)
_WORD = re.compile(r"[!-9;-~]*", re.ASCII)
_BLANK = re.compile(r"\s+", re.ASCII)
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_NEEDED = frozenset({"v", "a", "b", "bh", "d", "h", "s"})
_SEALS = frozenset({"i", "a", "b", "d", "s"})
_INSTANCE = re.compile(r"[1-9]|[1-4][0-9]|50", re.ASCII)
_ED25519 = 32


@frozen
class Signature:
    """What a DKIM-Signature field says. `covered` are the lower-case names of h=, `agent` is the domain of i=.

    `is_relaxed` is whether runs of blanks in the body count as one (3.4.4).
    `created` and `expires` are seconds since the epoch. `is_partial` is whether it has l=, whatever l= says.
    """

    domain: Domain
    selector: str
    algorithm: str
    covered: frozenset[str]
    agent: str
    created: int | None
    expires: int | None
    is_partial: bool
    is_relaxed: bool

    @property
    def name(self) -> str:
        """Where in DNS its key is."""
        return f"{self.selector}._domainkey.{self.domain}"


@frozen
class Seal:
    """What an ARC-Message-Signature or ARC-Seal field says (RFC 8617 4.1). `validation` is cv=, lower case, which only
    the latter has; `covered` is h=, which only the former has."""

    instance: int
    domain: Domain
    selector: str
    algorithm: str
    validation: str
    covered: frozenset[str]
    is_partial: bool
    is_relaxed: bool

    @property
    def name(self) -> str:
        """Where in DNS its key is."""
        return f"{self.selector}._domainkey.{self.domain}"


@frozen
class Key:
    """What a key record says. `bits` is the length of the modulus, or 256 for ed25519; None in `hashes` is any."""

    kind: str
    bits: int
    hashes: frozenset[str] | None
    services: frozenset[str]
    flags: frozenset[str]


def parse_signature(text: str) -> Signature:
    """The signature in an unfolded DKIM-Signature field.

    Its selector is one label: what has more of them may be in somebody else's hands.

    Raises:
        Malformed: no tag list, a tag twice or missing, or a value without a meaning; names that are none.
    """
    if len(text) > MOST_SIGNATURE:
        raise Malformed("signature is too long")
    tags = _parse_tags(text)
    if not tags.keys() >= _NEEDED or tags["v"] != "1" or "dns/txt" not in _list(tags.get("q", "dns/txt")):
        raise Malformed("signature lacks a tag, or is of another version")
    domain = parse_domain(tags["d"])
    return Signature(
        domain,
        _parse_selector(tags["s"]),
        tags["a"].lower(),
        _list(tags["h"]),
        tags.get("i", f"@{domain}").rpartition("@")[2].lower(),
        _seconds(tags, "t"),
        _seconds(tags, "x"),
        "l" in tags,
        tags.get("c", "").lower().endswith("/relaxed"),
    )


def parse_seal(text: str) -> Seal:
    """The signature in an unfolded ARC-Message-Signature or ARC-Seal field.

    Raises:
        Malformed: as `parse_signature`; or an instance that is no number from 1 to 50.
    """
    if len(text) > MOST_SIGNATURE:
        raise Malformed("signature is too long")
    tags = _parse_tags(text)
    if not tags.keys() >= _SEALS or ("h" in tags) == ("cv" in tags) or ("h" in tags) != ("bh" in tags):
        raise Malformed("ARC field lacks a tag, or has another one's")
    return Seal(
        parse_instance(tags["i"]),
        parse_domain(tags["d"]),
        _parse_selector(tags["s"]),
        tags["a"].lower(),
        tags.get("cv", "").lower(),
        _list(tags.get("h", "")),
        "l" in tags,
        tags.get("c", "relaxed/relaxed").lower().endswith("/relaxed"),
    )


def parse_instance(text: str) -> int:
    """The number of an ARC set (RFC 8617 4.2.1).

    Raises:
        Malformed: it is none from 1 to 50.
    """
    if not _INSTANCE.fullmatch(text):
        raise Malformed("ARC instance")
    return int(text)


def parse_key(data: bytes) -> Key:
    """The key in a TXT record, strings joined.

    Raises:
        Malformed: it is no key record, its key is revoked (an empty p=) or none that can be read.
    """
    if len(data) > MOST_RECORD or not data.isascii():
        raise Malformed("key record is too long, or not ASCII")
    text = data.decode("ascii")
    tags = _parse_tags(text)
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise Malformed("key record is of another version")
    kind = tags.get("k", "rsa").lower()
    hashes = _list(tags["h"]) if "h" in tags else None
    return Key(kind, _bits(kind, tags.get("p", "")), hashes, _list(tags.get("s", "*")), _list(tags.get("t", "")))


def _parse_tags(text: str) -> Mapping[str, str]:
    tags: dict[str, str] = {}
    specs = text.split(";")
    for spec in specs if specs[-1].strip() else specs[:-1]:
        name, _, value = (each.strip(" \t") for each in spec.partition("="))
        if name in tags or not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise Malformed("tag list")
        tags[name] = value
    return tags


def _list(text: str) -> frozenset[str]:
    """The words between colons, lower case (RFC 6376 3.5 h=, 3.6.1 h=, s=, t=)."""
    words = [word.strip(" \t") for word in text.split(":")]
    if not all(_WORD.fullmatch(word) for word in words):
        raise Malformed("list in a tag")
    return frozenset(word.lower() for word in words)


def _parse_selector(text: str) -> str:
    selector = text.lower()
    if not _SELECTOR.fullmatch(selector):
        raise Malformed("selector")
    return selector


def _seconds(tags: Mapping[str, str], name: str) -> int | None:
    if name not in tags:
        return None
    if not _SECONDS.fullmatch(tags[name]):
        raise Malformed("time in a signature")
    return int(tags[name])


def _bits(kind: str, text: str) -> int:
    try:
        der = base64.b64decode(_BLANK.sub("", text), validate=True)
        if kind == "ed25519" and len(der) == _ED25519:
            return len(der) * 8
        key = load_der_public_key(der)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("key is revoked or cannot be read") from None
    if kind != "rsa" or not isinstance(key, RSAPublicKey):
        raise Malformed("key is not of its kind")
    return key.key_size
