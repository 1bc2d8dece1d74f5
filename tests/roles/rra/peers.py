"""The rest of the world of an agent, answering as the tests say."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from errno import EIO
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Refusal, TooLarge, Unavailable
from rrsd.core.values.addresses import Address, Domain, parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.calls import Answer, Call, Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import Certificate, Introduction, Origin, parse_issuer, parse_origin, parse_url
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.fields import etag
from rrsd.drivers.store.memory import MemoryFiles
from rrsd.roles.rra.ports import AgentKey, Audit, Remote, Reply, Sink, Subjects, Trust
from tests.roles.rra.samples import NOW, RS

T = TypeVar("T")
BOB = parse_address("bob@bar.test")
HOME = parse_domain("bar.test")
OTHER = parse_origin("https://rs.other.test")
CLIENT = parse_client_identifier("_rra.bar.test")
STS = parse_origin("https://id.bar.test")
JWT = "urn:ietf:params:oauth:token-type:jwt"


@define(eq=False)
class Body:
    """An answer with a body that stands still after `still` bytes until somebody lets it go on."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    still: int | None = None
    aborted: bool = False
    held: int = 0
    _stands: Deferred[None] | None = None

    async def pour(self, sink: Sink, most: int) -> int:
        stop = len(self.body) if self.still is None else self.still
        await _give(sink, self.body[:stop])
        if self.still is not None:
            self._stands = Deferred()
            await self._stands
            await _give(sink, self.body[stop:])
        return len(self.body)

    async def abort(self) -> None:
        self.aborted = True
        if self._stands is not None and not self._stands.called:
            self._stands.errback(Unavailable("given up"))

    def go_on(self) -> None:
        """The rest comes."""
        assert self._stands is not None
        self._stands.callback(None)


async def _give(sink: Sink, data: bytes) -> None:
    pause = sink.write(data)
    if pause is not None:
        await pause


def served(data: bytes, still: int | None = None) -> Body:
    """The resource as a good server sends it."""
    return Body(200, {"content-length": str(len(data)), "etag": etag(digest_of(data))}, data, still)


def said(status: int, **headers: str) -> Body:
    """An answer without a body."""
    return Body(status, {name.replace("_", "-"): value for name, value in headers.items()})


def issued(text: str = "delegation", life: object = 300, kind: str = JWT) -> Answer:
    """What the STS says when it says yes."""
    document = {"access_token": text, "expires_in": life, "issued_token_type": kind, "token_type": "N_A"}
    return Answer(200, {}, json.dumps(document).encode())


Told = Body | Answer | Exception


@define(eq=False)
class Peers:
    """The rest of the world. `rules` are asked in order, the newest first; what they leave alone is answered well."""

    content: dict[str, bytes] = field(factory=dict)
    rules: list[Callable[[Call], Told | Awaitable[Told] | None]] = field(factory=list)
    calls: list[Call] = field(factory=list)

    def rule(self, method: str, origin: Origin, told: Callable[[Call], Told | Awaitable[Told] | None]) -> None:
        """From now on requests with this method to this origin are answered so."""
        self.rules.insert(0, lambda call: told(call) if (call.method, call.peer.origin) == (method, origin) else None)

    def always(self, method: str, origin: Origin, told: Told | Awaitable[Told]) -> None:
        """From now on this is the answer."""
        self.rule(method, origin, lambda _: told)

    def to(self, method: str, origin: Origin) -> list[Call]:
        """The requests of that kind."""
        return [call for call in self.calls if (call.method, call.peer.origin) == (method, origin)]

    async def ask(self, call: Call, most: int = 65536) -> Answer:
        told = await self._told(call)
        if isinstance(told, Body):
            told = Answer(told.status, told.headers, told.body)
        if call.method != "HEAD" and len(told.body) > most:
            raise TooLarge("body")
        return told

    async def fetch(self, call: Call) -> Reply:
        told = await self._told(call)
        assert isinstance(told, Body)
        return told

    async def _told(self, call: Call) -> Body | Answer:
        self.calls.append(call)
        for rule in self.rules:
            told = rule(call)
            if told is not None:
                told = told if isinstance(told, Body | Answer | Exception) else await told
                if isinstance(told, Exception):
                    raise told
                return told
        if call.peer.origin == STS:
            return issued(f"delegation {len(self.to('POST', STS))}")
        if call.method == "POST":
            return Answer(204, {})
        return served(self.content[call.target])


@define(eq=False)
class Directory:
    """Every domain, introduced; `trouble` says for whom that is refused."""

    listed: set[Origin] = field(factory=lambda: {RS, OTHER})
    trouble: dict[Domain, Exception] = field(factory=dict)

    async def introduce(self, domain: Domain) -> Introduction:
        if domain in self.trouble:
            raise self.trouble[domain]
        home = f"https://id.{domain}"
        return Introduction(
            domain, parse_issuer(home), parse_url(f"{home}/jwks"), parse_url(f"{home}/token"), tuple(self.listed), NOW
        )

    async def prove_user(self, text: str) -> VerifiedAccess:
        raise AssertionError("nobody asks that here")


@define(eq=False)
class Key:
    """A key that signs by writing down what it would sign."""

    certificate: Certificate = field(
        factory=lambda: Certificate(digest_of(b"x5t"), digest_of(b"spki"), b"", CLIENT, NOW, NOW)
    )
    signed: list[Mapping[str, object]] = field(factory=list)

    def sign(self, typ: str, claims: Mapping[str, object]) -> str:
        self.signed.append(claims)
        return f"{typ}.{claims['jti']}"


@define(eq=False)
class Trail:
    """The audit trail; with `refusal` it cannot be written."""

    events: list[Event] = field(factory=list)
    refusal: Refusal | None = None

    def record(self, event: Event) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.events.append(event)

    def of(self, what: str) -> list[Event]:
        """Those about one kind of decision."""
        return [event for event in self.events if event.what == what]


@define(eq=False)
class Members:
    """Our own users: all but those in `refused`."""

    refused: dict[Address, Refusal] = field(factory=dict)

    async def require_active(self, address: Address) -> None:
        if address in self.refused:
            raise self.refused[address]

    async def account(self, address: Address) -> Address:
        return address


@define(eq=False)
class Troubled:
    """The queue of a store, which refuses what `trouble` says, by method; what `after` says it does all the same."""

    whole: Any
    trouble: dict[str, Exception] = field(factory=dict)
    after: dict[str, Exception] = field(factory=dict)
    gates: dict[str, Deferred[None]] = field(factory=dict)
    asked: Counter[str] = field(factory=Counter)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.whole, name)

        async def call(*args: Any) -> Any:
            self.asked[name] += 1
            if name in self.trouble:
                raise self.trouble[name]
            result = await real(*args)
            if name in self.gates:
                await self.gates[name]
            if name in self.after:
                raise self.after[name]
            return result

        return call


@define(eq=False)
class Disk(MemoryFiles):
    """Files in memory on a disk that may begin to fail."""

    fails: bool = False

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """As always, or as on a disk that fails."""
        if self.fails:
            raise OSError(EIO, "input/output error")
        super().write(descriptor, blocks, offset)


if TYPE_CHECKING:
    _remote: type[Remote] = Peers
    _trust: type[Trust] = Directory
    _key: type[AgentKey] = Key
    _audit: type[Audit] = Trail
    _members: type[Subjects] = Members
    _reply: type[Reply] = Body
