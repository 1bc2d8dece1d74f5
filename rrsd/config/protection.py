"""What somebody's own API is told when rrsd guards it: a small INI file of its own, read like the daemon's."""

from collections.abc import Iterator

from attrs import frozen

from rrsd.config.ini import Mistake
from rrsd.config.least import mistaken_limits
from rrsd.config.load import parse_whole
from rrsd.config.resolver import mistaken_resolver
from rrsd.core.values.peers import Origin
from rrsd.core.values.settings import key
from rrsd.drivers.dns.settings import Settings as Dns
from rrsd.drivers.fetch.settings import Settings as Fetch
from rrsd.drivers.tls.settings import Settings as Tls
from rrsd.roles.identity.settings import Settings as Identity


@frozen
class Api:
    """Section `[api]`: the API that is protected."""

    origin: Origin = key(
        "The https origin of the API: the audience of its delegations.", example="https://api.baz.test"
    )
    listen: tuple[str, ...] = key("Twisted endpoint descriptions, one per line; TLS is spoken there.", ("tcp6:443",))
    certificate: str = key("The server's certificate chain in PEM, leaf first.", example="/etc/orders/fullchain.pem")
    audit: str = key("The file that each decision is appended to.", example="/var/lib/orders/audit.jsonl")
    weak: bool = key("Let clients in that only unauthenticated DNS proves; who can forge it can be them.", False)
    concurrent: int = key("Requests of one address that are answered at the same time.", 64)
    concurrent_all: int = key("And of all addresses together.", 1000)
    rate: int = key("Requests of one address per second, on average.", 200)
    burst: int = key("And how many at once.", 1000)
    proofs: int = key("How many proved delegations are remembered, a minute at most.", 10000)
    unproven: int = key("Delegations of one address per minute that may prove nothing after strangers were asked.", 60)
    key: str = key("The private key of that certificate in PEM.", example="/etc/orders/privkey.pem")


@frozen
class ApiSettings:
    """Everything that a protected API can be told. Field names are the names of sections."""

    api: Api
    tls: Tls
    dns: Dns
    fetch: Fetch
    identity: Identity


def parse_api_settings(text: str) -> ApiSettings:
    """The settings that the text of an INI file writes.

    Raises:
        Misconfigured: there are errors; it holds all of them.
    """
    return parse_whole(text, ApiSettings, _contradictions)


def _contradictions(settings: ApiSettings) -> Iterator[Mistake]:
    yield from mistaken_resolver(settings.dns)
    yield from mistaken_limits(settings)
