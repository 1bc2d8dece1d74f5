"""Somebody's own API behind the proofs of the Resource Server, as a program of its own; `rrsd.protect` offers it."""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from attrs import define, frozen
from klein import Klein
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import ILogObserver, globalLogBeginner
from twisted.web.resource import IResource

from rrsd.app.audit import Audit, Trail
from rrsd.app.doors import build_outbound
from rrsd.app.front import Listeners
from rrsd.app.tree import Daemon, Still
from rrsd.config.ini import Misconfigured
from rrsd.config.protection import Api, ApiSettings, parse_api_settings
from rrsd.core.refusals import Refusal, Unproven
from rrsd.core.values.addresses import join_client_identifier, parse_domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.networks import network_of
from rrsd.core.values.peers import Certificate, Origin, Url, parse_issuer
from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.metadata import IssuerMetadata
from rrsd.drivers.dns.lookup import Lookup
from rrsd.drivers.dns.service import build_lookup, is_validating
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.tls.client import ClientTls
from rrsd.drivers.tls.reload import read_credential, read_file
from rrsd.drivers.tls.server import ServerTls
from rrsd.roles.admin.meters import Meters
from rrsd.roles.identity.flow import Identity
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.zones import Zones
from rrsd.roles.rs.flow.admission import Gate, Record
from rrsd.roles.rs.flow.proofs import Proofs
from rrsd.roles.rs.settings import Settings as Serving
from rrsd.runtime.flights import Flights
from rrsd.runtime.limits import RateLimit
from rrsd.runtime.logs import AuditTrail, Log, as_json, as_text
from rrsd.runtime.secure import SecureFactory
from rrsd.runtime.timers import Timers, steady_timers
from rrsd.web.protected import Policy, Protection, Published
from rrsd.web.site import Site
from rrsd.web.trail import Notes

Build = Callable[[Protection], Klein | IResource]
"""What makes the API from its protection."""

NOBODY = "nobody.invalid"
"""The domain of an API that has no users of its own: a name that nobody can ever have (RFC 6761 6.4)."""


@frozen
class Outside:
    """What a protection takes from outside its own memory."""

    reactor: Any
    timers: Timers


class Sink(Trail, Protocol):
    """An append-only record in a file that may be moved away."""

    def reopen(self) -> None: ...


@define(eq=False)
class ProtectedApi:
    """A protection and what it stands on; `front` is what listens."""

    settings: ApiSettings
    protection: Protection
    outside: Outside
    tls: ServerTls
    strangers: Outbound
    names: Lookup
    trail: Sink
    audit: Audit

    def front(self, build: Build) -> IProtocolFactory:
        """TLS that asks for a client certificate, HTTP with its limits, and the API behind its protection."""
        made = build(self.protection)
        inner = made.resource() if isinstance(made, Klein) else made
        reactor = self.outside.reactor
        site = Site(Published(inner, self.protection), reactor, notes=Notes(self.audit))
        seconds = self.settings.tls.handshake.total_seconds()
        return SecureFactory(self.tls, site, reactor, handshake_timeout=seconds)

    def reload(self) -> tuple[str, ...]:
        """Take up a certificate that changed on disk, and a new file for the audit trail.

        Raises:
            Malformed, Forbidden: the certificate cannot be used; the old one stays.
        """
        self.trail.reopen()
        self.tls.replace(read_credential(self.settings.api.certificate, self.settings.api.key))
        return ("certificate", "audit trail")


