"""foo.test, which asks hosts and zones in memory about bar.test."""

from datetime import timedelta
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Refusal
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate, ClientProof, Introduction, Issuer, parse_issuer
from rrsd.core.values.records import Record, Records, RecordType, Text, Tlsa, Verdict
from rrsd.core.wire.metadata import render_issuer_metadata
from rrsd.core.wire.webfinger import client_acct, render_issuer, render_public_key
from rrsd.roles.identity.flow import Identity
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.settings import Settings
from rrsd.roles.identity.zones import Zones
from rrsd.runtime.flights import Flights
from tests.support.domains import FlowCase, Hosts, Key, Party, certificate, clock_at, json_answer, timers_of

DAY = timedelta(days=1)

FINGER = "https://bar.test/.well-known/webfinger?resource=acct%3Apostmaster%40bar.test"
FINGER += "&rel=http%3A%2F%2Fopenid.net%2Fspecs%2Fconnect%2F1.0%2Fissuer"
CLIENT = "https://bar.test/.well-known/webfinger?resource=acct%3A_rra%40bar.test&rel=public-key"
METADATA = "https://as.bar.test/.well-known/oauth-authorization-server"
FALLBACK = "https://bar.test/.well-known/oauth-authorization-server"
JWKS = "https://as.bar.test/jwks"


class IdentityCase(FlowCase):
    """foo.test asks about bar.test."""

    validates = True

    def setUp(self) -> None:
        self.home, self.bar = Party("foo.test"), Party("bar.test")
        self.hosts, self.clock, self.zone = Hosts(), clock_at(), Zone()
        self.hosts.publish(self.bar)
        self.finger("https://as.bar.test")
        self.identity = self.make()

    def make(self, access_issuer: Issuer | None = None, **changes: Any) -> Identity:
        home = Home(
            domain=self.home.domain,
            metadata=self.home.metadata,
            resource=self.home.origin,
            client=self.home.client,
            access_issuer=access_issuer or self.home.issuer,
            audiences=frozenset({str(self.home.origin)}),
        )
        settings = Settings(**{"allow_reserved": True, **changes})
        agent = Agent(self.home.certificate)
        zones = Zones(settings, self.zone, self.validates)
        return Identity(settings, home, self.hosts, zones, Flights(), self.home, agent, timers_of(self.clock))

    def finger(self, issuer: str, subject: str = "acct:postmaster@bar.test", cache: str = "max-age=600") -> None:
        self.hosts.pages[FINGER] = json_answer(render_issuer(subject, parse_issuer(issuer)), cache=cache)

    def metadata(self, **changes: Any) -> None:
        document = {**render_issuer_metadata(self.bar.metadata), **changes}
        self.hosts.pages[METADATA] = json_answer(document)

    def introduce(self) -> Introduction:
        return self.run_now(self.identity.introduce(self.bar.domain))

    def refuse(self, refusal: type[Refusal]) -> Any:
        return self.refuse_now(self.identity.introduce(self.bar.domain), refusal)


class ClientCase(IdentityCase):
    """bar.test's agent knocks."""

    NAME = "_rra.bar.test"

    def setUp(self) -> None:
        super().setUp()
        self.spki = self.bar.certificate.spki

    def publish(self, *keys: Key) -> None:
        """The client's WebFinger document."""
        hashes = [certificate(self.NAME, key).spki for key in keys]
        self.hosts.pages[CLIENT] = json_answer(render_public_key(client_acct(self.bar.client), hashes))

    def prove(self, issuer: str = "https://as.bar.test", shown: Certificate | None = None) -> ClientProof:
        return self.run_now(self.identity.prove_client(shown or self.bar.certificate, parse_issuer(issuer)))

    def refuse_client(self, refusal: type[Refusal], issuer: str = "https://as.bar.test") -> Any:
        return self.refuse_now(self.identity.prove_client(self.bar.certificate, parse_issuer(issuer)), refusal)

    def require_cold(self, seconds: float = 61) -> None:
        """Nothing is remembered, and nobody was asked."""
        self.clock.advance(seconds)
        self.hosts.asked.clear()
        self.zone.asked.clear()


class Agent:
    """The holder of our client certificate."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate

    def published(self) -> tuple[Digest, ...]:
        return (self.certificate.spki,)


@define(eq=False)
class Zone:
    """The zones of the world, by name and type: an answer, or what to wait for. All else is securely not there."""

    answers: dict[tuple[str, RecordType], Records | Deferred[Records]] = field(factory=dict)
    asked: list[str] = field(factory=list)

    async def ask(self, name: str, kind: RecordType) -> Records:
        self.asked.append(f"{name} {kind}")
        answer = self.answers.get((name, kind), Records(Verdict.SECURE, DAY))
        return await answer if isinstance(answer, Deferred) else answer

    def text(self, name: str, *texts: str, verdict: Verdict = Verdict.SECURE, life: timedelta = DAY) -> None:
        """Publish TXT records."""
        self.publish(name, RecordType.TXT, tuple(Text(each.encode()) for each in texts), verdict, life)

    def tlsa(self, name: str, *records: Tlsa, verdict: Verdict = Verdict.SECURE, life: timedelta = DAY) -> None:
        """Publish TLSA records."""
        self.publish(name, RecordType.TLSA, records, verdict, life)

    def publish(
        self, name: str, kind: RecordType, records: tuple[Record, ...], verdict: Verdict, life: timedelta = DAY
    ) -> None:
        """Publish whatever it is."""
        self.answers[name, kind] = Records(verdict, life, records, "said the zone")
