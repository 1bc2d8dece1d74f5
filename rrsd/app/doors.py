"""The drivers, built from the settings."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from attrs import define, evolve, field

from rrsd.app.effects import Effects
from rrsd.config.settings import Settings
from rrsd.drivers.dns.lookup import Lookup
from rrsd.drivers.dns.service import build_lookup, build_resolver
from rrsd.drivers.dns.settings import Settings as DnsSettings
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.fetch.endpoints import Network
from rrsd.drivers.fetch.guard import Guard, parse_networks
from rrsd.drivers.fetch.settings import Settings as FetchSettings
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.policy.engine import Engine
from rrsd.drivers.policy.service import build_engine, read_policies
from rrsd.drivers.tls.client import ClientTls
from rrsd.drivers.tls.credentials import Credential, parse_credential
from rrsd.drivers.tls.reload import read_credential, read_file
from rrsd.drivers.tls.server import ServerTls
from rrsd.runtime.timers import Timers


@define(eq=False)
class Doors:
    """The ways in and out. `strangers` shows no certificate, `agent` shows that of the domain's agent; `names` is what
    DNS says; `policies` decide."""

    settings: Settings
    keyring: Keyring
    server: ServerTls
    strangers: Outbound
    agent: Outbound
    names: Lookup
    policies: Engine
    _agent_tls: ClientTls
    watchers: list[Callable[[], None]] = field(factory=list)
    """Whoever wants to know that keys, certificates or policies are others now."""

    def reload(self, decided: Callable[[Sequence[str]], None] = lambda _: None) -> tuple[str, ...]:
        """Take up certificates, keys and policies that changed on disk; what is open goes on.

        Returns what was reloaded; `decided` hears of it when all can be used and before anything is.

        Raises:
            Malformed, Damaged, Forbidden: something cannot be used; everything is as it was.
        """
        credential = read_front(self.settings)
        policies = read_policies(self.settings.policy, self.policies.schema)
        done = ("front certificate", "keys", f"{len(policies.by_name)} policies")
        self.keyring.reload(lambda: decided(done))
        self.server.replace(credential)
        self.present()
        self.policies.replace(policies)
        self._tell()
        return done

    def present(self) -> None:
        """Present the client certificate that is the current one on calls from now on; those that run go on."""
        self._agent_tls.replace(agent_credential(self.keyring))
        self._tell()

    def _tell(self) -> None:
        for watcher in self.watchers:
            watcher()


def build_doors(settings: Settings, effects: Effects, keyring: Keyring) -> Doors:
    """The drivers of a daemon whose keys are loaded.

    Raises:
        Malformed: a certificate, the roots, the host table, a policy or a network in the settings cannot be used.
        Forbidden: others may write to the policies.
    """
    roots = read_file(settings.tls.roots) if settings.tls.roots is not None else None
    minimum = settings.tls.minimum
    stranger_tls = ClientTls(minimum, roots)
    agent_tls = ClientTls(minimum, roots, agent_credential(keyring))
    names = build_lookup(settings.dns, effects.reactor, effects.timers)
    return Doors(
        settings,
        keyring,
        ServerTls(read_front(settings), minimum),
        build_outbound(settings, effects, names, stranger_tls, settings.fetch.stranger),
        build_outbound(settings, effects, names, agent_tls, settings.fetch.ask),
        names,
        build_engine(settings.policy),
        agent_tls,
    )


def read_front(settings: Settings) -> Credential:
    """The public listeners' certificate and key."""
    return read_credential(settings.front.certificate, settings.front.key)


def agent_credential(keyring: Keyring) -> Credential:
    """The agent's client certificate and key."""
    pair = keyring.agent.pair
    return parse_credential(pair.certificate_pem, pair.key_pem)


class Ways(Protocol):
    """The settings of the way out."""

    @property
    def dns(self) -> DnsSettings: ...

    @property
    def fetch(self) -> FetchSettings: ...


class Surroundings(Protocol):
    """What the way out takes from outside."""

    @property
    def reactor(self) -> Any: ...

    @property
    def timers(self) -> Timers: ...


def build_outbound(
    settings: Ways, effects: Surroundings, names: Lookup, tls: ClientTls, patience: timedelta
) -> Outbound:
    """The way out to other hosts, with the guard that the settings ask for; small questions may take `patience`.

    Raises:
        Malformed: the host table or a network in the settings cannot be used.
    """
    resolver = build_resolver(settings.dns, effects.reactor, effects.timers, names)
    guard = Guard(parse_networks(settings.fetch.allowed), parse_networks(settings.fetch.forbidden))
    network = Network(
        effects.reactor,
        effects.timers,
        resolver,
        guard,
        tls.creator_for,
        settings.fetch.connect,
        settings.fetch.handshake,
    )
    return Outbound(network, evolve(settings.fetch, ask=patience))
