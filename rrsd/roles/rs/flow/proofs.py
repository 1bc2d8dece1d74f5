"""Whether a delegation is what it claims, cheap questions first (protocol 4, at the RS)."""

import hashlib
from collections.abc import Callable

from attrs import define, field, frozen

from rrsd.core.proof.delegation import Pairs, prove_delegation, require_plausible
from rrsd.core.refusals import Unknown, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, ClientProof, Discovery, Introduction
from rrsd.core.values.tokens import ClaimedDelegation, VerifiedDelegation
from rrsd.core.wire.delegation import parse_delegation
from rrsd.core.wire.jose import parse_jws
from rrsd.roles.rs import rules
from rrsd.roles.rs.flow.admission import Budget
from rrsd.roles.rs.ports import Timers, Trust
from rrsd.roles.rs.settings import Settings
from rrsd.runtime.expiring import Expiring


@frozen
class Proved:
    """A delegation that holds over one certificate, and how its client was proved."""

    delegation: VerifiedDelegation
    client: ClientProof
    certificate: Certificate
    found_by: Discovery

    @property
    def evidence(self) -> str:
        """What was believed, for the audit trail: method, what it rests on, issuer, how that was found."""
        return f"{self.client.method} {self.client.strength} {self.delegation.issuer} {self.found_by}"


@define(eq=False)
class Proofs:
    """Proves delegations and believes what it proved for up to a minute, over the same certificate only.

    A certificate's own dates are not looked at (RFC 7671 5.1): its owner's domain says now whether the key is good.
    `pairs` are the clients that may act for users of another domain than their own. `heard` is told the domain of each
    user for whom something was proved: its token service and its agent are at work.
    """

    settings: Settings
    trust: Trust
    timers: Timers
    pairs: Pairs = frozenset()
    heard: Callable[[Domain], None] = lambda _: None
    _known: Expiring[bytes, Proved] = field(init=False)
    _budget: Budget = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = Expiring(self.settings.proofs)
        self._budget = Budget(self.settings.unproven, self.timers)

    async def prove(self, token: str, certificate: Certificate | None, peer: str) -> Proved:
        """What the delegation proves over a connection with that certificate, from the address `peer`.

        No network is used before everything that needs none has passed.

        Raises:
            Unproven, Expired: it proves nothing here and now.
            TooMany: too much from this address proved nothing.
            Unavailable: a stranger whose word is needed cannot be asked now.
        """
        if certificate is None:
            raise Unproven("no client certificate")
        name = hashlib.sha256(certificate.x5t.raw + token.encode()).digest()
        known = self._known.get(name, self.timers.monotonic())
        if known is None:
            known = await self._prove(token, certificate, peer)
            self._known.put(name, known, self.timers.monotonic() + self._life(known))
        self.heard(known.delegation.subject.domain)
        return known

    async def _prove(self, token: str, certificate: Certificate, peer: str) -> Proved:
        claimed = rules.believable(lambda: parse_delegation(parse_jws(token)))
        require_plausible(claimed, self.settings.origin, certificate, self.timers.now(), self.pairs)
        self._budget.charge(peer)
        proved = await self._ask(claimed, certificate)
        self._budget.refund(peer)
        return proved

    async def _ask(self, claimed: ClaimedDelegation, certificate: Certificate) -> Proved:
        introduction = await self._introduce(claimed)
        keys = await self.trust.keys_of(introduction, claimed.jws.kid or "")
        delegation = prove_delegation(claimed, introduction, keys)
        client = await self.trust.prove_client(certificate, introduction.issuer)
        if client.client != delegation.actor:
            raise Unproven("the certificate's client is not the actor")
        return Proved(delegation, client, certificate, introduction.found_by)

    async def _introduce(self, claimed: ClaimedDelegation) -> Introduction:
        domain: Domain = claimed.subject.domain
        try:
            introduction = await self.trust.introduce(domain)
        except Unknown:
            raise Unproven(f"{domain} introduces nobody") from None
        if introduction.issuer != claimed.issuer:
            raise Unproven(f"{domain} is spoken for by another issuer")
        return introduction

    def _life(self, proved: Proved) -> float:
        now: Instant = self.timers.now()
        until = min(proved.delegation.expires, proved.client.until)
        return min((until - now).total_seconds(), rules.PROOF_SECONDS)
