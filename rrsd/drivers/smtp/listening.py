"""Connections that come in, so many at a time."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as StreamProtocol
from typing_extensions import override

Fault = Callable[[str], None]
"""Hears of an error that nobody had foreseen, by the reference that the log has it under."""


def nobody_is_told(_: str) -> None:
    """For whom the log is enough."""


class Leaving(Protocol):
    """A connection that can be told to end."""

    def close(self) -> None:
        """Say goodbye, as far as its protocol has a word for it, and leave."""
        ...


C = TypeVar("C", bound=Leaving)


class Bounded(Factory, Generic[C]):
    """Makes connections, at most `most` at a time; `close_all` ends them.

    `make` is given what a connection calls with itself when it has ended.
    """

    noisy = False

    def __init__(self, make: Callable[[Callable[[C], None]], C], most: int) -> None:
        self._make = make
        self._most = most
        self.open: set[C] = set()

    @override
    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol | None:
        if len(self.open) >= self._most:
            return None
        made = self._make(self.open.discard)
        self.open.add(made)
        protocol = cast(StreamProtocol, made)
        protocol.factory = self
        return protocol

    def close_all(self) -> None:
        """Tell everybody to leave."""
        for each in tuple(self.open):
            each.close()
