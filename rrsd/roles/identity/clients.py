"""Whether a certificate's key belongs to the client that its subject names."""

from collections.abc import Awaitable

from attrs import define, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.peers import Certificate, ClientProof, Issuer
from rrsd.roles.identity import rules
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.memory import Learned, Memory
from rrsd.roles.identity.methods import Methods, Published, Reading
from rrsd.roles.identity.ports import Flights, OwnAgent, Timers
from rrsd.roles.identity.settings import Method, Settings

Finding = Learned[ClientProof]


@frozen
class Claim:
    """A certificate, the client that it names, and the issuer whose delegation the client brought."""

    certificate: Certificate
    client: ClientIdentifier
    issuer: Issuer


@define(eq=False)
class Clients:
    """The methods in the configured order: the first one that is published decides, and its no is final."""

    settings: Settings
    home: Home
    methods: Methods
    memory: Memory[ClientProof]
    agent: OwnAgent
    timers: Timers
    flights: Flights

    async def prove(self, certificate: Certificate, issuer: Issuer) -> ClientProof:
        """The proof.

        Raises:
            Unproven: the certificate names no client, a published method contradicts it, or none is published.
            Unavailable: a method cannot be asked now.
        """
        client = certificate.client
        if client is None:
            raise Unproven("the certificate's subject is not one OU and one CN")
        claim = Claim(certificate, client, issuer)
        key = f"{certificate.x5t} {issuer}"
        return await self.memory.ask(key, lambda: self._prove(claim))

    async def _prove(self, claim: Claim) -> Finding:
        if claim.client == self.home.client:
            return self._by_ourselves(claim)
        rules.require_usable(claim.client.domain, self.settings.allow_reserved)
        life = self.settings.most_kept
        for method in self.settings.methods:
            found = await self._read(method, claim)
            # The absence of a stronger method is believed for as long as DNS says, and no longer.
            life = min(life, found.life)
            if isinstance(found, Published):
                now = self.timers.now()
                return Learned(found.judge(claim.certificate, now, now + life), life)
        raise Unproven("nothing is published about the client")

    def _read(self, method: Method, claim: Claim) -> Awaitable[Reading]:
        """What is published; those who ask with other certificates of the client meanwhile share the question."""
        key = f"{method} {claim.client} {claim.issuer}"
        return self.flights.share(key, lambda: self.methods.read(method, claim.client, claim.issuer))

    def _by_ourselves(self, claim: Claim) -> Finding:
        life = self.settings.least_kept
        until = self.timers.now() + life
        return Learned(binding.prove_client_by_webfinger(claim.certificate, self.agent.published(), until), life)
