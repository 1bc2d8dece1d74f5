"""An internet in memory: hosts with one fake address each, one clock, no sockets. What runs on it is real.

internet = Internet(Clock())
foo = internet.host("foo.test", "20.0.0.1")
internet.listen("foo.test", 443, factory)
answer = test.successResultOf(internet.run(outbound_of(foo.reactor).ask(call)))
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.task import Clock
from zope.interface import implementer

from rrsd.runtime.awaits import deferred_of
from tests.support.wires import Connector, Wire

T = TypeVar("T")
MOST_STEPS = 1_000_000


@define(eq=False)
class Port:
    """A UDP socket of a host. Once connected it takes datagrams from that place only, as the system sees to it."""

    internet: "Internet"
    address: str
    port: int
    protocol: Any
    peer: tuple[str, int] | None = None

    def connect(self, host: str, port: int) -> None:
        """Speak to that place only."""
        self.peer = (host, port)

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> None:
        """Send it; it arrives when the internet is pumped."""
        target = addr or self.peer
        assert target is not None
        self.internet.datagrams.append(((self.address, self.port), target, datagram))

    def stopListening(self) -> None:  # noqa: N802
        """Close."""
        if self.internet.ports.pop((self.address, self.port), None) is self:
            self.internet.clock.callLater(0, self.protocol.doStop)

    def deliver(self, datagram: bytes, source: tuple[str, int]) -> None:
        """What came, if it is for this socket."""
        if self.peer in (None, source):
            self.protocol.datagramReceived(datagram, source)


@implementer(IReactorTCP, IReactorTime)
@define(eq=False)
class HostReactor:
    """What a host's programs take for the reactor."""

    internet: "Internet"
    address: str

    def connectTCP(  # noqa: N802
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None  # noqa: N803
    ) -> Any:  # fmt: skip
        connector = Connector(factory, host, port)
        connector.timeout = self.internet.clock.callLater(timeout, connector.fail, TimeoutError())
        factory.startedConnecting(connector)
        self.internet.connecting.append((self.address, connector))
        return connector

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:  # noqa: N802
        self.internet.listeners[self.address, port] = factory
        factory.doStart()

    def listenUDP(  # noqa: N802
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192  # noqa: N803
    ) -> Any:  # fmt: skip
        address = interface or self.address
        bound = Port(self.internet, address, port or self.internet.free_port(), protocol)
        self.internet.ports[address, bound.port] = bound
        protocol.makeConnection(bound)
        return bound

    def seconds(self) -> float:
        return self.internet.clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Any:  # noqa: N802
        return self.internet.clock.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self) -> Any:  # noqa: N802
        return self.internet.clock.getDelayedCalls()


@define(eq=False)
class Host:
    """A machine with a name, an address, and a reactor for the programs on it."""

    name: str
    address: str
    reactor: HostReactor


@implementer(IHostnameResolver)
@define(eq=False)
class Names:
    """The DNS of this internet: addresses by name, in order; a name whose value is None never answers.

    What `later` holds for a name is what it answers from the next question on.
    """

    table: dict[str, list[str] | None] = field(factory=dict)
    later: dict[str, list[str]] = field(factory=dict)
    asked: list[str] = field(factory=list)

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        *_: object,
    ) -> Any:
        self.asked.append(hostName)
        addresses = self.table.get(hostName, [])
        if hostName in self.later:
            self.table[hostName] = self.later.pop(hostName)
        if addresses is not None:
            resolutionReceiver.resolutionBegan(None)  # type: ignore[arg-type]
            for address in addresses:
                resolutionReceiver.addressResolved(IPv4Address("TCP", address, portNumber))
            resolutionReceiver.resolutionComplete()
        return None


