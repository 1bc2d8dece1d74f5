"""From a host name to a TLS connection: resolve, check, connect to the very address that was checked (F-04)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, cast

from attrs import frozen
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocolFactory, IReactorTCP, IStreamClientEndpoint
from twisted.internet.protocol import Protocol as StreamProtocol

from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.drivers.fetch.guard import Guard
from rrsd.runtime.secure import SecureFactory, SecureTransport
from rrsd.runtime.timers import Timers


class Found(Protocol):
    """A place that a name resolved to."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def configured(self) -> bool:
        """Whether the operator's own host table says so; then the guard has no say."""
        ...


class Names(Protocol):
    """Name resolution."""

    def lookup(self, host: str, port: int) -> Awaitable[Sequence[Found]]:
        """Where the host listens, at least one place; refuses with Unavailable."""
        ...


@frozen
class Network:
    """How connections are made: all that does not depend on the host. `creator_for` gives the TLS side of a name."""

    reactor: IReactorTCP
    timers: Timers
    names: Names
    guard: Guard
    creator_for: Callable[[str], Any]
    connect: timedelta = timedelta(seconds=15)
    handshake: timedelta = timedelta(seconds=15)

    async def open(self, host: str, port: int, factory: IProtocolFactory, creator: Any) -> StreamProtocol:
        """The protocol of `factory`, connected by `creator`; the handshake goes on while it starts to write.

        Raises:
            Unavailable: no address, or none that answers in time.
            Forbidden: no address that the guard permits.
        """
        places = self._permitted(await self.names.lookup(host, port))
        secure = SecureFactory(
            creator,
            factory,
            self.timers.clock,
            is_client=True,
            handshake_timeout=self.handshake.total_seconds(),
        )
        late = lambda: Unavailable("connection timed out", is_nobody=True)  # noqa: E731
        outer = await self.timers.within(self.connect, self._first(places, secure), late)
        return cast(StreamProtocol, outer.gathered.inner)

    def _permitted(self, places: Sequence[Found]) -> list[Found]:
        permitted = [place for place in places if place.configured or self.guard.permits(place.address)]
        if not permitted:
            raise Forbidden("no public address")
        return permitted

    async def _first(self, places: Sequence[Found], factory: SecureFactory) -> SecureTransport:
        each = self.connect.total_seconds() / len(places)
        for place in places:
            try:
                return cast(SecureTransport, await self._endpoint(place, each).connect(factory))
            except ConnectError:
                continue
        raise Unavailable("connection refused", is_nobody=True)

    def _endpoint(self, place: Found, seconds: float) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in place.address else TCP4ClientEndpoint
        return kind(self.reactor, place.address, place.port, timeout=max(1, int(seconds)))
