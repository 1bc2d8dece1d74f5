"""Whole domains in memory: real keys, real TLS, real SQLite, no sockets, one clock.

world = World(Path(test.mktemp()))
foo, bar = world.domain("foo.test"), world.domain("bar.test")
raw = foo.send("alice", ["bob@bar.test"], {"hello.txt": b"hello"})
bar.deliver(raw, "bob@bar.test")
world.advance(1)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from time import time  # noqa: TID251 (see NOW)
from typing import Any, TypeVar, cast

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rrsd.app.audit import Audit
from rrsd.app.compose import Composition, compose
from rrsd.app.doors import build_doors
from rrsd.app.effects import Effects
from rrsd.app.means import Means
from rrsd.cli.init import Plan, first_values, make
from rrsd.config.settings import Settings, parse_settings
from rrsd.core.proof import tokens
from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Address, parse_address, parse_domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.jobs import Job
from rrsd.core.values.messages import Attachment, Message, Outgoing
from rrsd.core.values.peers import parse_origin
from rrsd.core.values.resources import Grant
from rrsd.core.values.tokens import Kind, VerifiedAccess
from rrsd.core.wire.mime import render_placeholder
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.store.memory import MemoryStore
from rrsd.drivers.tls.reload import read_credential
from rrsd.drivers.tls.server import ServerTls
from rrsd.roles.admin.meters import Meters
from rrsd.roles.idp.ports import User
from rrsd.runtime.logs import rendered
from rrsd.runtime.secure import SecureFactory
from rrsd.runtime.timers import Timers
from rrsd.runtime.workers import InlineWorkers
from rrsd.web.site import Site
from rrsd.web.trail import Notes
from tests.support.internet import HostReactor, Internet
from tests.support.zones import OPEN_RESOLVER, RESOLVER, Zones

T = TypeVar("T")
NOW = int(time())
"""OpenSSL looks at the real clock, so that the certificates of a world must be good now."""


@define(eq=False)
class Lines:
    """An audit trail in memory, and what would stand in its file at `path`, where `tests.secrets` reads it.

    `broken` is what every further line ends with.
    """

    path: Path | None = None
    lines: list[dict[str, Any]] = field(factory=list)
    broken: OSError | None = None

    def record(self, event: Mapping[str, Any]) -> None:
        """Keep the line, if that is possible."""
        if self.broken is not None:
            raise self.broken
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(f"{rendered(event)}\n")
        self.lines.append(dict(event))

    def of(self, what: str) -> list[dict[str, Any]]:
        """Those about one kind of decision."""
        return [line for line in self.lines if line["what"] == what]


class NamedReactor(HostReactor):
    """A host's reactor that also resolves names, as a real one does."""

    @property
    def nameResolver(self) -> Any:  # noqa: N802 (Twisted's name)
        """The internet's DNS."""
        return self.internet.names


