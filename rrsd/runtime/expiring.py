"""A bounded memory whose entries end by themselves."""

from collections import OrderedDict
from typing import Generic, TypeVar

from attrs import define, field

K = TypeVar("K")
V = TypeVar("V")


@define(eq=False)
class Expiring(Generic[K, V]):
    """At most `most` values by key, each until its own time; where there is no room, the one longest unused goes.

    Times are monotonic seconds, so that a wall clock set back revives nothing.
    """

    most: int
    _kept: OrderedDict[K, tuple[float, V]] = field(factory=OrderedDict, init=False)

    def get(self, key: K, now: float) -> V | None:
        """The value, or None when there is none or its time is over."""
        entry = self._kept.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return entry[1]

    def put(self, key: K, value: V, until: float) -> None:
        """Remember `value` until then, in the place of an earlier one."""
        self._kept[key] = (until, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)
