"""Addresses with ports: the operator's host table, the resolver that is configured, the servers of this system."""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_domain

DOMAIN_PORT = 53
MOST_SERVERS = 3
"""As many as the system's own resolver looks at (resolv.conf(5), MAXNS)."""


@frozen(order=True)
class Place:
    """An address and a port; `configured` when the operator's own table named it."""

    address: str
    port: int
    configured: bool = False


def parse_hosts(lines: Sequence[str]) -> Mapping[str, Place]:
    """The host table that the lines `name = address port` write.

    Raises:
        Malformed: a line is not of that form, or a name comes twice.
    """
    table: dict[str, Place] = {}
    for line in lines:
        name, equals, rest = (part.strip() for part in line.partition("="))
        words = rest.split()
        if not equals or len(words) != 2 or not _is_port(words[1]):
            raise Malformed(f"host table line {line!r} is not: name = address port")
        host = parse_domain(name).name
        if host in table:
            raise Malformed(f"host table names {host} twice")
        table[host] = Place(_address(words[0], f"host table line {line!r}"), int(words[1]), True)
    return table


def parse_server(text: str) -> Place:
    """The name server that `address` or `address port` writes.

    Raises:
        Malformed: it is not of that form.
    """
    address, *port = text.split() or [""]
    if len(port) > 1 or not all(_is_port(each) for each in port):
        raise Malformed(f"{text!r} is not: address port")
    return Place(_address(address, repr(text)), int(port[0]) if port else DOMAIN_PORT)


def is_loopback(server: Place) -> bool:
    """Whether the server is this host itself: only then nobody on the way can set the AD bit (RFC 4035 4.9.3)."""
    return ipaddress.ip_address(server.address).is_loopback


def system_servers(path: Path) -> tuple[Place, ...]:
    """The servers that a resolv.conf names, or the one on this host where it names none (resolv.conf(5))."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    found = tuple(Place(name, DOMAIN_PORT) for name in named if _is_address(name))
    return found[:MOST_SERVERS] or (Place("127.0.0.1", DOMAIN_PORT),)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) < 65536


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _address(text: str, where: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Malformed(f"{where} has no IP address") from None
