"""The life of a signing key: published as next, signs while active, stays published for a grace when retired.

    next ──rotate──▶ active ──rotate──▶ retired ──grace──▶ gone

Verifiers fetch the next key long before it signs anything, and can check what a retired key signed until that expires.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen
from cryptography.hazmat.primitives.asymmetric import ec

from rrsd.core.refusals import Damaged, Malformed
from rrsd.core.values.instants import Instant, instant, seconds
from rrsd.core.values.tokens import Algorithm, KeySet, PublicKey
from rrsd.core.wire import jose, strictjson

REPEAT = timedelta(minutes=1)
"""A rotation so soon after the last one is the same command again."""

_SIZE = 32  # bytes of a coordinate on P-256


class State(StrEnum):
    """Where a signing key is in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@frozen
class SigningKey:
    """An ES256 key pair with its state since an instant; `kid` is the RFC 7638 thumbprint."""

    kid: str
    state: State
    since: Instant
    private: ec.EllipticCurvePrivateKey = field(repr=False, eq=False)
    public: Mapping[str, str] = field(repr=False)


def key_of(private: ec.EllipticCurvePrivateKey, state: State, since: Instant) -> SigningKey:
    """The key pair of `private`, a P-256 key, in `state`."""
    public = public_members(private.public_key())
    return SigningKey(jose.thumbprint(public).b64, state, since, private, public)


def generate(state: State, since: Instant) -> SigningKey:
    """A fresh key pair."""
    return key_of(ec.generate_private_key(ec.SECP256R1()), state, since)


def public_members(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The public JWK of a P-256 key (RFC 7518 6.2.1)."""
    numbers = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}


def rotated(
    keys: Iterable[SigningKey], now: Instant, grace: timedelta, make: Callable[[State, Instant], SigningKey] = generate
) -> tuple[SigningKey, ...]:
    """The keys after a rotation at `now`; the same ones if the last rotation was less than `REPEAT` away."""
    before = tuple(keys)
    retired = [key for key in before if key.state is State.RETIRED]
    if any(abs(now - key.since) < REPEAT for key in retired):
        return before
    waiting = [key for key in before if key.state is State.NEXT]
    active = evolve(waiting[0], state=State.ACTIVE, since=now) if waiting else make(State.ACTIVE, now)
    ending = [evolve(key, state=State.RETIRED, since=now) for key in before if key.state is State.ACTIVE]
    kept = [key for key in retired if is_published(key, now, grace)]
    return (make(State.NEXT, now), active, *ending, *kept)


def is_published(key: SigningKey, now: Instant, grace: timedelta) -> bool:
    """Whether somebody may still have to verify with it, or soon will."""
    return key.state is not State.RETIRED or now < key.since + grace


def is_due(keys: Iterable[SigningKey], now: Instant, every: timedelta) -> bool:
    """Whether the active key has signed for `every`; where none is active the operator is asked, not the clock."""
    return any(key.state is State.ACTIVE and now >= key.since + every for key in keys)


def key_set(keys: Iterable[SigningKey], now: Instant, grace: timedelta) -> KeySet:
    """The public halves that are published at `now`; what comes with the next one's name is not ours (J-24)."""
    published = [key for key in keys if is_published(key, now, grace)]
    waiting = frozenset(key.kid for key in published if key.state is State.NEXT)
    return KeySet(tuple(PublicKey(key.kid, Algorithm.ES256, key.public) for key in published), waiting)


def render(keys: Iterable[SigningKey]) -> bytes:
    """The content of the key file."""
    return strictjson.render({"version": 1, "keys": [_render_key(key) for key in keys]}) + b"\n"


def _render_key(key: SigningKey) -> dict[str, Any]:
    secret = key.private.private_numbers().private_value
    jwk = {**key.public, "d": _coordinate(secret), "kid": key.kid, "alg": "ES256"}
    return {"state": key.state.value, "since": seconds(key.since), "jwk": jwk}


def parse(data: bytes) -> tuple[SigningKey, ...]:
    """The keys that the key file holds: one active at most, one next at most.

    Raises:
        Damaged: the bytes are not what `render` writes, or a key is not the one its name says.
    """
    try:
        document = strictjson.parse_object(data, 1024 * 1024)
        keys = tuple(_parse_key(member) for member in document["keys"])
    except Malformed as refusal:
        raise Damaged(refusal.detail) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Damaged("not a file of signing keys") from None
    for state in (State.NEXT, State.ACTIVE):
        if sum(key.state is state for key in keys) > 1:
            raise Damaged(f"more than one key is {state}")
    return keys


def _parse_key(member: Mapping[str, Any]) -> SigningKey:
    jwk = member["jwk"]
    if (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise Damaged("a signing key is not an EC key on P-256")
    public = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1())
    # The library checks that the point is on the curve and that the private value is the one of the point.
    private = ec.EllipticCurvePrivateNumbers(_number(jwk["d"]), public).private_key()
    key = key_of(private, State(member["state"]), instant(member["since"]))
    if key.kid != jwk["kid"]:
        raise Damaged("a signing key is not the one that its kid names")
    return key


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_SIZE, "big")).rstrip(b"=").decode("ascii")


def _number(text: str) -> int:
    return int.from_bytes(base64.b64decode(text + "=", altchars=b"-_", validate=True), "big")
