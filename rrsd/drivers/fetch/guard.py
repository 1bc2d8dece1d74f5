"""Which addresses are called: public unicast ones, and what the operator allows (F-02, F-03, F-18).

The list is our own; `ipaddress.is_global` changes with the Python version and lets address families through that carry
another address inside.
"""

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from attrs import frozen

from rrsd.core.refusals import Forbidden, Malformed

Network: TypeAlias = IPv4Network | IPv6Network

BLOCKED_V4 = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
ALLOWED_V6 = "2000::/3"
"""The only range that public IPv6 unicast addresses come from (RFC 4291 2.4)."""
BLOCKED_V6 = (
    "2001::/23",  # IETF protocol assignments, Teredo and ORCHID among them
    "2001:db8::/32",
    "2002::/16",  # 6to4 carries an IPv4 address
    "2620:4f:8000::/48",
    "3fff::/20",
    "3ffe::/16",
)


@frozen
class Guard:
    """Says no to addresses. `allowed` goes before the built-in list, `forbidden` before both."""

    allowed: tuple[Network, ...] = ()
    forbidden: tuple[Network, ...] = ()

    def permits(self, address: str) -> bool:
        """Whether the address may be called; text that is not a plain address may not."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
            return False
        if any(parsed in network for network in self.forbidden):
            return False
        return any(parsed in network for network in self.allowed) or _is_public(parsed)

    def require_permitted(self, address: str) -> None:
        """Refuse to call the address unless it may be called.

        Raises:
            Forbidden: it may not.
        """
        if not self.permits(address):
            raise Forbidden("address is not public")


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks that the texts name, single addresses included.

    Raises:
        Malformed: one of them is not a network.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as problem:
        raise Malformed(f"not a network: {problem}") from None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _V4)
    return address in _UNICAST and not any(address in network for network in _V6)


_V4 = tuple(IPv4Network(text) for text in BLOCKED_V4)
_V6 = tuple(IPv6Network(text) for text in BLOCKED_V6)
_UNICAST = IPv6Network(ALLOWED_V6)
