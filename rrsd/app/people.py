"""Who we say we are, and the roles about people: identity, the OpenID Provider, the Security Token Service."""

from typing import Any

from attrs import frozen

from rrsd.app.means import Means
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import ClientIdentifier, join_client_identifier
from rrsd.core.values.peers import Url
from rrsd.core.wire.metadata import IssuerMetadata
from rrsd.core.wire.strictjson import parse_object
from rrsd.core.wire.subjects import NameKind
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
from rrsd.roles.sts.about import AboutTokens
from rrsd.roles.sts.admission import Admission
from rrsd.roles.sts.authentication import Authentication
from rrsd.roles.sts.clients import Client, own_agent, parse_client
from rrsd.roles.sts.flow import Flow as Exchange
from rrsd.roles.sts.own import OwnTokens
from rrsd.roles.sts.registry import Registry
from rrsd.roles.sts.rules import metadata as exchange_metadata
from rrsd.roles.sts.settings import ClientSettings
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
    about: AboutTokens
    registry: Registry


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
            agent=agent_name(settings),
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
    algorithms = signing_algorithms(settings)
    exchange = exchange_metadata(issuer, algorithms)
    if settings.idp.issuer is not None:
        return exchange
    login = login_metadata(issuer, algorithms)
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
    identity = Identity(
        settings.identity, home, doors.strangers, zones, Flights(), keyring, keyring.agent, timers, store.revocations
    )
    passwords = Argon2Passwords(settings.idp, effects.passwords)
    administration = Administration(
        domain=settings.domain.name, users=store.users, passwords=passwords, audit=audit, now=timers.now
    )
    members = Members(store.users)
    exchange, about, registry = _token_service(means, members, identity)
    return People(
        identity,
        Inspection(settings.identity, home, doors.strangers, zones, keyring.agent, timers),
        Publication(settings.identity, home, keyring, keyring.agent),
        members,
        administration,
        _login(means, passwords, identity),
        exchange,
        about,
        registry,
    )


def _login(means: Means, passwords: Argon2Passwords, identity: Identity) -> Login:
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
        sessions=identity,
        revocations=means.store.revocations,
        signer=means.doors.keyring.signer,
        audit=means.audit,
        guards=guards,
        now=effects.timers.now,
        unique=effects.unique,
        secret=effects.secret,
    )


def _token_service(means: Means, members: Members, identity: Identity) -> tuple[Exchange, AboutTokens, Registry]:
    settings, effects, keyring, store = means.settings, means.effects, means.doors.keyring, means.store
    issuer, now, unique = settings.domain.issuer, effects.timers.now, effects.unique
    registry = build_registry(means)
    admission = _admission(means, registry, identity)
    own = OwnTokens(issuer, identity, keyring, store.revocations, now)
    exchange = Exchange(
        issuer=issuer,
        audiences=frozenset() if settings.idp.issuer else frozenset({api_origin(settings)}),
        settings=settings.sts,
        admission=admission,
        subjects=members,
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
        subjects=members,
        signer=keyring.signer,
        inactive=RateLimit(most / 60, most, effects.reactor),
        now=now,
    )
    return exchange, about, registry


def _admission(means: Means, registry: Registry, identity: Identity) -> Admission:
    sts, clock, now = means.settings.sts, means.effects.reactor, means.effects.timers.now
    issuer, replays = means.settings.domain.issuer, means.store.replays
    return Admission(
        authentication=Authentication(issuer=issuer, clients=registry, keys=identity, replays=replays, now=now),
        requests=RateLimit(float(sts.exchanges_per_second), 2 * sts.exchanges_per_second, clock),
        failures=RateLimit(sts.failures_per_address / 60, sts.failures_per_address, clock),
        audit=means.audit,
        now=now,
    )


def build_registry(means: Means) -> Registry:
    """The STS's clients: those of the settings and of the store, and the agent of this daemon with its present keys.

    Raises:
        Malformed: a client in the settings cannot be registered.
    """
    settings, agent = means.settings, means.doors.keyring.agent
    audiences = (api_origin(settings), str(settings.rs.origin))
    return Registry(
        configured=registered_clients(settings),
        own_name=str(agent_name(settings)),
        own=lambda: own_agent(agent.certificates, settings.domain.name, audiences),
        others=frozenset({"rrsctl", *(each.client_id for each in settings.idp.clients)}),
        rows=means.store.clients,
        audit=means.audit,
        now=means.effects.timers.now,
    )


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
