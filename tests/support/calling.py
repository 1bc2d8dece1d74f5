"""A server and callers on the internet in memory, for tests of the way out and of the site."""

from collections.abc import Callable
from typing import Any

from attrs import define, field
from klein import Klein
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from rrsd.core.values.calls import Call
from rrsd.core.values.peers import ProvenPeer, parse_origin
from rrsd.drivers.dns.places import parse_hosts
from rrsd.drivers.dns.resolver import Resolver, SystemAddresses
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.fetch.endpoints import Network
from rrsd.drivers.fetch.guard import Guard
from rrsd.drivers.fetch.settings import Settings
from rrsd.drivers.tls.client import ClientTls
from rrsd.drivers.tls.server import ServerTls
from rrsd.drivers.tls.settings import Version
from rrsd.runtime.secure import SecureFactory
from rrsd.runtime.timers import Timers
from rrsd.web.site import Limits, Site
from tests.support.certificates import Authority, Pair
from tests.support.internet import Host, Internet

EPOCH = 1_790_000_000
AUTHORITY = Authority()
"""One authority for all tests of a process: making keys is what takes time."""


def clock_at_epoch() -> Clock:
    """A clock that stands at a plausible time."""
    clock = Clock()
    clock.advance(EPOCH)
    return clock


@define(eq=False)
class World:
    """An internet with one authority that everybody trusts."""

    internet: Internet = field(factory=lambda: Internet(clock_at_epoch()))
    authority: Authority = AUTHORITY

    @property
    def clock(self) -> Clock:
        """The one clock."""
        return self.internet.clock

    def serve(
        self, host: Host, app: Klein, limits: Limits | None = None, minimum: Version = Version.TLS13
    ) -> ServerTls:
        """Serve `app` at the host's name over TLS, as the daemon's front does."""
        tls = ServerTls(self.authority.server(host.name).credential, minimum)
        site = Site(app.resource(), host.reactor, limits)
        self.internet.listen(host.name, 443, SecureFactory(tls, site, self.clock))
        return tls

    def serve_raw(self, host: Host, respond: Callable[["Raw"], None], pair: Pair | None = None) -> list["Raw"]:
        """Serve TLS at the host, each request head answered by `respond` with bytes of its own making."""
        tls = ServerTls((pair or self.authority.server(host.name)).credential)
        made: list[Raw] = []

        def build(_: object) -> Raw:
            made.append(Raw(respond))
            return made[-1]

        factory = Factory.forProtocol(Protocol)
        factory.buildProtocol = build  # type: ignore[method-assign, assignment]
        self.internet.listen(host.name, 443, SecureFactory(tls, factory, self.clock))
        return made

    def outbound(
        self,
        host: Host,
        client: Pair | None = None,
        guard: Guard | None = None,
        hosts: tuple[str, ...] = (),
        settings: Settings | None = None,
    ) -> Outbound:
        """The way out of `host`."""
        tls = ClientTls(roots_pem=self.authority.pem, credential=client.credential if client else None)
        return self.outbound_over(host, tls, guard, hosts, settings)

    def outbound_over(
        self,
        host: Host,
        tls: ClientTls,
        guard: Guard | None = None,
        hosts: tuple[str, ...] = (),
        settings: Settings | None = None,
    ) -> Outbound:
        """The way out of `host` with that TLS."""
        timers = Timers(self.clock)
        settings = settings or Settings()
        names = Resolver(SystemAddresses(self.internet.names), timers, parse_hosts(hosts))
        network = Network(host.reactor, timers, names, guard or Guard(), tls.creator_for)
        return Outbound(network, settings)


class Raw(Protocol):
    """A server side that says whatever a test wants it to say."""

    transport: Any

    def __init__(self, respond: Callable[["Raw"], None]) -> None:
        self.respond = respond
        self.received = b""
        self.heads = 0
        self.lost = False

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.received += data
        while self.received.count(b"\r\n\r\n") > self.heads:
            self.heads += 1
            self.respond(self)

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802
        self.lost = True


def get(host: str, target: str = "/", method: str = "GET", body: bytes = b"") -> Call:
    """A call to the host's origin."""
    return Call(ProvenPeer(parse_origin(f"https://{host}"), "test"), method, target, (), body)


@define(eq=False)
class Basket:
    """A sink that keeps what it gets and pauses when told to."""

    pause: Any = None
    pieces: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> Any:
        """Take the next bytes."""
        self.pieces.append(data)
        return self.pause() if self.pause is not None else None

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)
