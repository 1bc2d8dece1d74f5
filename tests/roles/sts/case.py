"""A token service with the agent of its own domain, over real signatures, and what the agent sends."""

from typing import Any
from urllib.parse import urlencode

from attrs import define, field

from rrsd.core.proof import signatures
from rrsd.core.proof.tokens import impersonation_claims, prove_access
from rrsd.core.refusals import (
    Forbidden,
    Malformed,
    Unknown,
    Unproven,
)
from rrsd.core.values.addresses import Address, parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.instants import seconds
from rrsd.core.values.peers import Certificate, Url, parse_issuer
from rrsd.core.values.tokens import ClaimedDelegation, KeySet, Kind, VerifiedAccess
from rrsd.core.wire import jose
from rrsd.core.wire.delegation import parse_delegation
from rrsd.core.wire.exchange import GRANT_TYPE, SubjectType
from rrsd.core.wire.oauth import FORM, Form, parse_form
from rrsd.drivers.keys.certificates import KeyPair, self_signed_client
from rrsd.drivers.keys.signer import AgentKey
from rrsd.roles.sts import clients
from rrsd.roles.sts.about import AboutTokens
from rrsd.roles.sts.admission import Admission
from rrsd.roles.sts.authentication import Authentication
from rrsd.roles.sts.clients import Client
from rrsd.roles.sts.flow import Flow
from rrsd.roles.sts.own import OwnTokens
from rrsd.roles.sts.settings import Settings
from tests.support.domains import POLICIES, FlowCase
from tests.support.issuer import START, ManualTime, MemoryReplays, MemoryRevocations, Quota, Serial, SigningDesk, Trail

ISSUER = parse_issuer("https://id.bar.test")
API = "https://bar.test"
RS = "https://rs.foo.test"
BOB = parse_address("bob@bar.test")
BAR = parse_domain("bar.test")
PAIR = self_signed_client(parse_client_identifier("_rra.bar.test"), START)
OTHER = self_signed_client(parse_client_identifier("_rra.bar.test"), START)
STRANGER = self_signed_client(parse_client_identifier("_rra.evil.test"), START)


