"""The fault plan of a seed: which kinds of trouble there are in this world, when each comes and how long it stays.

Not every seed has every kind: a trouble that is always there hides what only happens without it.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any

from attrs import evolve, field, frozen

from rrsd.core.values.addresses import parse_address
from tests.simulate.letters import DEAD, FORBIDDEN, GOOD, LYING, MISSING, Letter, drawn_item
from tests.simulate.weather import FINE, Weather

RECEIVER = "bar.test"
SENDERS = ("foo.test", "baz.test")
MANY_SENDERS = (*SENDERS, "qux.test", "quux.test")
USERS = ("bob", "carol", "dave")
GONE = "gone.test"
"""A domain of which nothing answers any more."""
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
    active: int = 0
    """Transfers that the receiver may have at once, 0 for as many as usual."""
    well: tuple[str, ...] = ()
    """Senders that meet no trouble, and whose pulls must not wait for those of others."""


def plan_of(seed: int) -> Plan:
    """The seed's plan."""
    random = Random(f"plan of {seed}")
    if seed % CROWDS == 0:
        return _crowd(seed, random)
    if seed % NEIGHBOURS == 0:
        return _neighbours(seed, random)
    if seed % HASTY == 0:
        return _hasty(seed, random)
    senders = SENDERS[: random.choice((1, 1, 2))]
    calm = random.choice((0.2, 0.5, 1.0, 3.0)) * HOUR
    letters = tuple(_letters(random, senders, calm))
    kinds = random.sample(KINDS, random.randrange(1, 6))
    incidents = [each for kind in kinds for each in kind(random, senders, calm)]
    incidents += _sent(random, letters, calm)
    return Plan(seed, senders, letters, tuple(sorted(incidents, key=lambda each: each.at)), calm)


_BODIES = evolve(FINE, path="/.well-known/ni")
_BAD = (
    evolve(FINE, rate=60.0), evolve(FINE, silent=1.0), evolve(_BODIES, rate=60.0), evolve(_BODIES, stalled=1.0),
    evolve(_BODIES, reset=0.9, rate=500.0),
)  # fmt: skip


def _neighbours(seed: int, random: Random) -> Plan:
    """One sender is as bad as can be, and the other is well: what it sends must not wait (R6)."""
    bad, well = SENDERS
    calm = 0.5 * HOUR
    many = random.choice((4, 8))
    letters = (
        *(
            _letter(random, number, bad, [_kind(random, 0.2) for _ in range(4)], heavy=True)
            for number in range(1, many)
        ),
        *(_letter(random, many + number, well, [GOOD], heavy=True) for number in range(6)),
    )
    weather = random.choice(_BAD)
    incidents = [Incident(0.0, "weather", bad, {"weather": weather, "lasts": calm})]
    for letter in letters:
        at = random.random() * (10.0 if letter.sender == bad else 240.0)
        incidents.append(Incident(at, "send", letter.sender, {"letter": letter.number}))
    ordered = tuple(sorted(incidents, key=lambda each: each.at))
    return Plan(seed, SENDERS, letters, ordered, calm, 4, (well,))


def _crowd(seed: int, random: Random) -> Plan:
    """Three senders with some hundred pulls, of which at least one delivers all of them, slowly; and one with a few,
    which must not wait in their line (R6)."""
    *bad, well = MANY_SENDERS
    calm = 0.5 * HOUR
    skies = (evolve(_BODIES, rate=300.0), *random.sample(_BAD, 2))
    letters = [
        _letter(random, number, sender, [GOOD] * random.choice((4, 8, 12)))
        for number, sender in enumerate(bad * random.choice((6, 8)), 1)
    ]
    letters = [evolve(each, items=tuple(item.cut(9000) for item in each.items)) for each in letters]
    letters += [_letter(random, len(letters) + number, well, [GOOD]) for number in range(1, 9)]
    incidents = [
        Incident(0.0, "weather", name, {"weather": sky, "lasts": calm}) for name, sky in zip(bad, skies, strict=True)
    ]
    for letter in letters:
        at = random.random() * 30.0 if letter.sender != well else 20.0 + random.random() * 400.0
        incidents.append(Incident(at, "send", letter.sender, {"letter": letter.number}))
    ordered = tuple(sorted(incidents, key=lambda each: each.at))
    return Plan(seed, MANY_SENDERS, tuple(letters), ordered, calm, random.choice((8, 12)), (well,))


