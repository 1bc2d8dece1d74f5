"""Small messages that this daemon writes by itself."""

from attrs import field, frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant


@frozen
class Notice:
    """One message to one address, sent once however often it is asked for by its `key`, and no longer after `expires`.

    A recipient elsewhere is told only about a message that we hold grants of for them: `message_id`, by `sender`.
    """

    key: str
    recipient: Address
    subject: str
    text: str = field(repr=False)
    expires: Instant
    message_id: str = ""
    sender: Address | None = None
    made: Instant | None = None
    tries: int = 0
