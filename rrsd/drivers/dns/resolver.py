"""Where a host listens: the operator's host table first, then the system's resolver."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.runtime.timers import Timers


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
        if not equals or len(words) != 2 or not words[1].isdecimal() or not 0 < int(words[1]) < 65536:
            raise Malformed(f"host table line {line!r} is not: name = address port")
        host = parse_domain(name).name
        if host in table:
            raise Malformed(f"host table names {host} twice")
        table[host] = Place(_address(words[0], line), int(words[1]), True)
    return table


def _address(text: str, line: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Malformed(f"host table line {line!r} has no IP address") from None


@frozen
class Resolver:
    """Resolves host names within `deadline` to at most `most` places."""

    names: IHostnameResolver
    timers: Timers
    table: Mapping[str, Place] = field(factory=dict)
    deadline: timedelta = timedelta(seconds=10)
    most: int = 8

    async def lookup(self, host: str, port: int) -> tuple[Place, ...]:
        """Where `host` listens for `port`, at least one place.

        Raises:
            Unavailable: it has no address, or none in time.
        """
        if host in self.table:
            return (self.table[host],)
        asked = _Question()
        self.names.resolveHostName(asked, host, port)
        found = await self.timers.within(self.deadline, asked.answered, lambda: Unavailable("name resolution is slow"))
        places = tuple(dict.fromkeys(Place(one.host, port) for one in found))[: self.most]
        if not places:
            raise Unavailable("name does not resolve")
        return places


@implementer(IResolutionReceiver)
@define(eq=False)
class _Question:
    answered: Deferred[list[IPv4Address | IPv6Address]] = field(factory=Deferred)
    _found: list[IPv4Address | IPv6Address] = field(factory=list)

    def resolutionBegan(self, resolutionInProgress: Any) -> None:  # noqa: N802, N803 - Twisted's interface
        pass

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        if isinstance(address, IPv4Address | IPv6Address):
            self._found.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        if not self.answered.called:
            self.answered.callback(self._found)
