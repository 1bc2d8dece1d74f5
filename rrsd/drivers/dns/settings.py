"""What name resolution can be told."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.core.values.settings import Size, key


class Backend(StrEnum):
    """Who validates."""

    RESOLVER = "resolver"
    LIBUNBOUND = "libunbound"


@frozen
class Settings:
    """Section `[dns]`."""

    hosts: tuple[str, ...] = key(
        "Our own host table, one `name = address port` per line: where such a host really listens, whatever DNS says.",
        (),
        example="id.bar.test = 127.0.0.1 8443",
    )
    resolver: str | None = key(
        "The validating resolver on this host, `address` or `address port`; only a loopback address is believed.  "
        "Without one every answer is insecure: DANE cannot be used and TXT records prove little.",
        None,
        example="127.0.0.1 53",
    )
    backend: Backend = key(
        "Who validates: the resolver above, or libunbound in this process (package python3-unbound).", Backend.RESOLVER
    )
    anchors: str = key("The trust anchors that libunbound validates with.", "/usr/share/dns/root.key")
    libunbound: str | None = key(
        "A file in the format of unbound.conf that libunbound reads instead of these anchors.",
        None,
        example="/etc/rrsd/unbound.conf",
    )
    system: str = key("The file that names the servers that are asked when there is no resolver.", "/etc/resolv.conf")
    deadline: timedelta = key("How long a name may take to resolve.", timedelta(seconds=10))
    patience: timedelta = key("How long one server has for one try; there are three.", timedelta(seconds=3))
    at_once: int = key("The most questions that are asked at one time.", 128)
    waiting: int = key("The most questions that wait for their turn; more are refused at once.", 1000)
    most_addresses: int = key("The most addresses of one name that are tried.", 8)
    most_records: int = key("The most records of one name; an answer with more is not believed.", 32)
    most_bytes: Size = key("The largest record; an answer with a larger one is not believed.", Size(4096))
    kept: int = key("The most answers that are kept.", 4096)
    least_kept: timedelta = key("How long an answer is kept at least, whatever its zone says.", timedelta(seconds=5))
    most_kept: timedelta = key("How long an answer is kept at most.", timedelta(hours=1))
    failures_kept: timedelta = key("How long a bogus or missing answer is kept.", timedelta(seconds=5))