@define(eq=False)
class MemoryDomain:
    """One domain: its roles at work on its own host, and hands to move it by."""

    world: "World"
    name: str
    plan: Plan
    whole: Composition
    store: MemoryStore
    trail: Lines

    @property
    def settings(self) -> Settings:
        """What it was told."""
        return self.whole.means.settings

    def address(self, local: str) -> Address:
        """A user's address."""
        return parse_address(local if "@" in local else f"{local}@{self.name}")

    def add_user(self, local: str, *, suspended: bool = False) -> Address:
        """A user; no password is needed here."""
        address = self.address(local)
        user = User(address, "", suspended, self.world.now)
        self.world.result(self.store.users.save(user))
        return address

    def access_token(self, local: str, **changes: Any) -> str:
        """The access token of a login of the user."""
        issuer = self.settings.domain.issuer
        access = VerifiedAccess(
            issuer, self.address(local), "rrsctl", frozenset({"mail"}), self.world.now + timedelta(minutes=10), "jti"
        )
        claims = tokens.access_claims(access, str(issuer.origin), self.world.now)
        return self.whole.means.doors.keyring.signer.sign(Kind.ACCESS, {**claims, **changes})

    def keep(self, data: bytes) -> Digest:
        """Bytes in the domain's store."""
        return self.world.result(self.store.blobs.put(data)).digest

    def grant(self, data: bytes, recipient: str, *, message_id: str = "1@foo.test", days: float = 7) -> Digest:
        """The recipient may retrieve the bytes."""
        digest = self.keep(data)
        grant = Grant(
            message_id, digest, len(data), self.address("alice"), parse_address(recipient),
            self.world.now + timedelta(days=days),
        )  # fmt: skip
        self.world.result(self.store.grants.add([grant]))
        return digest

    def send(self, recipients: Sequence[str], files: Mapping[str, bytes], message_id: str = "1@foo.test") -> bytes:
        """The placeholder message of alice@ this domain; the resources are kept and granted."""
        for data in files.values():
            for recipient in recipients:
                self.grant(data, recipient, message_id=message_id)
        return self.placeholder(recipients, files, message_id=message_id)

    def placeholder(
        self,
        recipients: Sequence[str],
        files: Mapping[str, bytes],
        *,
        message_id: str = "1@foo.test",
        size: int | None = None,
        origin: str | None = None,
        days: float = 7,
    ) -> bytes:
        """A placeholder message that promises the files, whatever is true."""
        attachments = [
            Attachment(
                digest_of(data),
                len(data) if size is None else size,
                parse_origin(origin or str(self.settings.rs.origin)),
                self.world.now + timedelta(days=days),
                "application/octet-stream",
                name,
                b"",
            )
            for name, data in files.items()
        ]
        to = tuple(parse_address(each) for each in recipients)
        outgoing = Outgoing(
            message_id, self.address("alice"), to, "files", "hello", self.world.now, tuple(attachments), "b0undary"
        )
        return render_placeholder(outgoing)

    def deliver(self, raw: bytes, *recipients: str) -> tuple[Message, ...]:
        """The local mail server hands a message over."""
        return self.world.result(self.whole.retrieving.acceptance.accept(raw, [parse_address(r) for r in recipients]))

    def jobs(self) -> list[Job]:
        """Every pull."""
        return list(self.world.result(self.store.queue.jobs(None, None, 0, 1000)))

    def job(self, number: int = 1) -> Job:
        """One of them."""
        return self.world.result(self.store.queue.find(number))

    def content(self, digest: Digest) -> bytes:
        """The stored bytes."""

        async def read() -> bytes:
            blob = await self.store.blobs.find(digest)
            return b"".join([block async for block in self.store.blobs.read(digest, 0, blob.size)])

        return self.world.result(read())

    def start(self) -> None:
        """Begin to work: the store, the agent, the listener."""
        self.world.result(self.store.start())
        self.world.result(self.whole.retrieving.agent.start())
        self.listen(self.name)

    def listen(self, host: str) -> None:
        """Answer at the host of that name."""
        site = Site(self.whole.public, self.whole.means.effects.reactor, notes=Notes(self.whole.means.audit))
        secure = SecureFactory(self.whole.means.doors.server, site, self.whole.means.effects.reactor)
        self.world.internet.listen(host, 443, secure)

    def stop(self) -> None:
        """End the work; what is on the imaginary disk stays."""
        self.world.result(self.whole.retrieving.agent.stop())


