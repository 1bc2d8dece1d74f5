"""What name resolution can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """Section `[dns]`."""

    hosts: tuple[str, ...] = key(
        "Our own host table, one `name = address port` per line: where such a host really listens, whatever DNS says.",
        (),
        example="id.bar.test = 127.0.0.1 8443",
    )
    deadline: timedelta = key("How long a name may take to resolve.", timedelta(seconds=10))
    most_addresses: int = key("The most addresses of one name that are tried.", 8)
