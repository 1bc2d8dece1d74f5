"""Which of the recipients' domains collect attachments."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import Domain
from rrsd.core.values.envelopes import Standing
from rrsd.core.values.peers import Introduction
from rrsd.roles.mail.ports import Timers, Trust
from rrsd.roles.mail.rules import standing_of
from rrsd.runtime.expiring import Expiring

AT_A_TIME = 16
"""Domains that one message makes us ask at the same time."""
MOST_KNOWN = 10_000
TROUBLE_KEPT = 86_400.0
"""Seconds for which it is remembered since when a domain cannot be asked."""
COLLECTED_KEPT = 7 * 86_400.0
"""Seconds for which a domain that has collected is believed to do so while it cannot be asked."""
ABSENCE_KEPT = 600.0
"""Seconds for which a domain is not asked again where nobody listened."""


@define(eq=False)
class Discovery:
    """Asks them. Our own domain needs no question: it collects if its way in is ours (`collects_ours`).

    Whoever keeps us from asking a domain that is known to collect changes nothing (ADR 0042). A domain of which nothing
    is known and that nobody could ask for as long as `wait` collects nothing.
    """

    trust: Trust
    ours: Domain
    collects_ours: bool
    wait: timedelta
    timers: Timers
    _troubled: Expiring[Domain, float | None] = field(factory=lambda: Expiring(MOST_KNOWN), init=False)
    _collected: Expiring[Domain, bool] = field(factory=lambda: Expiring(MOST_KNOWN), init=False)
    _absent: Expiring[Domain, bool] = field(factory=lambda: Expiring(MOST_KNOWN), init=False)

    async def standings(self, domains: Sequence[Domain]) -> Mapping[Domain, Standing]:
        """Whether each of them collects attachments; never refuses."""
        lanes = DeferredSemaphore(AT_A_TIME)
        asked = [lanes.run(lambda each: Deferred.fromCoroutine(self._standing(each)), domain) for domain in domains]
        return dict(zip(domains, await gatherResults(asked, consumeErrors=True), strict=True))

    async def _standing(self, domain: Domain) -> Standing:
        now = self.timers.monotonic()
        if domain == self.ours:
            return Standing.COLLECTS if self.collects_ours else Standing.DOES_NOT
        if self._absent.get(domain, now):
            return Standing.DOES_NOT
        try:
            answer: Introduction | Refusal = await self.trust.introduce(domain)
        except Refusal as refusal:
            answer = refusal
        collected = bool(self._collected.get(domain, now))
        found = standing_of(answer, collected)
        self._remember(domain, found, answer, collected)
        return self._waited(domain, found)

    def _remember(self, domain: Domain, found: Standing, answer: Introduction | Refusal, collected: bool) -> None:
        now = self.timers.monotonic()
        if found is Standing.COLLECTS and isinstance(answer, Introduction):
            self._collected.put(domain, True, now + COLLECTED_KEPT)
        elif found is Standing.DOES_NOT and collected:
            self._collected.put(domain, False, now)
        if found is Standing.DOES_NOT and isinstance(answer, Unavailable):
            self._absent.put(domain, True, now + ABSENCE_KEPT)

    def _waited(self, domain: Domain, found: Standing) -> Standing:
        """The same, but of a domain that could not be asked for too long: no."""
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
