"""What the Resource Server can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.peers import Origin
from rrsd.core.values.settings import Size, key


@frozen
class Settings:
    """Section `[rs]`."""

    origin: Origin = key("the https origin that other domains fetch from", example="https://rs.foo.test")
    lifetime: timedelta = key("how long a recipient may fetch, unless the sender says otherwise", timedelta(days=7))
    longest: timedelta = key("the longest that a sender may ask for", timedelta(days=90))
    renewal_longest: timedelta = key(
        "how much longer recipients' agents may be given when they ask; 0s is never", timedelta(days=14)
    )
    renewals: int = key("such requests of one client per minute", 60)
    most_upload: Size = key("the largest resource that a user may upload", Size(50 * 2**30))
    upload_lifetime: timedelta = key("an upload that is not finished by then is forgotten", timedelta(days=2))
    most_recipients: int = key("recipients of one message", 1000)
    most_attachments: int = key("attachments of one message", 10000)
    most_text: Size = key("the largest text of one message", Size(2**20))
    grace: timedelta = key("a resource that nobody refers to is kept this long", timedelta(hours=1))
    keep_after_receipt: timedelta = key(
        "what a recipient's domain has acknowledged is kept this much longer, so that one that loses its disk may ask "
        "again",
        timedelta(),
    )
    keep_receipts: timedelta = key("signed receipts are kept this long, for senders to show", timedelta(days=400))
    collect_every: timedelta = key("how often such resources and stale uploads are looked for", timedelta(minutes=1))
    collect_most: int = key("how many of them are removed at a time", 500)
    concurrent: int = key("requests of one client that are answered at the same time", 256)
    concurrent_all: int = key("and of all clients together", 2000)
    rate: int = key("requests of one client per second, on average", 5000)
    burst: int = key("and how many at once", 20000)
    proofs: int = key("how many proved delegations are remembered, a minute at most", 10000)
    unproven: int = key("delegations of one address per minute that may prove nothing after strangers were asked", 60)
