"""foo.test's resource server, and who asks it."""

from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import (
    Refusal,
    Unknown,
    Unproven,
)
from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Certificate, ClientProof, Introduction, Issuer, Strength
from rrsd.core.values.resources import Grant
from rrsd.core.values.tokens import KeySet, VerifiedAccess
from rrsd.roles.rs.flow.admission import Record
from rrsd.roles.rs.flow.permission import Permission
from rrsd.roles.rs.flow.proofs import Proofs
from rrsd.roles.rs.flow.renewals import Renewals
from rrsd.roles.rs.flow.strangers import Caller, Reading, Strangers, Wanted
from rrsd.roles.rs.settings import Settings
from tests.support.domains import (
    POLICIES,
    Bytes,
    FlowCase,
    Journal,
    Ledger,
    Meter,
    Party,
    clock_at,
    now,
    timers_of,
)

FOO, BAR, EVIL = Party("foo.test"), Party("bar.test"), Party("evil.test")
DATA = bytes(range(256)) * 1024


@define(eq=False)
class World:
    """Who strangers are, as far as the parties say."""

    parties: tuple[Party, ...]
    asked: list[str] = field(factory=list)
    refusal: Refusal | None = None
    proof_life: timedelta = timedelta(hours=1)
    client: str | None = None
    strength: Strength = Strength.TLS

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal

    async def introduce(self, domain: Domain) -> Introduction:
        self._ask(f"introduce {domain}")
        for party in self.parties:
            if party.domain == domain:
                metadata = party.metadata
                return Introduction(
                    domain, metadata.issuer, metadata.jwks_uri, metadata.token_endpoint, (party.origin,), now()
                )
        raise Unknown(str(domain))

    async def keys_of(self, introduction: Introduction, kid: str) -> KeySet:
        self._ask("keys")
        return next(party.published() for party in self.parties if party.issuer == introduction.issuer)

    async def prove_client(self, certificate: Certificate, issuer: Issuer) -> ClientProof:
        self._ask("client")
        assert certificate.client is not None
        client = certificate.client if self.client is None else BAR.client
        if self.client:
            client = evolve(client, unit=self.client)
        return ClientProof(client, "webfinger", now() + self.proof_life, self.strength)

    async def prove_user(self, text: str) -> VerifiedAccess:
        raise Unproven("no user of ours")


class StrangersCase(FlowCase):
    """bar.test's agent asks foo.test's resource server for what alice sent to bob."""

    def setUp(self) -> None:
        self.clock, self.world = clock_at(), World((FOO, BAR, EVIL))
        self.blobs, self.ledger, self.journal = Bytes(block=4096), Ledger(), Journal()
        timers, settings = timers_of(self.clock), Settings(origin=FOO.origin)
        record = Record(self.journal, timers)
        permission = Permission(POLICIES, timers)
        proofs = Proofs(settings, self.world, timers)
        self.flow = Strangers(proofs, self.ledger, self.blobs, timers, record, permission)
        self.meter = Meter()
        self.renewals = Renewals(
            settings=settings,
            proofs=proofs,
            grants=self.ledger,
            timers=timers,
            record=record,
            permission=permission,
            rates=self.meter,
        )
        self.digest = self.blobs.put(DATA)
        self.grant = self.granted()

    def granted(self, message_id: str = "m1", local: str = "bob", **changes: Any) -> Grant:
        made = Grant(
            message_id, self.digest, len(DATA), FOO.address("alice"), BAR.address(local), now() + timedelta(days=7)
        )
        grant = evolve(made, **changes)
        self.ledger.kept.append(grant)
        return grant

    def caller(self, token: str | None = None, shown: Certificate | None = BAR.certificate) -> Caller:
        text = BAR.delegation(FOO.origin) if token is None else token
        return Caller((f"Bearer {text}",), shown, "192.0.2.1")

    def get(self, caller: Caller | None = None, **wanted: Any) -> Reading:
        asked = Wanted(wanted.pop("digest", self.digest), **wanted)
        return self.run_now(self.flow.retrieve(caller or self.caller(), asked))

    def refuse(self, refusal: type[Refusal], caller: Caller | None = None, **wanted: Any) -> Any:
        asked = Wanted(wanted.pop("digest", self.digest), **wanted)
        raised = self.refuse_now(self.flow.retrieve(caller or self.caller(), asked), refusal)
        self.assertEqual(self.journal.events[-1].refusal, raised.reason)
        return raised

    def refuse_token(self, refusal: type[Refusal] = Unproven, shown: Any = BAR.certificate, **changes: Any) -> None:
        """Refused without a question to anybody."""
        self.refuse(refusal, self.caller(BAR.delegation(FOO.origin, **changes), shown))
        self.assertEqual(self.world.asked, [])

    async def body(self, reading: Reading) -> bytes:
        assert reading.rest is not None
        return reading.first + b"".join([block async for block in reading.rest])
