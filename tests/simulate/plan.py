"""The fault plan of a seed: which kinds of trouble there are in this world, when each comes and how long it stays.

Not every seed has every kind: a trouble that is always there hides what only happens without it.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any

from attrs import evolve, field, frozen

from rrsd.core.values.addresses import parse_address
from tests.simulate.letters import FORBIDDEN, GOOD, LYING, MISSING, Letter, drawn_item
from tests.simulate.weather import FINE, Weather

RECEIVER = "bar.test"
SENDERS = ("foo.test", "baz.test")
USERS = ("bob", "carol", "dave")
HOUR = 3600.0


@frozen
class Incident:
    """Something that is done to the world at a time, in seconds from the beginning."""

    at: float
    kind: str
    where: str = ""
    details: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return " ".join([self.kind, self.where, *(f"{name}={value}" for name, value in self.details.items())])


@frozen
class Plan:
    """Everything that a seed decides beforehand. Troubles end at `calm`."""

    seed: int
    senders: tuple[str, ...]
    letters: tuple[Letter, ...]
    incidents: tuple[Incident, ...]
    calm: float


def plan_of(seed: int) -> Plan:
    """The seed's plan."""
    random = Random(f"plan of {seed}")
    senders = SENDERS[: random.choice((1, 1, 2))]
    calm = random.choice((0.2, 0.5, 1.0, 3.0)) * HOUR
    letters = tuple(_letters(random, senders, calm))
    kinds = random.sample(KINDS, random.randrange(1, 6))
    incidents = [each for kind in kinds for each in kind(random, senders, calm)]
    incidents += _sent(random, letters, calm)
    return Plan(seed, senders, letters, tuple(sorted(incidents, key=lambda each: each.at)), calm)


# --- letters


def _letters(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Letter]:
    poison = random.choice((0.0, 0.0, 0.1, 0.3))
    for number in range(1, random.choice((2, 4, 6, 8)) + 1):
        kinds = [
            random.choice((MISSING, LYING, FORBIDDEN)) if random.random() < poison else GOOD
            for _ in range(random.choice((1, 1, 2, 4)))
        ]
        users = random.sample(USERS, random.choice((1, 1, 2)))
        yield Letter(
            number,
            random.choice(senders),
            tuple(parse_address(f"{user}@{RECEIVER}") for user in users),
            tuple(drawn_item(random, kind) for kind in kinds),
            timedelta(days=random.choice((3, 7, 30))),
        )


def _sent(random: Random, letters: tuple[Letter, ...], calm: float) -> Iterator[Incident]:
    for letter in letters:
        at = random.random() ** 2 * calm * 0.8
        yield Incident(at, "send", letter.sender, {"letter": letter.number})
        if random.random() < 0.2:
            yield Incident(at + random.random() * calm, "deliver again", RECEIVER, {"letter": letter.number})


# --- troubles


def _when(random: Random, calm: float, longest: float) -> tuple[float, float]:
    begin = random.random() * calm * 0.9
    return begin, min(calm - begin, longest * random.random() ** 2 + 1.0)


def _weather(random: Random, where: str, calm: float, weather: Weather) -> Iterator[Incident]:
    begin, lasts = _when(random, calm, HOUR)
    yield Incident(begin, "weather", where, {"weather": weather, "lasts": round(lasts, 1)})


def _one(kind: str, chance: float) -> dict[str, Any]:
    return {kind: chance}


Kind = Callable[[Random, tuple[str, ...], float], Iterator[Incident]]


def _broken_bodies(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    for kind in random.sample(("reset", "stalled", "shortened", "damaged", "lost", "ranges"), 2):
        chance = random.choice((0.1, 0.4, 0.9))
        path = random.choice(("/", "/.well-known/ni", "/rrs/receipts"))
        rate = random.choice((400_000.0, 20_000.0, 1_000.0))
        yield from _weather(
            random, random.choice(senders), calm, evolve(FINE, path=path, rate=rate, **_one(kind, chance))
        )


def _pushed_back(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    kind = random.choice(("unavailable", "gateway", "limited"))
    path = random.choice(("/", "/.well-known/ni", "/rrs/receipts", "/.well-known/webfinger"))
    chance = random.choice((0.1, 0.5, 1.0))
    yield from _weather(random, random.choice(senders), calm, evolve(FINE, path=path, **_one(kind, chance)))


def _limiter(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    weather = evolve(FINE, rate=5_000.0, slots=random.choice((1, 2, 5)))
    yield from _weather(random, random.choice(senders), calm, weather)


def _bad_node(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    yield from _weather(random, random.choice(senders), calm, evolve(FINE, nodes=random.choice((2, 3, 5))))


def _unreachable(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    kind = random.choice(("refused", "silent", "nameless"))
    chance = random.choice((0.3, 1.0, 1.0))
    yield from _weather(random, random.choice(senders), calm, evolve(FINE, **_one(kind, chance)))


def _slow(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    weather = evolve(FINE, latency=random.choice((0.2, 2.0)), rate=random.choice((100.0, 700.0, 5_000.0)))
    yield from _weather(random, random.choice(senders), calm, weather)


def _issuer(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    kind = random.choice(("gateway", "unavailable", "limited", "stalled", "lost"))
    weather = evolve(FINE, path="/token", **_one(kind, random.choice((0.5, 1.0))))
    yield from _weather(random, RECEIVER, calm, weather)


def _crashes(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    where = random.choice((RECEIVER, RECEIVER, *senders))
    for _ in range(random.choice((1, 2, 5))):
        details: dict[str, Any] = {"power": random.random() < 0.6, "down": round(random.choice((1.0, 20.0, 600.0)), 1)}
        if random.random() < 0.7:
            details["calls"] = random.randrange(1, 120)
        yield Incident(random.random() * calm * 0.95, "crash", where, details)


def _full(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    begin, lasts = _when(random, calm, HOUR)
    yield Incident(begin, "full", random.choice((RECEIVER, RECEIVER, *senders)), {"lasts": round(lasts, 1)})


def _failing_disk(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    begin, lasts = _when(random, calm, HOUR)
    details = {
        "chance": random.choice((0.0, 0.002, 0.02)),
        "sync": random.choice((0.0, 0.05)),
        "lasts": round(lasts, 1),
    }
    yield Incident(begin, "failing", random.choice((RECEIVER, RECEIVER, *senders)), details)


def _operator(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    for _ in range(random.choice((2, 6))):
        verb = random.choice(("hold", "release", "retry-now", "cancel"))
        yield Incident(random.random() * calm, "operate", RECEIVER, {"verb": verb, "pick": random.random()})


def _withdrawals(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    yield Incident(random.random() * calm, "withdraw", random.choice(senders), {"pick": random.random()})


KINDS: tuple[Kind, ...] = (
    _broken_bodies, _pushed_back, _limiter, _bad_node, _unreachable, _slow, _issuer, _crashes, _crashes, _full,
    _failing_disk, _operator, _withdrawals,
)  # fmt: skip
