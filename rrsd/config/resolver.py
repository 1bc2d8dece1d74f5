"""Which resolver may be believed at all."""

from collections.abc import Iterator

from rrsd.config.ini import Mistake
from rrsd.core.refusals import Malformed
from rrsd.drivers.dns.places import is_loopback, parse_server
from rrsd.drivers.dns.settings import Settings

_RIGHT = "write a validating resolver on this host, as in 127.0.0.1 53"


def mistaken_resolver(dns: Settings) -> Iterator[Mistake]:
    """A resolver that is none, or whose AD bit anybody on the way could set (RFC 4035 4.9.3)."""
    if dns.resolver is None:
        return
    try:
        server = parse_server(dns.resolver)
    except Malformed:
        yield Mistake("dns", "resolver", 0, "it is no address with a port", _RIGHT)
        return
    if not is_loopback(server):
        yield Mistake("dns", "resolver", 0, f"{server.address} is not a loopback address", _RIGHT)
