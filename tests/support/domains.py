"""Domains for tests: keys that sign, certificates as values, and doubles of what a role needs from outside."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from attrs import define, evolve, field
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Refusal, TooLarge, Unknown
from rrsd.core.values.addresses import Address, ClientIdentifier, Domain, parse_address, parse_client_identifier
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.peers import Certificate, Issuer, Origin, Url, parse_issuer
from rrsd.core.values.policies import Question
from rrsd.core.values.resources import CHUNK, Blob, Custody, Grant, Receipt, Upload
from rrsd.core.values.tokens import Algorithm, KeySet, Kind, PublicKey
from rrsd.core.wire import jose, strictjson
from rrsd.core.wire.delegation import delegation_claims
from rrsd.core.wire.metadata import IssuerMetadata, render_issuer_metadata
from rrsd.core.wire.receipts import receipt_claims
from rrsd.drivers.policy.service import build_engine
from rrsd.drivers.policy.settings import Settings as PolicySettings
from rrsd.runtime.timers import Timers

T = TypeVar("T")

POLICIES = build_engine(PolicySettings())
"""The policies that come with rrsd."""


def fits(question: Question) -> bool:
    """Whether the question has the form that the schema gives it."""
    return not POLICIES.explain(question).errors


EPOCH = 1_790_000_000
"""When the tests begin, seconds since 1970."""


def clock_at(seconds: float = EPOCH) -> Clock:
    """A clock that stands at `seconds`."""
    clock = Clock()
    clock.advance(seconds)
    return clock


def now() -> Instant:
    """When the tests begin."""
    return instant(EPOCH)


class FlowCase(SynchronousTestCase):
    """Runs coroutines that wait for nothing but doubles."""

    def run_now(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result, which is there at once."""
        result: T = self.successResultOf(Deferred.fromCoroutine(coroutine))
        return result

    def refuse_now(self, coroutine: Coroutine[Any, Any, object], refusal: type[Refusal]) -> Any:
        """The refusal of exactly that class."""
        raised = self.failureResultOf(Deferred.fromCoroutine(coroutine)).value
        self.assertIs(type(raised), refusal, repr(raised))
        return raised


