"""Telling others that this domain is here again: their agents need not wait for their timers (protocol 5, "Contacts").

A courtesy, once after each start: nothing waits for it, and what fails is not tried again.
"""

from datetime import timedelta

from attrs import define
from twisted.logger import Logger

from rrsd.core.proof import binding
from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.calls import Call, Event
from rrsd.roles.rra.delegations import Delegations
from rrsd.roles.rra.ports import Audit, Owing, Remote, Timers, Trust

PATH = "/rrs/contacts"
SETTLE = timedelta(seconds=3)
"""After the start, so that whoever comes at once finds everything listening."""
PACE = timedelta(milliseconds=100)
MOST = 1_000
"""Domains that are greeted; the others have their timers."""


@define(eq=False, kw_only=True)
class Greeter:
    """Greets the domains whose users have not fetched yet what ours granted them."""

    _log = Logger()

    owing: Owing
    remote: Remote
    trust: Trust
    delegations: Delegations
    timers: Timers
    audit: Audit
    domain: Domain

    async def run(self) -> None:
        """Once; then there is nothing more to do."""
        try:
            waiting = await self.owing.waiting(self.timers.now(), MOST)  # what is granted later, nobody tried in vain
            await self.timers.sleep(SETTLE)
            for sender, domain in waiting:
                if domain != self.domain:
                    await self._greet(sender, domain)
                    await self.timers.sleep(PACE)
        except Refusal as refusal:  # the store or the trail
            self._log.warn("rra: nobody is told that we are here again: {refusal}", refusal=str(refusal))

    async def _greet(self, sender: Address, domain: Domain) -> None:
        """In the name of one of those who wait to be fetched from; domains without a resource server are not meant."""
        try:
            introduction = await self.trust.introduce(domain)
            for origin in introduction.protected_resources[:1]:
                peer = binding.speaks_for(introduction, origin)
                delegation = await self.delegations.of(sender, origin)
                headers = (("authorization", f"Bearer {delegation}"),)
                answer = await self.remote.ask(Call(peer, "POST", PATH, headers, b""))
                self._record(sender, str(origin), f"status {answer.status}", answer.status == 204)
        except Refusal as refusal:
            self._record(sender, str(domain), str(refusal), is_good=False)

    def _record(self, sender: Address, peer: str, evidence: str, is_good: bool) -> None:
        outcome = "granted" if is_good else "failed"
        self.audit.record(Event("greet", outcome, subject=str(sender), peer=peer, evidence=evidence))
