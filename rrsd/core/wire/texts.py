"""TXT records of this protocol: the keys of a client at its own name, the issuer of a mail domain at `_rrs`.

A record is a list of `tag=value`, separated by semicolons, that begins with its version. Records of other protocols may
stand beside it; one that means to be ours and is not well-formed makes the whole answer unusable.
"""

import re
from collections.abc import Mapping, Sequence

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, parse_hex_digest
from rrsd.core.values.peers import Issuer, parse_issuer
from rrsd.core.values.records import Text

ISSUER_LABEL = "_rrs"
MOST_LENGTH = 255
"""What one character string holds (RFC 1035 3.3.14): a record of ours is never split."""
MOST_KEYS = 3
"""The next key, the one in use, and the old one until it is withdrawn."""

_CLIENT = frozenset({"dance1", "grip1"})
_ISSUER = frozenset({"rrs1"})
_VERSION = re.compile(r"[ \t]*v[ \t]*=[ \t]*([a-z0-9]*)", re.ASCII)
_TAG = re.compile(r"[ \t]*([a-z][a-z0-9_-]*)[ \t]*=[ \t]*([!-:<-~]*)[ \t]*", re.ASCII)


def parse_client_keys(texts: Sequence[Text]) -> tuple[Digest, ...] | None:
    """The SubjectPublicKeyInfo hashes that the records at a client's name publish; None when none of them is ours.

    Read are `v=DANCE1; h=sha256; p=…` and `v=grip1`, where `h` may be missing; `f` stands for `p` in both. Several
    hashes, old and new key while one replaces the other, are one list with commas.

    Raises:
        Malformed: more than one record is ours, or ours is not well-formed.
    """
    tags = _only(texts, _CLIENT, ("p", "f"))
    if tags is None:
        return None
    if tags.get("h", "" if tags["v"].lower() == "dance1" else "sha256") != "sha256":
        raise Malformed("TXT hash is not sha256")
    values = [tags[name] for name in ("p", "f") if name in tags]
    if len(values) != 1:
        raise Malformed("TXT has not exactly one of p and f")
    hashes = tuple(map(parse_hex_digest, values[0].split(",")))
    if len(hashes) > MOST_KEYS or len(set(hashes)) != len(hashes):
        raise Malformed("TXT lists too many keys, or one twice")
    return hashes


def render_client_keys(hashes: Sequence[Digest]) -> str:
    """The record that publishes the keys at the client's name."""
    return f"v=DANCE1; h=sha256; p={','.join(each.hex for each in hashes)}"


def parse_issuer_text(texts: Sequence[Text]) -> Issuer | None:
    """The issuer that the records at `_rrs.<domain>` name; None when none of them is ours.

    Raises:
        Malformed: more than one record is ours, or ours is not well-formed.
    """
    tags = _only(texts, _ISSUER, ("iss",))
    if tags is None:
        return None
    if "iss" not in tags:
        raise Malformed("TXT without iss")
    return parse_issuer(tags["iss"])


def render_issuer_text(issuer: Issuer) -> str:
    """The record that names the issuer of a mail domain."""
    return f"v=rrs1; iss={issuer}"


def zone_line(name: str, ttl: int, kind: str, data: str) -> str:
    """A record as a zone file has it (RFC 1035 5.1); `name` has no final dot, `ttl` is seconds."""
    return f"{name}. {ttl} IN {kind} " + (f'"{data}"' if kind == "TXT" else data)


def _only(texts: Sequence[Text], versions: frozenset[str], telling: Sequence[str]) -> Mapping[str, str] | None:
    ours = [text.data for text in texts if _is_ours(text.data, versions, telling)]
    if not ours:
        return None
    if len(ours) > 1:
        raise Malformed("more than one TXT record")
    return _tags(ours[0], versions)


def _is_ours(data: bytes, versions: frozenset[str], telling: Sequence[str]) -> bool:
    """Whether it means to be: our version stands anywhere, or a tag of ours in a record that names no protocol."""
    parts = data.decode("latin-1").lower().split(";")
    named = [found[1] for found in map(_VERSION.match, parts) if found is not None]
    if any(version in versions for version in named):
        return True
    told = {part.partition("=")[0].strip(" \t") for part in parts if "=" in part}
    return not named and any(name in told for name in telling)


def _tags(data: bytes, versions: frozenset[str]) -> Mapping[str, str]:
    if len(data) > MOST_LENGTH or not data.isascii():
        raise Malformed("TXT characters or length")
    parts = data.decode("ascii").removesuffix(";").split(";")
    found = [_TAG.fullmatch(part) for part in parts]
    tags = {each[1]: each[2] for each in found if each is not None}
    if len(tags) != len(parts):
        raise Malformed("TXT tags, or one twice")
    if next(iter(tags)) != "v" or tags["v"].lower() not in versions:
        raise Malformed("TXT does not begin with its version")
    return tags
