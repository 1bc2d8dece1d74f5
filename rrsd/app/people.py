"""Who we say we are, and the roles about people: identity, the OpenID Provider, the Security Token Service."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rrsd.app.means import Means
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import ClientIdentifier, join_client_identifier
from rrsd.core.values.peers import Certificate, Url
from rrsd.core.wire.metadata import IssuerMetadata
from rrsd.core.wire.x509 import parse_certificate
from rrsd.drivers.dns.service import is_validating
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.tls.reload import read_file
from rrsd.roles.identity.flow import Identity
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.inspection import Inspection
from rrsd.roles.identity.publication import Publication
from rrsd.roles.identity.zones import Zones
from rrsd.roles.idp.claims import metadata as login_metadata
from rrsd.roles.idp.clients import command_line
from rrsd.roles.idp.flow import Flow as Login
from rrsd.roles.idp.flow import Guards
from rrsd.roles.idp.members import Administration, Members
from rrsd.roles.idp.passwords import Argon2Passwords
from rrsd.roles.sts import rules as sts_rules
from rrsd.roles.sts.flow import Flow as Exchange
from rrsd.roles.sts.rules import Client
from rrsd.roles.sts.rules import metadata as exchange_metadata
from rrsd.runtime.flights import Flights
from rrsd.runtime.limits import RateLimit


@frozen
class People:
    """The roles about people, plugged together."""

    identity: Identity
    inspection: Inspection
    publication: Publication
    members: Members
    administration: Administration
    login: Login
    exchange: Exchange


def api_origin(settings: Settings) -> str:
    """The audience of our users' access tokens."""
    return str(settings.rra.origin or settings.domain.issuer.origin)


def agent_name(settings: Settings) -> ClientIdentifier:
    """The global client identifier of the domain's agent."""
    return settings.rra.client or join_client_identifier("_rra", settings.domain.name.name)


def home_of(settings: Settings) -> Home:
    """What the domain says about itself."""
    issuer = settings.domain.issuer
    authorize = Url(issuer.origin, f"{issuer.path}/authorize")
    return Home(
        domain=settings.domain.name,
        metadata=IssuerMetadata(
            issuer=issuer,
            jwks_uri=Url(issuer.origin, f"{issuer.path}/jwks"),
            token_endpoint=Url(issuer.origin, f"{issuer.path}/token"),
            protected_resources=(settings.rs.origin,),
            authorization_endpoint=authorize if settings.idp.issuer is None else None,
        ),
        resource=settings.rs.origin,
        client=agent_name(settings),
        access_issuer=settings.idp.issuer or issuer,
        audiences=frozenset({api_origin(settings)}),
        more=members_of(settings),
    )


def _require_own_name(settings: Settings, keyring: Keyring) -> None:
    found = keyring.agent.certificate.client
    if found != agent_name(settings):
        raise Malformed(f"the client certificate in {settings.keys.path} names {found}, not {agent_name(settings)}")


def members_of(settings: Settings) -> dict[str, Any]:
    """The further members of the metadata document: those of the token service, and of the provider if it is ours."""
    issuer = settings.domain.issuer
    exchange = exchange_metadata(issuer)
    if settings.idp.issuer is not None:
        return exchange
    login = login_metadata(issuer, signing_algorithms(settings))
    return {name: _merged(exchange.get(name), login.get(name)) for name in (*exchange, *login)}


def signing_algorithms(settings: Settings) -> list[str]:
    """What our tokens are signed with; a key from before RS256 was chosen may still be at work."""
    return list(dict.fromkeys((settings.keys.algorithm.value, "ES256")))


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *(each for each in other if each not in one)]
    return other if one is None else one


