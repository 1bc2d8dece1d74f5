"""What the Resource Retrieval Agent can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.peers import Origin
from rrsd.core.values.settings import Size, key


@frozen
class Settings:
    """Section `[rra]`."""

    origin: Origin | None = key("Where the recipients' client API is; by default the domain's issuer.", None)
    client: ClientIdentifier | None = key("OU.CN of the client certificate; by default _rra.<domain>.", None)
    active: int = key("Transfers at once, all destinations together.", 256)
    active_per_destination: int = key("Transfers at once from one resource server, at most; it begins with 4.", 16)
    active_per_recipient: int = key("Transfers at once for one recipient.", 8)
    quota: Size = key(
        "Bytes of attachments that each user may hold, arriving ones included; 0 is no limit (rrsctl users set-quota).",
        Size(0),
    )
    lifetime: timedelta = key("How long a pull is tried before it expires.", timedelta(days=7))
    notify_recipient_after: timedelta = key(
        "When a recipient is told by mail that attachments have not arrived yet; 0s tells recipients nothing, not even "
        "that they are lost.",
        timedelta(hours=4),
    )
    notify_sender_after: timedelta = key(
        "The same for senders whose address was proved when the message came.", timedelta(hours=24)
    )
    most_resource: Size = key("The largest resource that is pulled.", Size(1 << 40))
    most_message: Size = key("The largest placeholder message that is accepted.", Size(32 << 20))
    most_parts: int = key("The most attachments that one message may have.", 10000)
