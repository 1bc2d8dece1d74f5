"""More time for resources that a recipient's agent could not fetch yet (protocol 5, "Renewals")."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from rrsd.core.refusals import Forbidden, TooMany
from rrsd.core.values.policies import Action
from rrsd.core.values.resources import Grant, Named, Renewal
from rrsd.core.wire.renewals import parse_renewal
from rrsd.roles.rs import rules
from rrsd.roles.rs.flow.admission import Record, Trace
from rrsd.roles.rs.flow.permission import Permission, renewing
from rrsd.roles.rs.flow.proofs import Proofs, Proved
from rrsd.roles.rs.flow.strangers import Caller, prove_caller
from rrsd.roles.rs.ports import Grants, Rates, Timers
from rrsd.roles.rs.settings import Settings


@frozen(kw_only=True)
class Renewals:
    """Decides about renewals; `rates` says how often one client may ask."""

    settings: Settings
    proofs: Proofs
    grants: Grants
    timers: Timers
    record: Record
    permission: Permission
    rates: Rates

    async def renew(self, caller: Caller, document: Mapping[str, Any]) -> Sequence[Grant]:
        """The grants as they are from now on, those alone that are live then. Asking again changes nothing.

        A grant that has ended is renewed too while its bytes are still here: nobody was told that they are gone.

        Raises:
            Unauthenticated, Unproven, Expired, Unavailable: about the delegation.
            TooMany: the client asks too often.
            Malformed, TooLarge: about the document.
            Forbidden: none of them is renewed: not granted to this user, withdrawn, collected, or policy permits none.
        """
        with self.record.decision("renew", caller.peer) as trace:
            proved = await prove_caller(self.proofs, caller, trace)
            self._require_rate(proved)
            renewal = parse_renewal(document)
            asked = len(renewal.named)
            trace.resource = f"0 of {asked} grants"
            grants = await self._asked_for(proved, renewal)
            now, longest = self.timers.now(), self.settings.renewal_longest
            ends = [(grant, rules.renewed_until(grant, renewal.until, longest)) for grant in grants]
            permitted = self._permitted(proved, ends, trace)
            renewed = await self.grants.renew(permitted) if permitted else ()
            live = [grant for grant in renewed if grant.not_after > now]
            if not live:
                raise Forbidden("no grant that can be renewed")
            trace.resource = f"{len(live)} of {asked} grants"
            trace.evidence += f" until {max(grant.not_after for grant in live):%Y-%m-%d %H:%M:%S}"
            return live

    def _require_rate(self, proved: Proved) -> None:
        wait = self.rates.take(str(proved.delegation.actor))
        if wait:
            raise TooMany("renewals of one client", wait)

    async def _asked_for(self, proved: Proved, renewal: Renewal) -> list[Grant]:
        """Those of the user's grants that are named, within the delegation's messages, and were not withdrawn."""
        if not self.settings.renewal_longest:
            raise Forbidden("renewals are switched off")
        digests = list(dict.fromkeys(each.digest for each in renewal.named))
        found = await self.grants.of(proved.delegation.subject, digests) if digests else ()
        named, within = set(renewal.named), proved.delegation.message_ids
        return [
            grant
            for grant in found
            if Named(grant.message_id, grant.digest) in named
            and (within is None or grant.message_id in within)
            and not grant.withdrawn
        ]

    def _permitted(self, proved: Proved, ends: Sequence[rules.End], trace: Trace) -> list[rules.End]:
        permitted = []
        because: list[str] = []
        for grant, until in ends:
            decision = self.permission.decide(Action.RENEW, proved, grant, renewing(grant, until))
            because.append(decision.because)
            if decision.is_permitted:
                permitted.append((grant, until))
        trace.policy = " ".join(dict.fromkeys(because))
        return permitted
