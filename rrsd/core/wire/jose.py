"""Compact JWS and key sets as they come in, before anybody believes them (RFC 7515, RFC 7517, RFC 7638, RFC 8725)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.tokens import Algorithm, ClaimedJws, KeySet, PublicKey
from rrsd.core.wire import base64url, keys, strictjson

MOST_KEYS = 100
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_KID = re.compile(r"[!-~]{1,256}", re.ASCII)
_SIGNATURE_SIZES = {
    Algorithm.ES256: range(64, 65),
    Algorithm.EDDSA: range(64, 65),
    Algorithm.RS256: range(keys.LEAST_RSA // 8, keys.MOST_RSA // 8 + 1),
    Algorithm.PS256: range(keys.LEAST_RSA // 8, keys.MOST_RSA // 8 + 1),
}
# Extensions change what is signed, and keys that come with the token are the attacker's (RFC 8725 3.10).
_FORBIDDEN = frozenset({"crit", "b64", "zip", "jku", "x5u", "jwk", "x5c"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ALSO = {"Ed25519": Algorithm.EDDSA}  # RFC 9864 2.2


def parse_jws(text: str, most: int = 16384) -> ClaimedJws:
    """The JWS in compact serialization that `text` is; nobody has looked at its signature.

    An `application/` before the `typ` is dropped (RFC 7515 4.1.9).

    Raises:
        Malformed: another serialization, base64url that is not canonical, JSON with two readings, an algorithm that is
            not verified here (`none` included), no `typ`, an extension or a key in the header, or a signature whose
            length is not that of its algorithm.
        TooLarge: more than `most` characters.
    """
    if len(text) > most:
        raise TooLarge(f"JWS of {len(text)} characters")
    if not _COMPACT.fullmatch(text):
        raise Malformed("not a compact JWS")
    signing, _, last = text.rpartition(".")
    first, _, second = signing.partition(".")
    header = strictjson.parse_object(base64url.decode(first))
    algorithm, typ, kid = _parse_header(header)
    signature = base64url.decode(last)
    if len(signature) not in _SIGNATURE_SIZES[algorithm]:
        raise Malformed("signature length")
    claims = strictjson.parse_object(base64url.decode(second))
    return ClaimedJws(text, algorithm, typ, kid, claims, signing.encode("ascii"), signature)


def _parse_header(header: Mapping[str, Any]) -> tuple[Algorithm, str, str | None]:
    if _FORBIDDEN & header.keys():
        raise Malformed("extension or key in a JOSE header")
    named, typ, kid = header.get("alg"), header.get("typ"), header.get("kid")
    if not isinstance(named, str) or named not in Algorithm.__members__.values():
        raise Malformed("algorithm is not verified here")
    if not isinstance(typ, str) or not typ:
        raise Malformed("no typ")
    if kid is not None and not _is_kid(kid):
        raise Malformed("kid")
    return Algorithm(named), typ.removeprefix("application/"), kid


def _is_kid(kid: object) -> bool:
    return isinstance(kid, str) and _KID.fullmatch(kid) is not None


def signing_input(algorithm: str, typ: str, kid: str | None, claims: Mapping[str, object]) -> bytes:
    """The bytes to sign (RFC 7515 5.1)."""
    return f"{_header(str(algorithm), str(typ), kid)}.{base64url.encode(strictjson.render(claims))}".encode("ascii")


@lru_cache(maxsize=256)
def _header(algorithm: str, typ: str, kid: str | None) -> str:
    header = {"alg": algorithm, "typ": typ} | ({} if kid is None else {"kid": kid})
    return base64url.encode(strictjson.render(header))


def join_jws(signing_input: bytes, signature: bytes) -> str:
    """The compact serialization of a signed text."""
    return f"{signing_input.decode('ascii')}.{base64url.encode(signature)}"


def parse_key_set(document: Mapping[str, Any]) -> KeySet:
    """The usable verification keys of a JWK set; a key without `kid` gets its thumbprint.

    Keys that are not for verifying, are weak, of another type, or published with their private half are left out.

    Raises:
        Malformed: it is no JWK set, has two keys under one `kid`, more than `MOST_KEYS`, or a symmetric key.
    """
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise Malformed("not a JWK set")
    members = [entry for entry in entries if isinstance(entry, dict)]
    if len(members) != len(entries) or any(entry.get("kty") == "oct" for entry in members):
        raise Malformed("JWK set with a symmetric key")
    found = [key for entry in members if (key := _usable(entry)) is not None]
    kids = [entry["kid"] for entry in members if isinstance(entry.get("kid"), str)]
    if len(set(kids)) != len(kids) or len({key.kid for key in found}) != len(found):
        raise Malformed("two keys with one kid")
    return KeySet(tuple(found))


def _usable(entry: Mapping[str, Any]) -> PublicKey | None:
    if _PRIVATE & entry.keys() or entry.get("use", "sig") != "sig" or not _may_verify(entry):
        return None
    try:
        fits = keys.algorithms_of(keys.load_jwk(entry))
    except Malformed:
        return None
    named = entry.get("alg", str(fits[0]))
    algorithm = next((each for each in fits if named in (each, *_other_names(each))), None)
    jwk = {name: entry[name] for name in ("kty", *keys.REQUIRED[entry["kty"]])}
    kid = entry.get("kid", thumbprint(jwk).b64)
    return PublicKey(kid, algorithm, jwk) if algorithm is not None and _is_kid(kid) else None


def _may_verify(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return isinstance(operations, list) and "verify" in operations


def _other_names(algorithm: Algorithm) -> list[str]:
    return [name for name, meant in _ALSO.items() if meant is algorithm]


def render_key_set(key_set: KeySet) -> dict[str, Any]:
    """The JWK set to publish."""
    return {
        "keys": [{**key.jwk, "kid": key.kid, "alg": str(key.algorithm), "use": "sig"} for key in key_set.keys],
    }


def thumbprint(jwk: Mapping[str, Any]) -> Digest:
    """The RFC 7638 thumbprint of a public key.

    Raises:
        Malformed: a required member is missing, or the key type is not one of EC, OKP, RSA.
    """
    kty = jwk.get("kty")
    names = keys.REQUIRED.get(kty) if isinstance(kty, str) else None
    if names is None or not all(isinstance(jwk.get(name), str) for name in names):
        raise Malformed("key members")
    return digest_of(strictjson.render({name: jwk[name] for name in sorted(("kty", *names))}))


def public_jwk(pem: bytes) -> dict[str, str]:
    """The JWK of a PEM public key, required members only.

    Raises:
        Malformed: it is not a key of a type that is verified here.
    """
    return keys.describe(keys.load_pem(pem))
