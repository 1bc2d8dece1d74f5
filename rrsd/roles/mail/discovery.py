"""Which of the recipients' domains collect attachments."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Domain
from rrsd.core.values.envelopes import Standing
from rrsd.roles.mail.ports import Timers, Trust
from rrsd.roles.mail.rules import standing_of
from rrsd.runtime.expiring import Expiring

AT_A_TIME = 16
"""Domains that one message makes us ask at the same time."""
MOST_TROUBLED = 10_000
TROUBLE_KEPT = 86_400.0
"""Seconds for which it is remembered since when a domain cannot be asked."""


@define(eq=False)
class Discovery:
    """Asks them. Our own domain needs no question: it collects if its way in is ours (`collects_ours`).

    A domain that nobody could ask for as long as `wait` collects nothing: most of those have no web server, and mail
    to them must not wait each time.
    """

    trust: Trust
    ours: Domain
    collects_ours: bool
    wait: timedelta
    timers: Timers
    _troubled: Expiring[Domain, float | None] = field(factory=lambda: Expiring(MOST_TROUBLED), init=False)

    async def standings(self, domains: Sequence[Domain]) -> Mapping[Domain, Standing]:
        """Whether each of them collects attachments; never refuses."""
        lanes = DeferredSemaphore(AT_A_TIME)
        asked = [lanes.run(lambda each: Deferred.fromCoroutine(self._standing(each)), domain) for domain in domains]
        return dict(zip(domains, await gatherResults(asked), strict=True))

    async def _standing(self, domain: Domain) -> Standing:
        if domain == self.ours:
            return Standing.COLLECTS if self.collects_ours else Standing.DOES_NOT
        try:
            found = standing_of(await self.trust.introduce(domain))
        except Refusal as refusal:
            found = standing_of(refusal)
        now = self.timers.monotonic()
        since = self._troubled.get(domain, now)
        if found is not Standing.UNKNOWN:
            if since is not None:
                self._troubled.put(domain, None, now)
            return found
        if since is None:
            self._troubled.put(domain, now, now + TROUBLE_KEPT)
            return found
        return found if now - since < self.wait.total_seconds() else Standing.DOES_NOT