@define(eq=False)
class Internet:
    """The whole. `segment` is the most that one step moves; `silent` addresses swallow connections without a word;
    a connection brings so many bytes per second from a `slow` address, after the first 16 KiB."""

    clock: Clock
    names: Names = field(factory=Names)
    hosts: dict[str, Host] = field(factory=dict)
    listeners: dict[tuple[str, int], Any] = field(factory=dict)
    connecting: list[tuple[str, Connector]] = field(factory=list)
    wires: list[Wire] = field(factory=list)
    connections: list[tuple[str, str, int]] = field(factory=list)
    ports: dict[tuple[str, int], Port] = field(factory=dict)
    datagrams: list[tuple[tuple[str, int], tuple[str, int], bytes]] = field(factory=list)
    silent: set[str] = field(factory=set)
    segment: int = 65536
    slow: dict[str, float] = field(factory=dict)
    _left: dict[Wire, tuple[float, float]] = field(factory=dict)
    _port: int = 40000

    def host(self, name: str, address: str) -> Host:
        """A new machine that DNS knows."""
        self.names.table[name] = [address]
        self.hosts[name] = Host(name, address, HostReactor(self, address))
        return self.hosts[name]

    def listen(self, host: str, port: int, factory: Any) -> None:
        """Serve `factory` at the host of that name."""
        self.hosts[host].reactor.listenTCP(port, factory)

    def run(self, awaitable: Awaitable[T]) -> Deferred[T]:
        """Start it and pump until the internet is quiet."""
        result = deferred_of(awaitable)
        self.pump()
        return result

    def pump(self) -> None:
        """Move everything that can move without time passing."""
        for _ in range(MOST_STEPS):
            if not self.turn():
                return
        raise AssertionError("the internet does not come to rest")

    def turn(self) -> bool:
        """Move everything by one step; whether more can move."""
        self.clock.advance(0)
        return self._connect() or self._step() or self._send() or self._is_due()

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, pumping in between."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.pump()

    def connect(self, source: str, address: str, port: int, protocol: Any) -> Wire | None:
        """Connect a bare protocol, as an attacker does; None when nobody listens or the listener declines."""
        return self._join(source, address, port, lambda _: protocol)

    def free_port(self) -> int:
        """A number that no socket has."""
        self._port += 1
        return self._port

    def _send(self) -> bool:
        """Carry datagrams over; where nobody listens, the sender is told, unless the address is silent."""
        waiting, self.datagrams = self.datagrams, []
        for source, target, datagram in waiting:
            there, sender = self.ports.get(target), self.ports.get(source)
            if there is not None:
                there.deliver(datagram, source)
            elif sender is not None and sender.peer == target and target[0] not in self.silent:
                sender.protocol.connectionRefused()
        return bool(waiting)

    def _is_due(self) -> bool:
        return any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls())

    def _connect(self) -> bool:
        waiting, self.connecting = self.connecting, []
        for source, connector in waiting:
            if connector.over or connector.address in self.silent:
                continue
            self.connections.append((source, connector.address, connector.port))
            if (connector.address, connector.port) not in self.listeners:
                connector.fail(ConnectionRefusedError())
                continue
            connector.end()
            self._join(source, connector.address, connector.port, connector.factory.buildProtocol)
        return bool(waiting)

    def _join(self, source: str, address: str, port: int, build: Callable[[Any], Any]) -> Wire | None:
        here, there = IPv4Address("TCP", source, self.free_port()), IPv4Address("TCP", address, port)
        factory = self.listeners.get((address, port))
        served = factory.buildProtocol(here) if factory is not None else None
        near, far = Wire(here, there), Wire(there, here)
        near.other, far.other = far, near
        near.protocol = build(there)
        if served is None:
            near.abortConnection()
            far.disconnected = True
        else:
            far.protocol = served
            served.makeConnection(far)
        near.protocol.makeConnection(near)
        self.wires += [near, far]
        return near if served is not None else None

    def _step(self) -> bool:
        moved = [self._move(wire) for wire in tuple(self.wires)]
        self.wires = [wire for wire in self.wires if not wire.disconnected]
        return any(moved)

    def _move(self, wire: Wire) -> bool:
        """One step of the wire: as much as it may bring by now."""
        address = wire.getHost().host
        if address not in self.slow or not wire.out:
            return wire.step(self.segment)
        now = self.clock.seconds()
        left, since = self._left.get(wire, (16384.0, now))
        left = min(left + (now - since) * self.slow[address], 60 * self.slow[address])
        piece = min(int(left), self.segment, len(wire.out))
        self._left[wire] = left - piece, now
        return piece > 0 and wire.step(piece)