@define(eq=False)
class Key:
    """An ES256 key that signs."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> bytes:
        """The public half."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    @property
    def public(self) -> PublicKey:
        """The public half as a member of a key set."""
        return PublicKey(self.kid, Algorithm.ES256, jose.public_jwk(self.pem))

    def sign(self, typ: Kind | str, claims: Mapping[str, object]) -> str:
        """A compact JWS."""
        signed = jose.signing_input(Algorithm.ES256, str(typ), self.kid, claims)
        r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return jose.join_jws(signed, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def certificate(client: str | None, key: Key, serial: int = 1) -> Certificate:
    """A certificate of `key` for `client`; another `serial` is another certificate of the same key."""
    named = None if client is None else parse_client_identifier(client)
    x5t = digest_of(key.pem + str((client, serial)).encode())
    begins, ends = now() - timedelta(days=1), now() + timedelta(days=30)
    return Certificate(x5t, digest_of(key.pem), key.pem, named, begins, ends)


@define(eq=False)
class Party:
    """One domain with an issuer on a host of its own, an agent and a resource server."""

    name: str
    key: Key = field(init=False)
    agent_key: Key = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.key = Key(f"key-of-{self.name}")
        self.agent_key = Key(f"agent-of-{self.name}")

    @property
    def domain(self) -> Domain:
        return Domain(self.name)

    @property
    def issuer(self) -> Issuer:
        return parse_issuer(f"https://as.{self.name}")

    @property
    def origin(self) -> Origin:
        return Origin(Domain(f"rs.{self.name}"))

    @property
    def client(self) -> ClientIdentifier:
        return parse_client_identifier(f"_rra.{self.name}")

    @property
    def certificate(self) -> Certificate:
        """The agent's certificate."""
        return certificate(str(self.client), self.agent_key)

    @property
    def metadata(self) -> IssuerMetadata:
        host = self.issuer.origin
        return IssuerMetadata(self.issuer, Url(host, "/jwks"), Url(host, "/token"), (self.origin,))

    def published(self) -> KeySet:
        """The issuer's keys."""
        return KeySet((self.key.public,))

    def address(self, local: str) -> Address:
        return parse_address(f"{local}@{self.name}")

    def delegation(self, audience: Origin, local: str = "bob", **changes: Any) -> str:
        """A delegation of `local` to the agent for `audience`; `changes` replace claims, None removes one."""
        claims = delegation_claims(
            self.issuer, audience, self.address(local), self.client, self.certificate.x5t,
            now(), now() + timedelta(seconds=300), "jti-1", None,
        )  # fmt: skip
        typ = changes.pop("typ", Kind.DELEGATION)
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return self.key.sign(typ, claims)

    def receipt(self, grant: Grant, audience: Origin, jti: str = "r-1", **changes: Any) -> str:
        """The agent's receipt for what `grant` names; `changes` replace claims."""
        receipt = Receipt(self.client, grant.recipient, grant.digest, grant.size, now(), grant.message_id, jti)
        return self.agent_key.sign(Kind.RECEIPT, {**receipt_claims(receipt, audience, now()), **changes})


def json_answer(document: Mapping[str, Any], status: int = 200, cache: str = "max-age=600", **headers: str) -> Answer:
    """An answer as a well-behaved host gives it."""
    said = {"content-type": "application/json", "cache-control": cache, **headers}
    return Answer(status, said, strictjson.render(document))


@define(eq=False)
class Hosts:
    """The hosts of the world, by URL: an answer, a refusal, or what to wait for. Everything else answers 404."""

    pages: dict[str, Answer | Refusal | Deferred[Answer]] = field(factory=dict)
    asked: list[str] = field(factory=list)

    async def ask(self, call: Call) -> Answer:
        url = f"{call.peer.origin}{call.target}"
        self.asked.append(url)
        page = self.pages.get(url, Answer(404, {}))
        if isinstance(page, Refusal):
            raise page
        if isinstance(page, Deferred):
            return await page
        return page

    def publish(self, party: Party) -> None:
        """Metadata and keys of a domain's issuer, and its WebFinger link."""
        self.pages[f"{party.issuer}/.well-known/oauth-authorization-server"] = json_answer(
            render_issuer_metadata(party.metadata)
        )
        self.pages[f"{party.issuer}/jwks"] = json_answer(jose.render_key_set(party.published()))


@define(eq=False)
class Journal:
    """An audit trail in memory."""

    events: list[Event] = field(factory=list)

    def record(self, event: Event) -> None:
        self.events.append(event)


@define(eq=False)
class Meter:
    """Answers how long to wait with what it is told."""

    wait: int = 0

    def take(self, key: str) -> int:
        return self.wait


@define(eq=False)
class Names:
    """Counts names."""

    count: int = 0

    def __call__(self) -> str:
        self.count += 1
        return f"name-{self.count}"


@define(eq=False)
class Bytes:
    """Resources in memory."""

    kept: dict[Digest, bytes] = field(factory=dict)
    refusal: Refusal | None = None
    block: int = 65536
    keeps: float = 0.0

    def put(self, data: bytes) -> Digest:
        digest = digest_of(data)
        self.kept[digest] = data
        return digest

    async def find(self, digest: Digest) -> Blob:
        if digest not in self.kept:
            raise Unknown("blob")
        data = self.kept[digest]
        chunks = tuple(digest_of(data[start : start + CHUNK]) for start in range(0, len(data), CHUNK))
        return Blob(digest, len(data), chunks)

    async def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        if self.refusal is not None:
            raise self.refusal
        if digest not in self.kept:
            raise Unknown("blob")
        for at in range(start, end, self.block):
            yield self.kept[digest][at : min(at + self.block, end)]

    async def collect(self, now: Instant, grace_seconds: float, most: int, keep_seconds: float) -> Sequence[Digest]:
        if self.refusal is not None:
            raise self.refusal
        self.keeps = keep_seconds
        gone = tuple(self.kept)[:most]
        for digest in gone:
            del self.kept[digest]
        return gone


@define(eq=False)
class Arrivals:
    """Uploads in memory."""

    blobs: Bytes
    kept: dict[str, Upload] = field(factory=dict)
    data: dict[str, bytes] = field(factory=dict)

    async def begin(self, upload: Upload) -> None:
        self.kept[upload.upload_id] = upload
        self.data[upload.upload_id] = b""

    async def find(self, upload_id: str, owner: Address) -> Upload:
        upload = self.kept.get(upload_id)
        if upload is None or upload.owner != owner:
            raise Unknown("upload")
        return upload

    async def append(self, upload: Upload, data: bytes) -> Upload:
        if self.kept[upload.upload_id].offset != upload.offset:
            raise Conflict("offset")
        if upload.offset + len(data) > upload.size:
            raise TooLarge("upload")
        self.data[upload.upload_id] += data
        grown = evolve(upload, offset=upload.offset + len(data))
        if grown.offset == grown.size:
            grown = evolve(grown, digest=self.blobs.put(self.data[upload.upload_id]))
        self.kept[upload.upload_id] = grown
        return grown

    async def cancel(self, upload: Upload) -> None:
        del self.kept[upload.upload_id]

    async def owned(self, owner: Address, digests: Sequence[Digest]) -> Sequence[Blob]:
        mine = {upload.digest for upload in self.kept.values() if upload.owner == owner}
        return [await self.blobs.find(digest) for digest in digests if digest in mine]

    async def sweep(self, now: Instant) -> int:
        stale = [upload for upload in self.kept.values() if upload.expires <= now]
        for upload in stale:
            await self.cancel(upload)
        return len(stale)


@define(eq=False)
class Ledger:
    """Grants in memory."""

    kept: list[Grant] = field(factory=list)
    signed: list[Custody] = field(factory=list)

    async def add(self, grants: Sequence[Grant]) -> None:
        self.kept.extend(grants)

    async def naming(self, digest: Digest, recipient: Address) -> Sequence[Grant]:
        return await self.of(recipient, (digest,))

    async def of(self, recipient: Address, digests: Sequence[Digest]) -> Sequence[Grant]:
        return [grant for grant in self.kept if grant.digest in digests and grant.recipient == recipient]

    async def receipted(self, taken: Sequence[Custody], at: Instant) -> None:
        grants = {each.grant for each in taken}
        self.signed += [evolve(each, grant=evolve(each.grant, receipted=at)) for each in taken]
        self.kept = [evolve(each, receipted=at) if each in grants else each for each in self.kept]

    async def renew(self, ends: Sequence[tuple[Grant, Instant]]) -> Sequence[Grant]:
        later = {(grant.message_id, grant.digest, grant.recipient): until for grant, until in ends}
        named = [(each, later.get((each.message_id, each.digest, each.recipient))) for each in self.kept]
        self.kept = [
            evolve(each, not_after=until, promised=each.promised or each.not_after)
            if until is not None and until > each.not_after
            else each
            for each, until in named
        ]
        return [each for each, until in zip(self.kept, (until for _, until in named), strict=True) if until]

    async def custody(self, sender: Address, message_id: str) -> Sequence[Custody]:
        return [each for each in self.signed if (each.grant.sender, each.grant.message_id) == (sender, message_id)]

    async def forget_custody(self, before: Instant, most: int) -> int:
        old = [each for each in self.signed if each.grant.receipted and each.grant.receipted < before][:most]
        self.signed = [each for each in self.signed if each not in old]
        return len(old)

    async def message(self, sender: Address, message_id: str) -> Sequence[Grant]:
        return [grant for grant in self.kept if (grant.sender, grant.message_id) == (sender, message_id)]

    async def sent(self, sender: Address, most: int) -> Sequence[Grant]:
        return [grant for grant in reversed(self.kept) if grant.sender == sender][:most]

    async def withdraw(self, sender: Address, message_id: str) -> int:
        mine = [grant for grant in self.kept if grant.sender == sender and grant.message_id == message_id]
        self.kept = [evolve(each, withdrawn=True) if each in mine else each for each in self.kept]
        return len(mine)

    async def addressed(self, message_id: str, sender: Address, recipient: Address) -> Sequence[Grant]:
        named = (message_id, sender, recipient)
        return [grant for grant in self.kept if (grant.message_id, grant.sender, grant.recipient) == named]

    async def downloaded(self, grant: Grant, at: Instant) -> None:
        self.kept = [evolve(each, downloaded=at) if each == grant else each for each in self.kept]


def timers_of(clock: Clock) -> Timers:
    """Time as `clock` says."""
    return Timers(clock)
