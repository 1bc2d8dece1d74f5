"""A third party's API in memory: its own host, its own certificate, and no domain of rrsd behind it.

api = orders_of(world)                     # https://api.baz.test, the API of examples/orders_api.py
Line.to(world, api.host, credential=agent_of(bar)).ask("GET", "/orders", Authorization="Bearer …")
"""

import importlib.util

from attrs import define, field

from rrsd.drivers.keys import files
from rrsd.drivers.keys.certificates import DevelopmentAuthority
from rrsd.protect import Build, Outside, Policy, ProtectedApi, parse_api_settings, protect
from rrsd.runtime.timers import Timers
from tests.architecture.tree import ROOT
from tests.support.world import Lines, NamedReactor, World
from tests.support.zones import RESOLVER


@define(eq=False)
class Sink(Lines):
    """An audit trail in memory."""

    reopened: int = field(default=0, init=False)

    def reopen(self) -> None:
        """There is no file to move away."""
        self.reopened += 1


@define(eq=False)
class MemoryApi:
    """One API at work on its own host."""

    host: str
    api: ProtectedApi
    trail: Sink


def orders() -> Build:
    """The API of examples/orders_api.py."""
    path = ROOT / "examples" / "orders_api.py"
    spec = importlib.util.spec_from_file_location("orders_api", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Build = module.orders
    return made


def api_of(
    world: World,
    build: Build,
    host: str = "api.baz.test",
    policy: Policy | None = None,
    more: str = "",
    methods: str = "webfinger issuer",
) -> MemoryApi:
    """The API at work at https://`host`; `more` goes to the end of `[api]` in its INI file."""
    folder = world.folder / host
    folder.mkdir(parents=True)
    settings = parse_api_settings(_ini(world, host, methods) + more)
    _issue(world, host)
    machine = world.internet.host(host, f"20.0.9.{len(world.internet.hosts) + 1}")
    reactor = NamedReactor(world.internet, machine.address)
    machine.reactor = reactor
    trail = Sink(folder / "trail.jsonl")
    api = protect(settings, Outside(reactor, Timers(reactor)), policy, trail)
    world.internet.listen(host, 443, api.front(build))
    return MemoryApi(host, api, trail)


def _ini(world: World, host: str, methods: str) -> str:
    folder = world.folder / host
    return f"""\
[tls]
roots = {world.folder / "authority" / "ca.pem"}
[identity]
allow_reserved = yes
methods = {methods}
[dns]
resolver = {RESOLVER}
[api]
origin = https://{host}
certificate = {folder / "server.pem"}
key = {folder / "server.key"}
audit = {folder / "audit.jsonl"}
"""


def _issue(world: World, host: str) -> None:
    place = world.folder / "authority"
    authority = DevelopmentAuthority(files.read_public(place / "ca.pem"), (place / "ca.key").read_bytes())
    certificate, key = authority.issue([host], world.now)
    files.write_new(world.folder / host / "server.pem", certificate, files.PUBLIC)
    files.write_new(world.folder / host / "server.key", key)
