"""Who we say we are, and the roles about people: identity, the OpenID Provider, the Security Token Service."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from rrsd.app.means import Means
from rrsd.app.ourselves import agent_name, api_origin
from rrsd.app.token_service import build_token_service
from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import Domain
from rrsd.core.values.networks import network_of
from rrsd.core.values.peers import Url
from rrsd.core.wire.metadata import IssuerMetadata
from rrsd.drivers.dns.service import is_validating
from rrsd.drivers.keys.service import Keyring
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
from rrsd.roles.sts.flow import Flow as Exchange
from rrsd.roles.sts.registry import Registry
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
    about: AboutTokens
    registry: Registry


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


def build_people(means: Means, heard: Callable[[Domain], None]) -> People:
    """The roles about people; `heard` is told the domain of every client that proves itself.

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
        domain=settings.domain.name,
        users=store.users,
        passwords=passwords,
        audit=audit,
        now=timers.now,
        room=store.queue,
        quota=settings.rra.quota,
    )
    members = Members(store.users, settings.mail.recipient_delimiter or "")
    sts = build_token_service(means, members, identity, heard)
    return People(
        identity,
        Inspection(settings.identity, home, doors.strangers, zones, keyring.agent, timers),
        Publication(settings.identity, home, keyring, keyring.agent),
        members,
        administration,
        _login(means, passwords, identity),
        sts.exchange,
        sts.about,
        sts.registry,
    )


def _login(means: Means, passwords: Argon2Passwords, identity: Identity) -> Login:
    settings, effects = means.settings, means.effects
    idp, clock = settings.idp, effects.reactor
    built_in = command_line(settings.domain.issuer)
    registered = [built_in, *(each.client() for each in idp.clients)]
    guards = Guards(
        by_address=RateLimit(idp.attempts_per_address / 60, idp.attempts_per_address, clock, whose=network_of),
        by_user=RateLimit(idp.attempts_per_user / 60, idp.attempts_per_user, clock),
        by_failure=RateLimit(1.0, 60, clock, whose=network_of),
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
