"""What the Security Token Service can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.settings import key


@frozen
class ClientSettings:
    """One `[sts.client.OU.CN]` section: a client that may exchange tokens here."""

    client: ClientIdentifier
    certificate: tuple[str, ...] = key(
        "the client's certificates in PEM, one file per line; two while one replaces the other",
        example="/etc/rrsd/clients/_rra.foo.test.pem",
    )
    impersonate: tuple[Domain, ...] = key("domains whose users it may name by itself, without a token of theirs", ())
    audiences: tuple[str, ...] = key(
        "it may exchange a user's access token that was issued for one of these", (), example="https://foo.test"
    )
    targets: tuple[str, ...] = key("resource servers that it may ask for, as https origins, or * for any", ("*",))


@frozen
class Settings:
    """Section `[sts]`. The agent of this daemon is registered without a section of its own."""

    life: timedelta = key("a delegation is good this long at most; never more than 5 minutes", timedelta(minutes=5))
    exchanges_per_second: int = key("exchanges that one client may make in a second, on average", 200)
    failures_per_address: int = key("refused exchanges of one network address in a minute before it has to wait", 60)
    clients: tuple[ClientSettings, ...] = ()
