"""The walk of the agent's client key: the next one is published, then used, then the old one is withdrawn.

    settled ──publish──▶ published ──use──▶ switched ──withdraw──▶ settled

Others see the next key long before it is presented, and the old one for as long as somebody may still need it. At no
time are there more than two. A command that is given twice is the same command.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

from attrs import evolve, frozen

from rrsd.core.refusals import Conflict, Damaged
from rrsd.core.values.instants import Instant, instant, seconds
from rrsd.drivers.keys.certificates import KeyPair, load_pair
from rrsd.drivers.keys.files import parse_keys, render_keys


class State(StrEnum):
    """What a client key is for now."""

    NEXT = "next"
    CURRENT = "current"
    OLD = "old"


class Stage(StrEnum):
    """Where the walk stands."""

    SETTLED = "settled"
    PUBLISHED = "published"
    SWITCHED = "switched"


class Step(StrEnum):
    """What the operator says."""

    PUBLISH = "publish"
    USE = "use"
    WITHDRAW = "withdraw"


TABLE: Mapping[tuple[Stage, Step], Stage] = {
    (Stage.SETTLED, Step.PUBLISH): Stage.PUBLISHED,
    (Stage.PUBLISHED, Step.USE): Stage.SWITCHED,
    (Stage.SWITCHED, Step.WITHDRAW): Stage.SETTLED,
    # The same command again.
    (Stage.PUBLISHED, Step.PUBLISH): Stage.PUBLISHED,
    (Stage.SWITCHED, Step.USE): Stage.SWITCHED,
    (Stage.SETTLED, Step.WITHDRAW): Stage.SETTLED,
}
FOLLOWING: Mapping[Stage, Step] = {before: step for (before, step), after in TABLE.items() if before is not after}
"""The step that leads on."""


@frozen
class ClientKey:
    """A client certificate with its key, in a state since an instant."""

    state: State
    since: Instant
    pair: KeyPair


@frozen
class Waits:
    """How long others may remember: what was published before the next key, and what the old one did."""

    published: timedelta
    grace: timedelta


def stage_of(keys: Sequence[ClientKey]) -> Stage:
    """Where the walk of these keys stands."""
    states = {key.state for key in keys}
    if State.NEXT in states:
        return Stage.PUBLISHED
    return Stage.SWITCHED if State.OLD in states else Stage.SETTLED


def due(keys: Sequence[ClientKey], waits: Waits) -> Instant | None:
    """From when on the following step hurts nobody; None for at any time."""
    for key in keys:
        if key.state is State.NEXT:
            return key.since + waits.published
        if key.state is State.OLD:
            return key.since + waits.grace
    return None


def require_due(keys: Sequence[ClientKey], step: Step, now: Instant, waits: Waits) -> None:
    """Returns None if the step does nothing, or nobody can remember what it contradicts.

    Raises:
        Conflict: it is too early; the detail says when it is not.
    """
    since = due(keys, waits)
    if FOLLOWING[stage_of(keys)] is step and since is not None and now < since:
        why = {
            Step.USE: "others may still remember what was published before the next key",
            Step.WITHDRAW: "tokens and connections of the old key may still be in use",
        }[step]
        raise Conflict(f"{why}: wait until {since:%Y-%m-%d %H:%M:%S} UTC, or say --force")


def walked(keys: Sequence[ClientKey], step: Step, now: Instant, make: Callable[[], KeyPair]) -> tuple[ClientKey, ...]:
    """The keys after a step at `now`, the current one first; the same ones when it was made before.

    Raises:
        Conflict: another step comes first; the detail says which.
    """
    before = stage_of(keys)
    after = TABLE.get((before, step))
    if after is None:
        first = FOLLOWING[before]
        raise Conflict(f"client key: {first} comes before {step}; run: rrsctl keys client {first}")
    if after is before:
        return tuple(keys)
    if step is Step.PUBLISH:
        return (*keys, ClientKey(State.NEXT, now, make()))
    if step is Step.WITHDRAW:
        return tuple(key for key in keys if key.state is State.CURRENT)
    current, following = keys
    return evolve(following, state=State.CURRENT, since=now), evolve(current, state=State.OLD, since=now)


def first(pair: KeyPair) -> tuple[ClientKey, ...]:
    """The keys of an agent that never changed its own."""
    return (ClientKey(State.CURRENT, pair.certificate.not_before, pair),)


def render(keys: Sequence[ClientKey]) -> bytes:
    """The content of the file of client keys."""
    return render_keys(map(_render_key, keys))


def _render_key(key: ClientKey) -> dict[str, Any]:
    certificate, private = key.pair.certificate_pem.decode("ascii"), key.pair.key_pem.decode("ascii")
    return {"state": key.state.value, "since": seconds(key.since), "certificate": certificate, "key": private}


def parse(data: bytes) -> tuple[ClientKey, ...]:
    """The keys that the file holds, the current one first.

    Raises:
        Damaged: the bytes are not what `render` writes, or the keys are in no stage of the walk.
    """
    keys = parse_keys(data, _parse_key, "client")
    if [key.state for key in keys] not in _TOGETHER:
        raise Damaged("not one current client key and at most one other")
    return keys


_TOGETHER = ([State.CURRENT], [State.CURRENT, State.NEXT], [State.CURRENT, State.OLD])


def _parse_key(member: Mapping[str, Any]) -> ClientKey:
    pair = load_pair(member["certificate"].encode("ascii"), member["key"].encode("ascii"))
    return ClientKey(State(member["state"]), instant(member["since"]), pair)
