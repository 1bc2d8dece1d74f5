"""Who wrote a message, as far as that is proved."""

from attrs import frozen

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.peers import Strength


@frozen
class VerifiedAuthor:
    """That the domain `signer` answers for a message with this one address in From (RFC 6376), by which of its keys,
    and what the proof rests on: `DNSSEC`, or `WEAK` for unauthenticated DNS. `is_addressed` is whether To and Cc are as
    the signer saw them."""

    address: Address
    signer: Domain
    selector: str
    strength: Strength
    is_addressed: bool = False

    @property
    def evidence(self) -> str:
        """What was believed, in the words of the trail."""
        return f"dkim {self.signer} {self.selector} {self.strength}"
