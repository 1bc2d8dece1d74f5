"""What operators have laid down, in memory: nothing starts at all, or not from there, or not so much at once."""

from collections.abc import Iterable
from datetime import timedelta

from attrs import define, field

from rrsd.core.values.operations import Kind, Ruling
from rrsd.core.values.peers import Origin

LOOK_AGAIN = timedelta(hours=1)
"""A paused destination is put off so long, again and again."""


@define(eq=False)
class Rulings:
    """By kind and name; one of each."""

    _kept: dict[tuple[Kind, str], Ruling] = field(factory=dict)

    def recall(self, saved: Iterable[Ruling]) -> None:
        """Take up what was saved, and only that."""
        self._kept = {(each.kind, each.name): each for each in saved}

    def put(self, ruling: Ruling) -> None:
        """It is so from now on."""
        self._kept[ruling.kind, ruling.name] = ruling

    def drop(self, kind: Kind, name: str) -> None:
        """It is not so any more."""
        self._kept.pop((kind, name), None)

    @property
    def all(self) -> tuple[Ruling, ...]:
        """Every one, the daemon's first, then by name."""
        return tuple(sorted(self._kept.values(), key=lambda each: (each.name, each.kind)))

    @property
    def drained(self) -> Ruling | None:
        """Why nothing starts at all."""
        return self._kept.get((Kind.DRAIN, ""))

    def paused(self, origin: Origin) -> Ruling | None:
        """Why nothing starts from there."""
        return self._kept.get((Kind.PAUSE, str(origin)))

    def limit(self, origin: Origin) -> Ruling | None:
        """Why no more than that starts from there."""
        return self._kept.get((Kind.LIMIT, str(origin)))