@define(eq=False)
class Sessions:
    """Proves access tokens of the desk for the audiences of the domain."""

    desk: SigningDesk
    time: ManualTime

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What the token proves."""
        return prove_access(
            jose.parse_jws(text), self.desk.keys, ISSUER, frozenset({API, "https://other.bar.test"}), self.time.now()
        )


@define(eq=False)
class Subjects:
    """Bob exists, carol is suspended, nobody else is there."""

    async def require_active(self, address: Address) -> None:
        """Returns None for bob."""
        if address != BOB:
            raise Forbidden("suspended") if address.local == "carol" else Unknown("user")


@define(eq=False)
class Known:
    """Clients by name."""

    clients: dict[str, Client]

    async def find(self, name: str) -> Client | None:
        """The client."""
        return self.clients.get(name)


@define(eq=False)
class Published:
    """The keys that clients publish, and how often somebody asked."""

    sets: dict[str, KeySet] = field(factory=dict)
    asked: list[str] = field(factory=list)

    async def keys_at(self, url: Url, kid: str) -> KeySet:
        """The keys."""
        self.asked.append(kid)
        if str(url) not in self.sets:
            raise Unproven("no keys there")
        return self.sets[str(url)]


@define(eq=False)
class Desk:
    """The keys of the desk."""

    desk: SigningDesk

    def published(self) -> KeySet:
        """All of them."""
        return self.desk.keys


class ExchangeCase(FlowCase):
    """An STS with the agent of its own domain, and what the agent sends."""

    def setUp(self) -> None:
        """One STS; its clients are the domain's own agent and one that may do nothing by itself."""
        self.time, self.desk, self.trail, self.replays = ManualTime(), SigningDesk(), Trail(), MemoryReplays()
        self.requests, self.failures, self.inactive = Quota(), Quota(), Quota()
        own = clients.own_agent((PAIR.certificate,), BAR, (API,))
        modest = clients.register(
            parse_client_identifier("_rra.evil.test"), [STRANGER.certificate], [], [], ["https://rs.evil.test"]
        )
        self.known = Known({str(client.identifier): client for client in (own, modest)})
        self.revocations, self.published = MemoryRevocations(), Published()
        self.admission = Admission(
            authentication=Authentication(
                issuer=ISSUER, clients=self.known, keys=self.published, replays=self.replays, now=self.time.now
            ),
            requests=self.requests,
            failures=self.failures,
            audit=self.trail,
            now=self.time.now,
        )
        sessions, subjects = Sessions(self.desk, self.time), Subjects()
        own_tokens = OwnTokens(ISSUER, sessions, Desk(self.desk), self.revocations, self.time.now)
        self.flow = Flow(
            issuer=ISSUER,
            audiences=frozenset({API}),
            settings=Settings(),
            admission=self.admission,
            subjects=subjects,
            sessions=sessions,
            own=own_tokens,
            replays=self.replays,
            policies=POLICIES,
            signer=self.desk.signer,
            now=self.time.now,
            unique=Serial(),
        )
        self.about = AboutTokens(
            issuer=ISSUER,
            admission=self.admission,
            own=own_tokens,
            subjects=subjects,
            signer=self.desk.signer,
            inactive=self.inactive,
            now=self.time.now,
        )

    def assertion(self, pair: KeyPair = PAIR, **changes: Any) -> str:
        """An impersonation assertion of the agent for bob, with some claims changed or, with None, left out."""
        client = pair.certificate.client
        assert client is not None
        claims = impersonation_claims(client, BOB, ISSUER, pair.certificate.x5t, self.time.now(), "jti-1") | changes
        return signed(pair, {name: value for name, value in claims.items() if value is not None})

    def access(self, **changes: Any) -> str:
        """An access token of bob for the domain's API."""
        now = seconds(self.time.now())
        claims = {
            "iss": str(ISSUER), "sub": str(BOB), "aud": API, "client_id": "rrsctl", "iat": now, "exp": now + 600,
            "jti": "access-1", "scope": "mail", **changes,
        }  # fmt: skip
        return self.desk.sign(Kind.ACCESS, claims)

    def form(self, subject_token: str, kind: SubjectType = SubjectType.JWT, **changes: Any) -> Form:
        """The agent's request."""
        given = {
            "grant_type": GRANT_TYPE, "client_id": "_rra.bar.test", "subject_token": subject_token,
            "subject_token_type": str(kind), "requested_token_type": str(SubjectType.JWT), "resource": RS, **changes,
        }  # fmt: skip
        body = urlencode({name: value for name, value in given.items() if value is not None}, doseq=True)
        return parse_form(FORM, b"", body.encode())

    def exchanged(self, form: Form, certificate: Certificate = PAIR.certificate) -> ClaimedDelegation:
        """The delegation that the request is answered with, its signature verified."""
        document = self.run_now(self.flow.exchange(form, certificate, "192.0.2.1"))
        self.assertEqual(document["token_type"], "N_A")
        self.assertEqual(document["issued_token_type"], SubjectType.JWT)
        claimed = parse_delegation(jose.parse_jws(document["access_token"]))
        signatures.verify(claimed.jws, self.desk.keys)
        self.assertEqual(document["expires_in"], (claimed.expires - claimed.issued).total_seconds())
        return claimed

    def refused(
        self, form: Form, refusal: type[Exception] = Malformed, certificate: Certificate | None = PAIR.certificate
    ) -> Any:
        """The refusal, and that the trail has it."""
        raised = self.refuse_now(self.flow.exchange(form, certificate, "192.0.2.1"), refusal)  # type: ignore[arg-type]
        self.assertEqual((self.trail.last.what, self.trail.last.outcome), ("delegate", "refused"))
        self.assertEqual(self.trail.last.refusal, raised.reason)
        return raised


def signed(pair: KeyPair, claims: dict[str, Any], typ: str = Kind.IMPERSONATION) -> str:
    """A JWS by the key of the pair."""
    agent = AgentKey()
    agent.use(pair)
    return agent.sign(typ, claims)
