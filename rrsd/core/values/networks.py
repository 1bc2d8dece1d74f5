"""Whom a limit for each network address counts (RFC 4291 2.5)."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_OWN_BITS = 64
"""The last bits of an IPv6 address, which whoever has a network chooses freely (RFC 4291 2.5.1)."""


@lru_cache(4096)
def network_of(address: str) -> str:
    """Whom a limit for each network address counts: an IPv4 address, or the /64 that an IPv6 address is in.

    Every host has a whole /64 to call from, so that a limit for each of its addresses would be none. An IPv4 address in
    an IPv6 one is what it is (RFC 4291 2.5.5.2); what is no address stays as it is.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    mapped = found.ipv4_mapped
    return str(IPv6Address(int(found) >> _OWN_BITS << _OWN_BITS)) if mapped is None else str(mapped)