def build_people(means: Means) -> People:
    """The roles about people.

    Raises:
        Malformed: a client in the settings cannot be registered, or the agent's certificate has another name.
    """
    settings, effects, doors, store, audit = means.settings, means.effects, means.doors, means.store, means.audit
    _require_own_name(settings, doors.keyring)
    home, keyring, timers = home_of(settings), doors.keyring, effects.timers
    zones = Zones(settings.identity, doors.names, is_validating(settings.dns))
    identity = Identity(settings.identity, home, doors.strangers, zones, Flights(), keyring, keyring.agent, timers)
    passwords = Argon2Passwords(settings.idp, effects.passwords)
    administration = Administration(
        domain=settings.domain.name, users=store.users, passwords=passwords, audit=audit, now=timers.now
    )
    members = Members(store.users)
    return People(
        identity,
        Inspection(settings.identity, home, doors.strangers, zones, keyring.agent, timers),
        Publication(settings.identity, home, keyring, keyring.agent),
        members,
        administration,
        _login(means, passwords),
        _exchange(means, members, identity),
    )


def _login(means: Means, passwords: Argon2Passwords) -> Login:
    settings, effects = means.settings, means.effects
    idp, clock = settings.idp, effects.reactor
    built_in = command_line(settings.domain.issuer)
    registered = [built_in, *(each.client() for each in idp.clients)]
    guards = Guards(
        by_address=RateLimit(idp.attempts_per_address / 60, idp.attempts_per_address, clock),
        by_user=RateLimit(idp.attempts_per_user / 60, idp.attempts_per_user, clock),
        by_failure=RateLimit(1.0, 60, clock),
    )
    return Login(
        issuer=settings.domain.issuer,
        audience=api_origin(settings),
        settings=idp,
        clients={each.client_id: each for each in registered},
        users=means.store.users,
        grants_kept=means.store.logins,
        passwords=passwords,
        signer=means.doors.keyring.signer,
        audit=means.audit,
        guards=guards,
        now=effects.timers.now,
        unique=effects.unique,
        secret=effects.secret,
    )


def _exchange(means: Means, members: Members, identity: Identity) -> Exchange:
    settings, effects = means.settings, means.effects
    sts, clock = settings.sts, effects.reactor
    registered = {str(each.identifier): each for each in registered_clients(settings)}
    clients = Registry(settings, means.doors.keyring, registered)
    return Exchange(
        issuer=settings.domain.issuer,
        settings=sts,
        clients=clients,
        subjects=members,
        sessions=identity,
        replays=means.store.replays,
        signer=means.doors.keyring.signer,
        audit=means.audit,
        requests=RateLimit(float(sts.exchanges_per_second), 2 * sts.exchanges_per_second, clock),
        failures=RateLimit(sts.failures_per_address / 60, sts.failures_per_address, clock),
        now=effects.timers.now,
        unique=effects.unique,
    )


@frozen
class Registry(Mapping[str, Client]):
    """The STS's clients by identifier: those of the settings, and the agent of this daemon with its present keys."""

    settings: Settings
    keyring: Keyring
    registered: Mapping[str, Client]

    def __getitem__(self, name: str) -> Client:
        if name in self.registered or name != str(agent_name(self.settings)):
            return self.registered[name]
        ours, audience = self.keyring.agent.certificates, api_origin(self.settings)
        return sts_rules.own_agent(ours, self.settings.domain.name, audience)

    def __iter__(self) -> Iterator[str]:
        return iter({str(agent_name(self.settings)), *self.registered})

    def __len__(self) -> int:
        return len({str(agent_name(self.settings)), *self.registered})


def registered_clients(settings: Settings) -> tuple[Client, ...]:
    """The STS's clients of the `[sts.client.…]` sections.

    Raises:
        Malformed: a certificate cannot be read, or is another client's.
    """
    return tuple(
        sts_rules.register(
            each.client,
            [_read_certificate(path) for path in each.certificate],
            each.impersonate,
            each.audiences,
            each.targets,
        )
        for each in settings.sts.clients
    )


def _read_certificate(path: str) -> Certificate:
    try:
        found = x509.load_pem_x509_certificate(read_file(path))
    except ValueError:
        raise Malformed(f"{path}: not a PEM certificate") from None
    return parse_certificate(found.public_bytes(Encoding.DER))
