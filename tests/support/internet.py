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
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHostnameResolver,
    IPushProducer,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    ITCPTransport,
)
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rrsd.runtime.awaits import deferred_of

T = TypeVar("T")
MOST_STEPS = 1_000_000


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Wire:
    """One end of a connection. What is written reaches the other end when the internet is pumped."""

    _log = Logger()

    def __init__(self, here: IPv4Address, there: IPv4Address) -> None:
        self.bufferSize = 65536
        self.SEND_LIMIT = 65536
        self.disconnecting = False
        self.connected = True
        self.disconnected = False
        self.protocol: Any = None
        self.other: Wire
        self.out = bytearray()
        self.paused = False
        self.producer: Any = None
        self._here, self._there = here, there
        self._producer_paused = False
        self._streaming = True
        self._lost: BaseException | None = None

    def write(self, data: bytes) -> None:
        if not self.connected or self._lost is not None:
            return
        self.out += data
        if self.producer is not None and len(self.out) > self.bufferSize and not self._producer_paused:
            self._producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, iovec: Any) -> None:  # noqa: N802
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:  # noqa: N802
        self.disconnecting = True
        self.paused = True

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.disconnecting = True

    def abortConnection(self) -> None:  # noqa: N802
        self.out.clear()
        if self._lost is None:
            self._lost = ConnectionAborted()
        if self.other._lost is None:
            self.other._lost = ConnectionLost()

    def cut(self) -> None:
        """Break the connection in both directions, as a dead link does."""
        for end in (self, self.other):
            end.out.clear()
            end._lost = end._lost or ConnectionLost()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        self.producer, self._streaming = producer, streaming
        self._producer_paused = False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def pauseProducing(self) -> None:  # noqa: N802
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused = False

    def stopProducing(self) -> None:  # noqa: N802
        self.loseConnection()

    def getHost(self) -> IPv4Address:  # noqa: N802
        return self._here

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return self._there

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        pass

    def step(self, segment: int) -> bool:
        """Move one segment, or end the connection if it has to; whether anything happened."""
        if self.disconnected:
            return False
        if self._lost is not None:
            self._end(self._lost)
            return True
        if self.out and not self.other.paused and not self.other.disconnected:
            piece = bytes(self.out[:segment])
            del self.out[:segment]
            self.other.deliver(piece)
            self._drained()
            return True
        if self.disconnecting and not self.out:
            self.other._lost = self.other._lost or ConnectionDone()
            self._end(ConnectionDone())
            return True
        return False

    def deliver(self, data: bytes) -> None:
        """Give `data` to the protocol at this end; what it raises ends the connection, as in a real reactor."""
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._log.failure("a protocol failed")
            self.abortConnection()

    def _drained(self) -> None:
        if self.out or self.producer is None:
            return
        if self._producer_paused or not self._streaming:
            self._producer_paused = False
            self.producer.resumeProducing()

    def _end(self, reason: BaseException) -> None:
        self.disconnected = True
        self.connected = False
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))


@define(eq=False)
class Connector:
    """A connection that is being made."""

    factory: Any
    address: str
    port: int
    over: bool = False
    timeout: Any = None

    def stopConnecting(self) -> None:  # noqa: N802
        self.fail(UserError())

    def fail(self, reason: Exception) -> None:
        """There will be no connection."""
        if not self.over:
            self.end()
            self.factory.clientConnectionFailed(self, Failure(reason))

    def end(self) -> None:
        """It is decided."""
        self.over = True
        if self.timeout is not None and self.timeout.active():
            self.timeout.cancel()


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
    """The whole. `segment` is the most that one step moves; `silent` addresses swallow connections without a word."""

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
        moved = [wire.step(self.segment) for wire in tuple(self.wires)]
        self.wires = [wire for wire in self.wires if not wire.disconnected]
        return any(moved)
