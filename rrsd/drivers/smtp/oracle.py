"""Whether the next mail server has a message for which it never answered."""

from attrs import frozen

from rrsd.core.values.envelopes import Fate, Offer


@frozen
class Unasked:
    """Where nobody can be asked, what is in doubt is sent again: a double beats a loss."""

    async def fate_of(self, offer: Offer) -> Fate:
        """Not taken, as far as anybody knows."""
        del offer
        return Fate.NOT_TAKEN
