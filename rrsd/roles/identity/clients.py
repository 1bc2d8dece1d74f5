"""Whether a certificate's key belongs to the client that its subject names."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from attrs import define, field, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, ClientProof, Issuer
from rrsd.core.wire.webfinger import PUBLIC_KEY_REL, client_acct, parse_public_keys
from rrsd.roles.identity import rules
from rrsd.roles.identity.documents import Documents
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.memory import Learned, Memory
from rrsd.roles.identity.ports import OwnAgent, Timers
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
    """The ordered table of methods: the first one that is published decides, and its no is final."""

    settings: Settings
    home: Home
    documents: Documents
    memory: Memory[ClientProof]
    agent: OwnAgent
    timers: Timers
    _table: Mapping[Method, Callable[[Claim], Awaitable[Finding | None]]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A further method is one member of `Method` and one line here; None means: not published.
        self._table = {
            Method.WEBFINGER: self._by_webfinger,
            Method.ISSUER: self._by_issuer,
        }

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
        for method in self.settings.methods:
            finding = await self._table[method](claim)
            if finding is not None:
                return finding
        raise Unproven("nothing is published about the client")

    def _by_ourselves(self, claim: Claim) -> Finding:
        life = self.settings.least_kept
        hashes = self.agent.published()
        return Learned(binding.prove_client_by_webfinger(claim.certificate, hashes, self._until(life)), life)

    async def _by_webfinger(self, claim: Claim) -> Finding | None:
        rules.require_usable(claim.client.domain, self.settings.allow_reserved)
        asked = client_acct(claim.client)
        target = rules.webfinger_target(asked, PUBLIC_KEY_REL)
        document = await self.documents.read(binding.stranger(claim.client.domain), target)
        if document is None:
            return None
        hashes = document.read(lambda content: parse_public_keys(content, asked))
        if not hashes:
            return None
        until = self._until(document.life)
        return Learned(binding.prove_client_by_webfinger(claim.certificate, hashes, until), document.life)

    async def _by_issuer(self, claim: Claim) -> Finding | None:
        life = self.settings.most_kept
        proof = binding.prove_client_by_issuer(claim.certificate, claim.issuer, self._until(life))
        return None if proof is None else Learned(proof, life)

    def _until(self, life: timedelta) -> Instant:
        return self.timers.now() + life
