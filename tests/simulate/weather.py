"""What may happen to what crosses the network, and what it is like at a place for a while."""

from random import Random  # noqa: TID251 (of a seed that is printed)

from attrs import define, fields, frozen


@frozen
class Weather:
    """Chances of each trouble for one connection or one request to a host; `path` is how its requests begin.

    `slots` is how many requests the host bears at once, 0 for any number: the others are answered with 429.
    """

    path: str = "/"
    latency: float = 0.02
    rate: float = 400_000.0
    refused: float = 0.0
    silent: float = 0.0
    nameless: float = 0.0
    reset: float = 0.0
    stalled: float = 0.0
    shortened: float = 0.0
    damaged: float = 0.0
    unavailable: float = 0.0
    gateway: float = 0.0
    limited: float = 0.0
    lost: float = 0.0
    ranges: float = 0.0
    slots: int = 0
    nodes: int = 1

    def __str__(self) -> str:
        usual = Weather()
        said = [(each.name, getattr(self, each.name)) for each in fields(Weather)]
        return ", ".join(f"{name} {value}" for name, value in said if value != getattr(usual, name)) or "fine"


FINE = Weather()


@frozen
class Fate:
    """What happens to one request and its answer: `kind` once `after` bytes of the answer have come."""

    kind: str = ""
    after: int = 0


_OF_REQUESTS = ("reset", "stalled", "shortened", "damaged", "unavailable", "gateway", "limited", "lost", "ranges")


def fate_of(weather: Weather, random: Random) -> Fate:
    """One request's fate."""
    for kind in _OF_REQUESTS:
        chance = getattr(weather, kind)
        if chance and random.random() < chance:
            return Fate(kind, drawn_bytes(random))
    return Fate()


def drawn_bytes(random: Random) -> int:
    """A number of bytes: any; half of the time small ones as often as large ones."""
    if random.random() < 0.5:
        return random.randrange(20_000)
    return int(2.0 ** (random.random() * 15.5)) - 1


@define(eq=False)
class Sky:
    """The weather of one host: layers, of which the last one that covers a path counts."""

    layers: dict[str, Weather]

    def over(self, path: str) -> Weather:
        """What it is like for a request."""
        found = FINE
        for each in self.layers.values():
            if path.startswith(each.path):
                found = each
        return found

    def over_host(self) -> Weather:
        """What it is like for a connection: only layers about every path count."""
        found = FINE
        for each in self.layers.values():
            if each.path == "/":
                found = each
        return found


def answer_of(fate: Fate, random: Random) -> bytes:
    """What somebody between the two answers in the server's place."""
    if fate.kind == "gateway":
        status, more = random.choice(("502 Bad Gateway", "504 Gateway Timeout", "500 Internal Server Error")), ""
    else:
        wait = random.choice((1, 5, 30, 120, 900))
        status = "429 Too Many Requests" if fate.kind == "limited" else "503 Service Unavailable"
        more = f"Retry-After: {wait}\r\n" if fate.kind == "limited" or random.random() < 0.7 else ""
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: 4\r\nConnection: close\r\n\r\nbusy".encode()
