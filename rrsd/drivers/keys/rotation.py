"""The life of a signing key: published as next, signs while active, stays published for a grace when retired.

    next ──rotate──▶ active ──rotate──▶ retired ──grace──▶ gone

Verifiers fetch the next key long before it signs anything, and can check what a retired key signed until that expires.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from rrsd.core.refusals import Damaged
from rrsd.core.values.instants import Instant, instant, seconds
from rrsd.core.values.tokens import Algorithm, KeySet, PublicKey
from rrsd.core.wire import jose
from rrsd.core.wire.keys import describe
from rrsd.drivers.keys import material
from rrsd.drivers.keys.files import parse_keys, render_keys
from rrsd.drivers.keys.material import PrivateKey

REPEAT = timedelta(minutes=1)
"""A rotation so soon after the last one is the same command again."""


class State(StrEnum):
    """Where a signing key is in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@frozen
class SigningKey:
    """A key pair with its state since an instant; `kid` is the RFC 7638 thumbprint."""

    kid: str
    state: State
    since: Instant
    private: PrivateKey = field(repr=False, eq=False)
    public: Mapping[str, str] = field(repr=False)

    @property
    def algorithm(self) -> Algorithm:
        """What it signs with."""
        return material.algorithm_of(self.private)


def key_of(private: PrivateKey, state: State, since: Instant) -> SigningKey:
    """The key pair of `private` in `state`."""
    public = describe(private.public_key())
    return SigningKey(jose.thumbprint(public).b64, state, since, private, public)


def generate(state: State, since: Instant, algorithm: Algorithm = Algorithm.ES256) -> SigningKey:
    """A fresh key pair."""
    return key_of(material.generate(algorithm), state, since)


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
    return KeySet(tuple(PublicKey(key.kid, key.algorithm, key.public) for key in published), waiting)


def render(keys: Iterable[SigningKey]) -> bytes:
    """The content of the key file."""
    return render_keys(map(_render_key, keys))


def _render_key(key: SigningKey) -> dict[str, Any]:
    jwk = {**key.public, **material.private_members(key.private), "kid": key.kid, "alg": key.algorithm.value}
    return {"state": key.state.value, "since": seconds(key.since), "jwk": jwk}


def parse(data: bytes) -> tuple[SigningKey, ...]:
    """The keys that the key file holds: one active at most, one next at most.

    Raises:
        Damaged: the bytes are not what `render` writes, or a key is not the one its name says.
    """
    keys = parse_keys(data, _parse_key, "signing")
    for state in (State.NEXT, State.ACTIVE):
        if sum(key.state is state for key in keys) > 1:
            raise Damaged(f"more than one key is {state}")
    return keys


def _parse_key(member: Mapping[str, Any]) -> SigningKey:
    jwk = member["jwk"]
    key = key_of(material.parse(jwk), State(member["state"]), instant(member["since"]))
    if key.kid != jwk["kid"]:
        raise Damaged("a signing key is not the one that its kid names")
    return key
