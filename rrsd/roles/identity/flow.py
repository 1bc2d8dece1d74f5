"""The steps: who speaks for a domain, with which keys, and who is at the other end."""

from attrs import define, field

from rrsd.core.proof import binding
from rrsd.core.proof.tokens import prove_access
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Certificate, ClientProof, Discovery, Introduction, Issuer, Url
from rrsd.core.values.tokens import KeySet, VerifiedAccess, revoked_names
from rrsd.core.wire.jose import parse_jws
from rrsd.core.wire.metadata import IssuerMetadata, parse_issuer_metadata
from rrsd.roles.identity.clients import Clients
from rrsd.roles.identity.documents import Documents, KeySets
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.introductions import Introductions
from rrsd.roles.identity.memory import Learned, Memory
from rrsd.roles.identity.methods import Methods
from rrsd.roles.identity.ports import Flights, OwnAgent, OwnKeys, Revocations, Strangers, Timers
from rrsd.roles.identity.settings import Settings
from rrsd.roles.identity.zones import Zones
from rrsd.runtime.expiring import Expiring

DISCOVERY = "openid-configuration"


@define(eq=False)
class Identity:
    """What other domains and our own users are proved to be; nothing talks to a host that was not introduced here."""

    settings: Settings
    home: Home
    strangers: Strangers
    zones: Zones
    flights: Flights
    own_keys: OwnKeys
    agent: OwnAgent
    timers: Timers
    revocations: Revocations | None = None
    methods: Methods = field(init=False)
    introductions: Introductions = field(init=False)
    _documents: Documents = field(init=False)
    _key_sets: KeySets = field(init=False)
    _clients: Clients = field(init=False)
    _introductions: Memory[Introduction] = field(init=False)
    _providers: Memory[IssuerMetadata] = field(init=False)

    def __attrs_post_init__(self) -> None:
        settings, flights, timers = self.settings, self.flights, self.timers
        self._documents = Documents(settings, self.strangers, self.home.hosts)
        fetched: Expiring[str, bool] = Expiring(settings.most_entries)
        self._key_sets = KeySets(self._documents, Memory("keys", settings, flights, timers), fetched, timers)
        self.methods = Methods(settings, self._documents, self.zones)
        self.introductions = Introductions(settings, self._documents, self.zones, timers)
        proofs: Memory[ClientProof] = Memory("client", settings, flights, timers)
        self._clients = Clients(settings, self.home, self.methods, proofs, self.agent, timers, flights)
        self._introductions = Memory("introduction", settings, flights, timers)
        self._providers = Memory("provider", settings, flights, timers)

    async def introduce(self, domain: Domain) -> Introduction:
        """Who speaks for the domain (protocol 2).

        Raises:
            Unproven: what it publishes contradicts itself, or nobody can own such a domain.
            Unknown: it publishes nothing.
            Unavailable: it cannot be asked now.
        """
        if domain == self.home.domain:
            return self._introduce_ourselves()
        self._documents.require_foreign(domain)
        return await self._introductions.ask(str(domain), lambda: self.introductions.find(domain))

    async def keys_of(self, introduction: Introduction, kid: str) -> KeySet:
        """The issuer's verification keys; fetched again, at most once a minute, when `kid` is not among them.

        Raises:
            Unproven: they are missing, unusable, or kept on another host.
            Unavailable: they cannot be fetched now.
        """
        if introduction.issuer == self.home.metadata.issuer:
            return self.own_keys.published()
        peer = binding.host_of(introduction, introduction.jwks_uri)
        return await self._key_sets.of(peer, introduction.jwks_uri.target, kid)

    async def prove_client(self, certificate: Certificate, issuer: Issuer) -> ClientProof:
        """That the certificate's key belongs to the client in it (protocol 3); refuses as `Clients.prove`."""
        return await self._clients.prove(certificate, issuer)

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What an access token of our own domain proves.

        Raises:
            Malformed: it is no JWS.
            Unproven, Expired: it is not a token of our users' issuer for us, or not now, or was revoked.
            Unavailable: the external provider's keys cannot be fetched.
        """
        jws = parse_jws(text)
        keys = await self._user_keys(jws.kid or "")
        access = prove_access(jws, keys, self.home.access_issuer, self.home.audiences, self.timers.now())
        if self.revocations is not None:
            await self._require_unrevoked(access, self.revocations)
        return access

    async def _require_unrevoked(self, access: VerifiedAccess, revocations: Revocations) -> None:
        if await revocations.is_revoked(*revoked_names(access.issuer, access.jti, access.family)):
            raise Unproven("the access token, or its login, was revoked")

    async def keys_at(self, url: Url, kid: str) -> KeySet:
        """The keys that the operator had registered by their address; refuses as `keys_of`.

        Raises:
            Unproven: they are missing or unusable.
            Unavailable: they cannot be fetched now.
        """
        return await self._key_sets.of(binding.configured(url.origin), url.target, kid)

    def _introduce_ourselves(self) -> Introduction:
        until = self.timers.now() + self.settings.max_age
        return binding.prove_introduction(
            self.home.domain, self.home.metadata.issuer, self.home.metadata, until, Discovery.OURSELVES
        )

    async def _user_keys(self, kid: str) -> KeySet:
        issuer = self.home.access_issuer
        if issuer == self.home.metadata.issuer:
            return self.own_keys.published()
        metadata = await self._providers.ask(str(issuer), lambda: self._discover(issuer))
        jwks = metadata.jwks_uri
        # The operator chose this provider, and providers keep their keys on hosts of their own.
        return await self._key_sets.of(binding.configured(jwks.origin), jwks.target, kid)

    async def _discover(self, issuer: Issuer) -> Learned[IssuerMetadata]:
        document = await self._documents.require(binding.configured(issuer.origin), issuer.appended(DISCOVERY).target)
        metadata = document.read(parse_issuer_metadata)
        if metadata.issuer != issuer:
            raise Unproven("the provider's discovery document names another issuer")
        return Learned(metadata, document.life)
