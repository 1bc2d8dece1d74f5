"""What happened, in order: kept as lines for a reader, and as one digest that a replay must come to again."""

from hashlib import blake2b
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock

BEGIN = 1_790_000_000
"""Seconds since the epoch at which every story begins."""


@define(eq=False)
class Story:
    """Lines with the time since the beginning. Only what is the same in every run of the seed may stand in them."""

    clock: Clock
    lines: list[str] = field(factory=list)
    _digest: Any = field(factory=lambda: blake2b(digest_size=12), init=False)

    def say(self, where: str, what: str) -> None:
        """Something happened at a host, or to the whole world."""
        line = f"{stamp(self.clock.seconds() - BEGIN)} {where:9} {what}"
        self._digest.update(line.encode())
        self.lines.append(line)

    @property
    def digest(self) -> str:
        """Equal for equal stories."""
        return str(self._digest.hexdigest())


def stamp(seconds: float) -> str:
    """Days, hours, minutes, seconds."""
    thousandths = round(seconds * 1000)
    whole = thousandths // 1000
    clock = f"{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}.{thousandths % 1000:03}"
    return f"{whole // 86400}d{clock}"
