"""The network between the machines: bytes of HTTP in both directions, with the certificate that TLS would have proved.

The way out (`rrsd.drivers.fetch`) and the site (`rrsd.web`) are the real ones; between them there is a line of memory
with a rate and a delay instead of TCP and TLS. What a request meets is drawn when its first byte is written.
"""

from collections import Counter
from collections.abc import Callable
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, ITransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from rrsd.core.refusals import Unavailable
from tests.simulate.story import Story
from tests.simulate.weather import Fate, Sky, answer_of, fate_of

METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
LEAST_PIECE, MOST_PIECE = 512, 16384
"""Bytes that arrive together: what a line brings in a tenth of a second, within these."""
MUCH = 32768
"""Bytes on the way in one direction from which on the writer is paused."""


class Life(Protocol):
    """A process that may end at any time."""

    @property
    def alive(self) -> bool: ...


@define(eq=False)
class Host:
    """Where a name leads: the process that answers there, if one does."""

    name: str
    address: str
    sky: Sky
    life: Life | None = None
    formerly: Life | None = None
    is_dark: bool = False
    """Whether nothing answers at all, not even with a refusal."""
    listen: Callable[[], Any] | None = None
    lines: "list[Line]" = field(factory=list)
    busy: int = 0
    asked: int = 0