def _hasty(seed: int, random: Random) -> Plan:
    """The sender's ends are so near, and its bytes so slow, that only more time brings all of it: it is asked for."""
    sender, calm = SENDERS[0], 1.0 * HOUR
    lifetime = timedelta(minutes=random.choice((20, 40)))
    letters = tuple(
        evolve(_letter(random, number, sender, [GOOD] * random.choice((1, 2, 4)), heavy=True), lifetime=lifetime)
        for number in range(1, random.choice((4, 6)))
    )
    slow = evolve(_BODIES, rate=random.choice((60.0, 120.0)))
    incidents = [Incident(0.0, "weather", sender, {"weather": slow, "lasts": calm})]
    if random.random() < 0.5:
        unwilling = evolve(FINE, path="/rrs/renewals", **_one(random.choice(("gateway", "lost", "limited")), 0.5))
        incidents.append(Incident(0.0, "weather", sender, {"weather": unwilling, "lasts": calm}))
    if random.random() < 0.3:
        details = {"power": random.random() < 0.5, "down": 20.0}
        incidents.append(Incident(random.random() * calm / 2, "crash", random.choice((RECEIVER, sender)), details))
    incidents += [Incident(random.random() * 60.0, "send", sender, {"letter": each.number}) for each in letters]
    return Plan(seed, (sender,), letters, tuple(sorted(incidents, key=lambda each: each.at)), calm)


# --- letters


def _letters(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Letter]:
    poison = random.choice((0.0, 0.0, 0.1, 0.3))
    for number in range(1, random.choice((2, 4, 6, 8)) + 1):
        if random.random() < poison / 3:
            yield evolve(_letter(random, number, GONE, [DEAD]), lifetime=timedelta(hours=random.choice((1, 4))))
        else:
            kinds = [_kind(random, poison) for _ in range(random.choice((1, 1, 2, 4)))]
            yield _letter(random, number, random.choice(senders), kinds)


def _kind(random: Random, poison: float) -> str:
    return random.choice((MISSING, LYING, FORBIDDEN)) if random.random() < poison else GOOD


def _letter(random: Random, number: int, sender: str, kinds: list[str], heavy: bool = False) -> Letter:
    users = random.sample(USERS, random.choice((1, 1, 2)))
    return Letter(
        number,
        sender,
        tuple(parse_address(f"{user}@{RECEIVER}") for user in users),
        tuple(drawn_item(random, kind, heavy) for kind in kinds),
        random.choice((timedelta(hours=6), timedelta(days=3), timedelta(days=7), timedelta(days=30))),
        random.random() < 0.7,
    )


def _sent(random: Random, letters: tuple[Letter, ...], calm: float) -> Iterator[Incident]:
    for letter in letters:
        at = random.random() ** 2 * calm * 0.8
        yield Incident(at, "send", letter.sender, {"letter": letter.number})
        if random.random() < 0.2:
            yield Incident(at + random.random() * calm, "deliver again", RECEIVER, {"letter": letter.number})


# --- troubles


def _when(random: Random, calm: float, longest: float) -> tuple[float, float]:
    begin = random.random() ** 2 * calm * 0.8  # as letters are sent
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
    if random.random() < 0.5:  # bytes take their time, so that the end comes in the middle of them
        slow = evolve(_BODIES, rate=random.choice((500.0, 3000.0)))
        yield from (Incident(0.0, "weather", each, {"weather": slow, "lasts": calm}) for each in senders)
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
        details = {"verb": random.random(), "pick": random.random()}
        yield Incident(random.random() * calm, "operate", RECEIVER, details)


def _withdrawals(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    yield Incident(random.random() * calm, "withdraw", random.choice(senders), {"pick": random.random()})


def _clock(random: Random, senders: tuple[str, ...], calm: float) -> Iterator[Incident]:
    begin, lasts = _when(random, calm, HOUR)
    seconds = random.choice((-1, 1)) * random.choice((30.0, 600.0, 86400.0, 2 * 86400.0))
    details = {"seconds": seconds, "lasts": round(lasts, 1)}
    yield Incident(begin, "skew", random.choice((RECEIVER, *senders)), details)


NEIGHBOURS = 12
"""Each seed that is a multiple of it is about one bad sender and one good one."""

HASTY = 25
"""Each seed that is a multiple of it is about deadlines that are too near."""

CROWDS = 100
"""Each seed that is a multiple of it is about some hundreds of pulls."""

KINDS: tuple[Kind, ...] = (
    _broken_bodies, _pushed_back, _limiter, _bad_node, _unreachable, _slow, _issuer, _crashes, _crashes, _full,
    _failing_disk, _operator, _withdrawals, _clock,
)  # fmt: skip
