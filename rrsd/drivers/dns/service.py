"""Name resolution as the settings want it."""

from pathlib import Path
from typing import Any

from rrsd.drivers.dns.client import Client
from rrsd.drivers.dns.exchange import Exchange
from rrsd.drivers.dns.libunbound import open_libunbound
from rrsd.drivers.dns.lookup import Lookup, Source
from rrsd.drivers.dns.places import is_loopback, parse_hosts, parse_server, system_servers
from rrsd.drivers.dns.resolver import Addresses, Resolver, SystemAddresses, ValidatedAddresses
from rrsd.drivers.dns.settings import Backend, Settings
from rrsd.runtime.timers import Timers


def is_validating(settings: Settings) -> bool:
    """Whether somebody on this host validates."""
    return settings.resolver is not None or settings.backend is Backend.LIBUNBOUND


def build_lookup(settings: Settings, reactor: Any, timers: Timers) -> Lookup:
    """Records by name.

    Raises:
        Malformed: the resolver is no address, or libunbound cannot be used.
    """
    return Lookup(_source(settings, reactor, timers), timers, settings)


def build_resolver(settings: Settings, reactor: Any, timers: Timers, lookup: Lookup) -> Resolver:
    """Addresses by name: validated where somebody validates, the system's otherwise.

    Raises:
        Malformed: the host table is none.
    """
    validated = is_validating(settings)
    addresses: Addresses = ValidatedAddresses(lookup) if validated else SystemAddresses(reactor.nameResolver)
    return Resolver(addresses, timers, parse_hosts(settings.hosts), settings.deadline, settings.most_addresses)


def _source(settings: Settings, reactor: Any, timers: Timers) -> Source:
    if settings.backend is Backend.LIBUNBOUND:
        return open_libunbound(settings, reactor)
    exchange = Exchange(reactor, timers)
    if settings.resolver is not None:
        server = parse_server(settings.resolver)
        return Client(exchange, lambda: (server,), is_loopback(server), settings.patience)
    path = Path(settings.system)
    return Client(exchange, lambda: system_servers(path), False, settings.patience)