@implementer(ITransport, IConsumer)
class End:
    """One end of a line."""

    def __init__(self, line: "Line", here: IPv4Address, there: IPv4Address, life: Life) -> None:
        self.line, self.life = line, life
        self._here, self._there = here, there
        self.protocol: Any = None
        self.other: End
        self.out = bytearray()
        self.disconnecting = False
        self.paused = False
        self.over = False
        self.producer: Any = None
        self._held = False
        self._due: Any = None

    # --- what the protocol calls

    def write(self, data: bytes) -> None:
        if self.over or self.disconnecting or not data:
            return
        self.out += self.line.passing(self, bytes(data))
        if self.producer is not None and len(self.out) > MUCH and not self._held:
            self._held = True
            self.producer.pauseProducing()
        self.move()

    def writeSequence(self, data: Any) -> None:  # noqa: N802
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802
        if not self.disconnecting:
            self.disconnecting = True
            self.move()

    def abortConnection(self) -> None:  # noqa: N802
        self.out.clear()
        self.line.break_off(self, ConnectionAborted(), ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self.producer, self._held = producer, False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def pauseProducing(self) -> None:  # noqa: N802
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused = False
        self.other.move()

    def stopProducing(self) -> None:  # noqa: N802
        self.loseConnection()

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return self._there

    def getHost(self) -> IPv4Address:  # noqa: N802
        return self._here

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def expect_head(self, most: int) -> None:
        """What `rrsd.runtime.secure` counts is not counted here."""

    def head_complete(self) -> None:
        """As above."""

    # --- what the line does

    def move(self) -> None:
        """Let the next piece set out, if there is one and the other end takes it."""
        if self._due is None and not self.over and (self.out or self.disconnecting) and not self.other.paused:
            piece = min(len(self.out), self.line.piece)
            wait = self.line.latency + piece / self.line.rate
            self._due = self.line.network.clock.callLater(wait, self._arrive)

    def _arrive(self) -> None:
        self._due = None
        if self.over or not self.life.alive:
            return
        if self.out:
            size = self.line.piece
            piece = bytes(self.out[:size])
            del self.out[:size]
            self.line.carry(self, piece)
            self._relieve()
        elif self.disconnecting:
            self.line.break_off(self, ConnectionDone(), ConnectionDone())
        self.move()

    def _relieve(self) -> None:
        if self._held and self.producer is not None and len(self.out) < MUCH // 4:
            self._held = False
            self.producer.resumeProducing()

    def end(self, reason: Exception) -> None:
        """The connection is over for this end."""
        if self.over:
            return
        self.over = True
        if self.life.alive:
            if self.producer is not None:
                self.producer.stopProducing()
            self.protocol.connectionLost(Failure(reason))


@define(eq=False)
class Line:
    """One connection: `client` asked for it, `server` answers."""

    network: "Network"
    source: Host
    host: Host
    latency: float
    rate: float
    client: End = field(init=False)
    server: End = field(init=False)
    fate: Fate = field(factory=Fate, init=False)
    _came: int = field(default=0, init=False)
    _swallows: bool = field(default=False, init=False)
    is_counted: bool = field(default=False, init=False)
    is_mute: bool = False
    path: str = ""
    resource: str = ""
    """What is retrieved over it just now, by its digest."""

    @property
    def piece(self) -> int:
        """Bytes that arrive together."""
        return min(max(LEAST_PIECE, int(self.rate / 100)), MOST_PIECE)

    def passing(self, end: End, data: bytes) -> bytes:
        """What of it sets out: a request may be answered by somebody else, or be changed on the way."""
        if end is not self.client:
            return data
        if data.startswith(METHODS):
            return self._request(data)
        return b"" if self._swallows else data

    def _request(self, data: bytes) -> bytes:
        path = self.path = data.split(b" ", 2)[1].decode("ascii")
        self.resource = path.rpartition("/")[2] if data.startswith(b"GET /.well-known/ni/") else ""
        self.fate, answer = self.network.fate(self, path)
        self._came, self._swallows = 0, answer is not None
        weather = self.host.sky.over(path)
        self.latency, self.rate = weather.latency, weather.rate
        self.network.clock.callLater(0, self._count)
        if self.resource:
            self.network.requests[self.resource] += 1
        if answer is not None:
            self.server.out += answer
            self.server.disconnecting = True
            self.server.move()
            return b""
        if self.fate.kind == "ranges":
            self.network.met(self.host, "ranges", 0)
            self.network.excused.add(self.resource)
            return _without_range(data, self.network.random)
        return data

    def _count(self) -> None:
        if not self.is_counted and not self.client.over:
            self.is_counted = True
            self.host.busy += 1

    def carry(self, end: End, piece: bytes) -> None:
        """Bring a piece to the other end, or to where the line breaks."""
        if self.is_mute:
            return
        if not end.other.life.alive:
            # Nobody there knows of the connection any more; a machine without power does not even say so.
            self.is_mute = not self.network.is_up(end.other.life)
            if not self.is_mute:
                self.break_off(end.other, ConnectionLost(), ConnectionLost())
            return
        if end is self.server and self.fate.kind in ("reset", "stalled", "shortened", "damaged", "lost"):
            piece = self._meet(piece)
        if piece and not end.other.over:
            resource = self.resource  # the next may be asked for at once
            end.other.protocol.dataReceived(piece)
            if end is self.server and self.client.life.alive:
                self.network.carried[resource] += len(piece)

    def _meet(self, piece: bytes) -> bytes:
        """The answer meets its fate at one of its bytes."""
        kind, at = self.fate.kind, (0 if self.fate.kind == "lost" else self.fate.after) - self._came
        self._came += len(piece)
        if at >= len(piece):
            return piece
        self.fate = Fate()
        self.network.met(self.host, kind, self._came - len(piece) + at)
        if kind == "damaged":
            self.network.damaged[self.path.rpartition("/")[2]] += 1
            self.network.excused.add(self.resource)
            return piece[:at] + bytes((piece[at] ^ 1,)) + piece[at + 1 :]
        if kind == "stalled":
            self.is_mute = True
            return piece[:at]
        if at and not self.client.over:
            self.client.protocol.dataReceived(piece[:at])
            self.network.carried[self.resource] += at if self.client.life.alive else 0
        reason = ConnectionDone() if kind == "shortened" else ConnectionLost()
        self.break_off(self.server, ConnectionLost(), reason)
        return b""

    def break_off(self, end: End, here: Exception, there: Exception) -> None:
        """The connection is over at one end, and a moment later at the other."""
        if self.is_mute and end is self.server:
            return
        end.end(here)
        self.network.clock.callLater(self.latency, self._gone, end.other, there)

    def _gone(self, end: End, reason: Exception) -> None:
        end.end(reason)
        for lines in (self.host.lines, self.source.lines):
            if self in lines:
                lines.remove(self)
        if self.is_counted:
            self.is_counted = False
            self.host.busy -= 1


def _without_range(data: bytes, random: Random) -> bytes:
    """The request with another Range, or none: what a cache or a balancer makes of it."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"range:")]
    if len(kept) < len(lines) and random.random() < 0.5:
        kept.append(b"Range: bytes=%d-" % random.randrange(2000))
    return b"\r\n".join(kept) + end + body


@define(eq=False)
class Network:
    """All hosts, by name."""

    clock: Clock
    random: Random
    story: Story
    hosts: dict[str, Host] = field(factory=dict)
    faults: int = 0
    probed: Callable[[str, float], None] = lambda host, at: None
    requests: Counter[str] = field(factory=Counter)
    carried: Counter[str] = field(factory=Counter)
    """How often each resource was asked for, and how many bytes of answers came."""
    excused: set[str] = field(factory=set)
    """Resources of which all had to come again."""
    damaged: Counter[str] = field(factory=Counter)
    """How often an answer about a resource was changed on its way, by the last part of its path."""

    def host(self, name: str) -> Host:
        """A new one."""
        address = f"20.0.0.{len(self.hosts) + 1}"
        found = self.hosts[name] = Host(name, address, Sky({}))
        return found

    def fate(self, line: Line, path: str) -> tuple[Fate, bytes | None]:
        """What a request to the host meets, and what is answered in the server's place."""
        weather, host = line.host.sky.over(path), line.host
        host.asked += 1
        fate = fate_of(weather, self.random)
        if weather.nodes > 1 and self.random.randrange(weather.nodes) == 0:
            fate = Fate("gateway")
        if weather.slots and not line.is_counted and host.busy >= weather.slots:
            fate = Fate("limited")
        if fate.kind in ("unavailable", "gateway", "limited"):
            self.met(host, fate.kind, 0)
            return fate, answer_of(fate, self.random)
        return fate, None

    def met(self, host: Host, kind: str, at: int) -> None:
        """Something went wrong on the way."""
        self.faults += 1
        if kind in ("refused", "silent"):
            self.probed(host.name, self.clock.seconds())
        self.story.say("network", f"to {host.name}: {kind}" + (f" after {at} bytes" if at else ""))

    async def connect(self, life: Life, source: Host, name: str, port: int) -> Line:
        """A line to the host of that name, or the refusal that the way out gives."""
        host = self.hosts.get(name)
        weather = host.sky.over_host() if host is not None else None
        if host is None or weather is None or self._strikes(weather.nameless):
            await self._passes(0.05)
            raise Unavailable("no address", is_nobody=True)
        await self._passes(weather.latency)
        if host.is_dark or self._strikes(weather.silent):
            await self._passes(15.0)
            self.met(host, "silent", 0)
            raise Unavailable("connection timed out", is_nobody=True)
        if host.life is None or not host.life.alive or host.listen is None or self._strikes(weather.refused):
            await self._passes(weather.latency)
            self.met(host, "refused", 0)
            raise Unavailable("connection refused", is_nobody=True)
        return self._line(life, source, host, port)

    def _line(self, life: Life, source: Host, host: Host, port: int) -> Line:
        weather = host.sky.over_host()
        line = Line(self, source, host, weather.latency, weather.rate)
        here, there = IPv4Address("TCP", source.address, 40000), IPv4Address("TCP", host.address, port)
        assert host.life is not None
        line.client, line.server = End(line, here, there, life), End(line, there, here, host.life)
        line.client.other, line.server.other = line.server, line.client
        host.lines.append(line)
        source.lines.append(line)
        return line

    def is_up(self, life: Life) -> bool:
        """Whether the machine on which that process was can say something."""
        return any(host.formerly is life and host.life is not None for host in self.hosts.values())

    def hang_up(self, host: Host, life: Life, says_so: bool) -> None:
        """The host's process has ended; the system under it tells the other ends, unless it has ended too."""
        host.life, host.formerly, host.listen = None, life, None
        for line in tuple(host.lines):
            mine = line.client if line.client.life is life else line.server
            mine.over = True
            if says_so:
                line.break_off(mine, ConnectionLost(), ConnectionLost())

    def _strikes(self, chance: float) -> bool:
        return bool(chance) and self.random.random() < chance

    def _passes(self, seconds: float) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.clock.callLater(seconds, lambda: None if done.called else done.callback(None))
        return done
