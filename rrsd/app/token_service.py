"""The Security Token Service, plugged together: its clients, what they may exchange, ask and end."""

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from rrsd.app.means import Means
from rrsd.app.ourselves import agent_name, api_origin
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Domain
from rrsd.core.values.networks import network_of
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.strictjson import parse_object
from rrsd.core.wire.subjects import NameKind
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.tls.reload import read_file
from rrsd.roles.identity.flow import Identity
from rrsd.roles.idp.members import Addressees, Members
from rrsd.roles.sts.about import AboutTokens
from rrsd.roles.sts.admission import Admission
from rrsd.roles.sts.authentication import Authentication
from rrsd.roles.sts.clients import Client, own_agent, parse_client
from rrsd.roles.sts.flow import Flow as Exchange
from rrsd.roles.sts.own import OwnTokens
from rrsd.roles.sts.registry import Registry
from rrsd.roles.sts.settings import ClientSettings
from rrsd.runtime.limits import RateLimit


@frozen
class TokenService:
    """Exchange, introspection with revocation, and the clients."""

    exchange: Exchange
    about: AboutTokens
    registry: Registry


def build_token_service(
    means: Means, members: Members, identity: Identity, heard: Callable[[Domain], None]
) -> TokenService:
    """The token service of the domain.

    Raises:
        Malformed: a client in the settings cannot be registered.
    """
    settings, effects, keyring, store = means.settings, means.effects, means.doors.keyring, means.store
    issuer, now, unique = settings.domain.issuer, effects.timers.now, effects.unique
    registry = build_registry(means)
    admission = _admission(means, registry, identity, heard)
    addressees = Addressees(members, store.queue)
    own = OwnTokens(issuer, identity, keyring, store.revocations, now)
    exchange = Exchange(
        issuer=issuer,
        audiences=frozenset() if settings.idp.issuer else frozenset({api_origin(settings)}),
        settings=settings.sts,
        admission=admission,
        subjects=addressees,
        sessions=identity,
        own=own,
        replays=store.replays,
        policies=means.doors.policies,
        signer=keyring.signer,
        now=now,
        unique=unique,
    )
    most = settings.sts.inactive_per_client
    about = AboutTokens(
        issuer=issuer,
        admission=admission,
        own=own,
        subjects=addressees,
        signer=keyring.signer,
        inactive=RateLimit(most / 60, most, effects.reactor),
        now=now,
    )
    return TokenService(exchange, about, registry)


def _admission(means: Means, registry: Registry, identity: Identity, heard: Callable[[Domain], None]) -> Admission:
    sts, clock, now = means.settings.sts, means.effects.reactor, means.effects.timers.now
    issuer, replays = means.settings.domain.issuer, means.store.replays
    return Admission(
        authentication=Authentication(issuer=issuer, clients=registry, keys=identity, replays=replays, now=now),
        requests=RateLimit(float(sts.exchanges_per_second), 2 * sts.exchanges_per_second, clock),
        failures=RateLimit(sts.failures_per_address / 60, sts.failures_per_address, clock, whose=network_of),
        audit=means.audit,
        now=now,
        heard=heard,
    )


def build_registry(means: Means) -> Registry:
    """The STS's clients: those of the settings and of the store, and the agent of this daemon with its present keys.

    Raises:
        Malformed: a client in the settings cannot be registered.
    """
    settings = means.settings
    audiences = (api_origin(settings), str(settings.rs.origin))
    return Registry(
        configured=registered_clients(settings),
        own_name=str(agent_name(settings)),
        own=OwnClient(means.doors.keyring, settings.domain.name, audiences),
        others=frozenset({"rrsctl", *(each.client_id for each in settings.idp.clients)}),
        rows=means.store.clients,
        audit=means.audit,
        now=means.effects.timers.now,
    )


@define(eq=False)
class OwnClient:
    """The registration of this daemon's agent, made anew when its certificates have changed."""

    keyring: Keyring
    domain: Domain
    audiences: tuple[str, ...]
    _made: tuple[tuple[Certificate, ...], Client] | None = field(default=None, init=False)

    def __call__(self) -> Client:
        """The agent as a client."""
        certificates = tuple(self.keyring.agent.certificates)
        if self._made is None or self._made[0] != certificates:
            self._made = certificates, own_agent(certificates, self.domain, self.audiences)
        return self._made[1]


def registered_clients(settings: Settings) -> dict[str, Client]:
    """The STS's clients of the `[sts.client.…]` sections, by name.

    Raises:
        Malformed: one cannot be registered so: a file cannot be read, or values do not fit its method.
    """
    return {str(each.client): registered_client(each) for each in settings.sts.clients}


def registered_client(section: ClientSettings) -> Client:
    """The client of one section; refuses as `registered_clients`."""
    try:
        return parse_client(str(section.client), document_of(section))
    except Malformed as refusal:
        raise Malformed(f"[sts.client.{section.client}]: {refusal.detail}") from None


def document_of(section: ClientSettings) -> dict[str, Any]:
    """What the section says, with what its files hold, as `rrsctl clients add` would send it.

    Raises:
        Malformed: a file cannot be read.
    """
    document: dict[str, Any] = {
        "auth": section.auth.value,
        "certificates": [_read_text(path) for path in section.certificate],
        "ca": [_read_text(path) for path in section.ca],
        "jwks": None if section.jwks is None else parse_object(read_file(section.jwks)),
        "jwks_uri": None if section.jwks_uri is None else str(section.jwks_uri),
        "impersonate": [str(domain) for domain in section.impersonate],
        "audiences": list(section.audiences),
    }
    document |= {kind.value: getattr(section, kind.value) for kind in NameKind}
    kept = {name: value for name, value in document.items() if value}
    return kept | {"targets": list(section.targets), "introspect": section.introspect, "mtls": section.mtls}


def _read_text(path: str) -> str:
    return read_file(path).decode("utf-8", "replace")