@define(eq=False)
class World:
    """The internet, a development authority, and the domains on it."""

    folder: Path
    clock: Clock = field(factory=Clock)
    internet: Internet = field(init=False)
    zones: Zones = field(init=False)
    domains: dict[str, MemoryDomain] = field(factory=dict)
    skews: dict[str, float] = field(factory=dict)
    commands: list[tuple[str, ...]] = field(factory=list)
    said: bytes = b""
    exit_status: int | Refusal = 0
    _numbers: Any = field(factory=lambda: count(1))

    def __attrs_post_init__(self) -> None:
        self.clock.advance(NOW)
        self.internet = Internet(self.clock)
        self.zones = Zones(self.internet)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "resolv.conf").write_text(f"nameserver {OPEN_RESOLVER}\n")

    @property
    def now(self) -> Any:
        """The time of day."""
        return instant(self.clock.seconds())

    def result(self, awaitable: Awaitable[T]) -> T:
        """What it comes to once the internet is quiet; what it raises is raised."""
        outcome: list[Any] = []
        done: Deferred[T] = self.internet.run(awaitable)
        done.addBoth(outcome.append)
        if not outcome:
            raise AssertionError("no result yet")
        if hasattr(outcome[0], "raiseException"):
            outcome[0].raiseException()
        return cast(T, outcome[0])

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass."""
        self.internet.advance(seconds, step)

    def domain(
        self, name: str, change: Callable[[Settings], Settings] = lambda settings: settings, *, start: bool = True
    ) -> MemoryDomain:
        """A new domain on its own host, at work; `rs.` and `id.` names of it lead there too until told otherwise."""
        address = f"20.0.0.{next(self._numbers)}"
        host = self.internet.host(name, address)
        plan = Plan(parse_domain(name), self.folder / name, authority=self.folder / "authority")
        make(plan, self.now, first_values(plan))
        settings = change(self._with_resolver(parse_settings(plan.config.read_text())))
        reactor = NamedReactor(self.internet, host.address)
        host.reactor = reactor
        domain = self._compose(name, plan, settings, reactor)
        self.domains[name] = domain
        if start:
            domain.start()
        return domain

    def _with_resolver(self, settings: Settings) -> Settings:
        """The settings with the validating resolver that every host here has; answers live as long as they say."""
        system, kept = str(self.folder / "resolv.conf"), timedelta()
        return evolve(settings, dns=evolve(settings.dns, resolver=f"{RESOLVER} 53", system=system, least_kept=kept))

    def _compose(
        self, name: str, plan: Plan, settings: Settings, reactor: NamedReactor, kept: MemoryStore | None = None
    ) -> MemoryDomain:
        timers = Timers(reactor, lambda: reactor.seconds() + self.skews.get(name, 0.0))
        inline, unique = InlineWorkers(), self._numbers
        effects = Effects(
            reactor=reactor, timers=timers, writer=inline, readers=inline, disk=inline, passwords=inline,
            proofs=inline, command=self._command, listed=self._listed,
            chance=lambda: 0.5, unique=lambda: f"unique-{next(unique):06}-{name}", secret=b"s" * 32,
        )  # fmt: skip
        keyring = Keyring(settings.keys, timers.now)
        keyring.reload()
        trail = Lines(plan.folder / "trail.jsonl")
        store = kept or MemoryStore(timers.now)
        doors = build_doors(settings, effects, keyring)
        whole = compose(Means(settings, effects, doors, store, Audit(trail, Meters(), claims=True)))
        return MemoryDomain(self, name, plan, whole, store, trail)

    def restart(self, name: str) -> MemoryDomain:
        """The domain's process is killed and begins again: what was on its imaginary disk is there."""
        old = self.domains[name]
        old.stop()
        reactor: Any = old.whole.means.effects.reactor
        new = self._compose(name, old.plan, old.settings, reactor, old.store)
        self.domains[name] = new
        new.start()
        return new

    async def _command(self, arguments: Sequence[str]) -> int:
        """Programs are not run here, but written down; each ends with `exit_status`."""
        self.commands.append(tuple(arguments))
        if isinstance(self.exit_status, Refusal):
            raise self.exit_status
        return self.exit_status

    async def _listed(self, arguments: Sequence[str], words: Sequence[bytes]) -> frozenset[bytes]:
        """Those of the words that stand in `said`, what programs say here."""
        await self._command(arguments)
        return frozenset(word for word in words if word in self.said)

    def hostile(self, host: str, domain: MemoryDomain, protocol: Any) -> None:
        """Serve `protocol`, a factory, at `host` with the domain's certificate, in place of the domain's own server."""
        label = next(self._numbers)
        machine = self.internet.host(host, f"20.0.1.{label}")
        credential = read_credential(str(domain.plan.certificate), str(domain.plan.key))
        machine.reactor.listenTCP(443, SecureFactory(ServerTls(credential), protocol, machine.reactor))


def without_resolver(settings: Settings) -> Settings:
    """Nobody validates: the servers of resolv.conf are asked."""
    return evolve(settings, dns=evolve(settings.dns, resolver=None))


def with_rs(host: str) -> Callable[[Settings], Settings]:
    """The resource server's origin is https://`host`."""
    return lambda settings: evolve(settings, rs=evolve(settings.rs, origin=parse_origin(f"https://{host}")))
