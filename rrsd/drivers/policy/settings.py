"""What the policy engine can be told."""

from attrs import frozen

from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.settings import key


@frozen
class PairSettings:
    """One `[policy.pair.DOMAIN]` section: whose clients act for users of another domain than their own."""

    domain: Domain
    clients: tuple[ClientIdentifier, ...] = key(
        "Clients of other domains that may act for this domain's users; each still proves its own name, and this "
        "domain's own token service still has to name it.",
        example="_rra.bar.test",
    )


@frozen
class Settings:
    """Section `[policy]`."""

    path: str | None = key(
        "The operator's own policies in Cedar, beside those that come with rrsd; read again on SIGHUP.",
        None,
        example="/etc/rrsd/policy.cedar",
    )
    defaults: bool = key("Whether the policies that come with rrsd hold too; without them the file says all.", True)
    pairs: tuple[PairSettings, ...] = ()