def protect(
    settings: ApiSettings, outside: Outside, policy: Policy | None = None, trail: Sink | None = None
) -> ProtectedApi:
    """The API that the settings describe, protected; nothing is started and nothing listens.

    Raises:
        Malformed, Forbidden: a certificate, the roots, the host table or a network cannot be used.
        OSError: the audit trail cannot be opened.
    """
    tls = ServerTls(read_credential(settings.api.certificate, settings.api.key), settings.tls.minimum)
    roots = read_file(settings.tls.roots) if settings.tls.roots is not None else None
    names = build_lookup(settings.dns, outside.reactor, outside.timers)
    patience = settings.fetch.stranger
    strangers = build_outbound(settings, outside, names, ClientTls(settings.tls.minimum, roots), patience)
    kept = trail or AuditTrail(settings.api.audit, outside.timers.now)
    audit = Audit(kept, Meters())
    serving = _serving(settings.api)
    zones = Zones(settings.identity, names, is_validating(settings.dns))
    nobody = _nobody(settings.api.origin)
    trust = Identity(settings.identity, nobody, strangers, zones, Flights(), _NoKeys(), _NoAgent(), outside.timers)
    protection = Protection(
        settings.api.origin,
        Proofs(serving, trust, outside.timers),
        Gate(serving, RateLimit(serving.rate, serving.burst, outside.reactor, whose=network_of), audit),
        Record(audit, outside.timers),
        policy,
        settings.api.weak,
    )
    return ProtectedApi(settings, protection, outside, tls, strangers, names, kept, audit)


def make_api(path: str, build: Build, policy: Policy | None = None, reactor: Any = None) -> Daemon:
    """The service of the API that the INI file describes; the process ends with one line when it cannot be used."""
    if reactor is None:
        from twisted.internet import reactor
    outside = Outside(reactor, steady_timers(reactor))
    try:
        api = protect(read_api_settings(path), outside, policy)
        front = api.front(build)
    except (Refusal, OSError) as problem:
        _end(str(problem))
    rooms = (
        Still("dns", (api.names.stop,)),
        Still("fetch", (api.strangers.stop,)),
        Listeners("front", reactor, [(each, front) for each in api.settings.api.listen]),
    )
    return Daemon(rooms, _observer(), api.reload, reactor)


def run(path: str, build: Build, policy: Policy | None = None) -> None:
    """Serve the API until SIGTERM; SIGHUP takes up a new certificate and a new audit file."""
    from twisted.internet import reactor

    daemon: Any = make_api(path, build, policy, reactor)
    globalLogBeginner.beginLoggingTo([_observer()], redirectStandardIO=False)
    runner: Any = reactor
    daemon.startService()
    runner.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    runner.run()


def read_api_settings(path: str) -> ApiSettings:
    """The settings in the file, or the end of the process after one line for each thing that is wrong."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_api_settings(file.read())
    except (OSError, UnicodeDecodeError) as error:
        _end(f"cannot read {path}: {error}")
    except Misconfigured as misconfigured:
        _end("\n".join(f"{path}: {error}" for error in misconfigured.errors))


def _end(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(os.EX_CONFIG)


def _observer() -> ILogObserver:
    return Log(sys.stderr, as_text if sys.stderr.isatty() else as_json)


def _serving(api: Api) -> Serving:
    """The limits of the API in the words of the Resource Server, whose gate and proofs these are."""
    return Serving(
        origin=api.origin,
        concurrent=api.concurrent,
        concurrent_all=api.concurrent_all,
        rate=api.rate,
        burst=api.burst,
        proofs=api.proofs,
        unproven=api.unproven,
    )


def _nobody(origin: Origin) -> Home:
    issuer = parse_issuer(f"https://{NOBODY}")
    url = Url(issuer.origin, "/")
    return Home(
        domain=parse_domain(NOBODY),
        metadata=IssuerMetadata(issuer=issuer, jwks_uri=url, token_endpoint=url),
        resource=origin,
        client=join_client_identifier("_none", NOBODY),
        access_issuer=issuer,
        audiences=frozenset(),
    )


class _NoKeys:
    """The signing keys of nobody."""

    def published(self) -> KeySet:
        """None."""
        return KeySet(())


class _NoAgent:
    """The client certificate of nobody."""

    @property
    def certificate(self) -> Certificate:
        """Refuses with Unproven."""
        raise Unproven("nobody has no client certificate")

    def published(self) -> tuple[Digest, ...]:
        """None."""
        return ()
