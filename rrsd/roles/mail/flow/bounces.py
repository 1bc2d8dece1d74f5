"""Whether the mail server tells the sender of a message that it failed: then nobody else does."""

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import parse_digest
from rrsd.core.values.notices import Plight
from rrsd.roles.mail.holding import bounce_of
from rrsd.roles.mail.ports import Holds, Timers
from rrsd.roles.mail.settings import GiveUp, Settings


@frozen
class Bounces:
    """Reads what became of placeholders on their way in."""

    holds: Holds
    timers: Timers
    settings: Settings

    async def bounced(self, plight: Plight) -> bool | None:
        """Whether it has told the sender; None while it may still do so."""
        if self.settings.give_up is not GiveUp.BOUNCE or self.settings.inbound is None:
            return False
        try:
            digest = parse_digest(plight.message)
        except Malformed:
            return False
        whose = {plight.recipient, *(each.job.subject for each in plight.examples)}
        holds = [hold for each in sorted(whose) for hold in await self.holds.of(each, digest)]
        return bounce_of(holds, plight.received, self.timers.now(), self.settings.max_hold)
