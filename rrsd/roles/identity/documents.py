"""JSON documents of other domains, fetched and judged."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from attrs import frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Forbidden, TooLarge, Unavailable, Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.peers import ProvenPeer
from rrsd.core.values.tokens import KeySet
from rrsd.core.wire.jose import parse_key_set
from rrsd.core.wire.strictjson import parse_object
from rrsd.roles.identity import rules
from rrsd.roles.identity.memory import Learned, Memory
from rrsd.roles.identity.ports import Strangers, Timers
from rrsd.roles.identity.settings import Settings
from rrsd.runtime.expiring import Expiring

T = TypeVar("T")

_HEADERS = (("Accept", "application/json, application/jrd+json, application/jwk-set+json"),)
MOST_REDIRECTS = 3
REFETCH_SECONDS = 60.0
"""A key set is fetched again for an unknown key at most once in this time."""


async def pointed_to(asked: Awaitable[T]) -> T:
    """The answer of somebody whom something published names: who does not answer there is not nobody."""
    try:
        return await asked
    except Unavailable as refusal:
        raise Unavailable(refusal.detail, refusal.retry_after) from None


@frozen
class Document:
    """One published document and how long it may be kept."""

    content: Mapping[str, Any]
    life: timedelta

    def read(self, parse: Callable[[Mapping[str, Any]], T]) -> T:
        """What `parse` finds in it; refuses with Unproven when that is nonsense."""
        return rules.understood(parse, self.content)


@frozen
class Documents:
    """The way to what strangers publish."""

    settings: Settings
    strangers: Strangers
    ours: frozenset[Domain]

    async def read(self, peer: ProvenPeer, target: str) -> Document | None:
        """The document at `target`; None when there is none.

        Raises:
            Unproven: what is there is no such document, or the guard forbids the address.
            Unavailable: nobody can tell now.
        """
        return self._document(await self._ask(Call(peer, "GET", target, _HEADERS)))

    async def finger(self, domain: Domain, target: str) -> Document | None:
        """The WebFinger document of the domain; it may be elsewhere, up to `MOST_REDIRECTS` away (RFC 7033 4.2).

        Raises as `read`, and:
            Unproven: the way leads too far, off https, to a host that nobody can own, or to ourselves.
        """
        peer = binding.stranger(domain)
        for number in range(MOST_REDIRECTS + 1):
            asked = self._ask(Call(peer, "GET", target, _HEADERS))
            answer = await (pointed_to(asked) if number else asked)
            if answer.status not in rules.REDIRECTS:
                return self._document(answer)
            url = rules.redirect_of(answer, peer.origin)
            self.require_foreign(url.origin.host)
            peer, target = binding.redirected(domain, url), url.target
        raise Unproven("WebFinger redirects too often")

    def require_foreign(self, host: Domain) -> None:
        """None for a host that a stranger may send us to; refuses with Unproven."""
        rules.require_foreign(host, self.ours, self.settings.allow_reserved)

    def _document(self, answer: Answer) -> Document | None:
        body = rules.require_document(answer)
        if body is None:
            return None
        life = rules.life_of(answer.headers, self.settings.least_kept, self.settings.most_kept)
        return Document(rules.understood(parse_object, body), life)

    async def require(self, peer: ProvenPeer, target: str) -> Document:
        """As `read`, of a document that something published points to: its absence proves nothing.

        Raises:
            Unproven: it is missing too.
        """
        document = await self.read(peer, target)
        if document is None:
            raise Unproven("a document that is pointed to is missing")
        return document

    async def _ask(self, call: Call) -> Answer:
        try:
            return await self.strangers.ask(call)
        except (Forbidden, TooLarge) as refusal:
            raise Unproven(refusal.detail) from None


@frozen
class KeySets:
    """The verification keys of other issuers, by the URL that they are published at."""

    documents: Documents
    memory: Memory[KeySet]
    fetched: Expiring[str, bool]
    timers: Timers

    async def of(self, peer: ProvenPeer, target: str, kid: str) -> KeySet:
        """The keys; fetched again, at most once a minute, when `kid` is not among them.

        Raises:
            Unproven: the key set is missing or unusable.
            Unavailable: it cannot be fetched now.
        """
        url = f"{peer.origin}{target}"

        async def fetch() -> Learned[KeySet]:
            try:
                document = await self.documents.require(peer, target)
                return Learned(document.read(parse_key_set), document.life)
            finally:
                self._mark(url)

        keys = await self.memory.ask(url, fetch)
        if rules.has_key(keys, kid) or self._is_fresh(url):
            return keys
        return await self.memory.renew(url, fetch)

    def _mark(self, url: str) -> None:
        self.fetched.put(url, True, self.timers.monotonic() + REFETCH_SECONDS)

    def _is_fresh(self, url: str) -> bool:
        return self.fetched.get(url, self.timers.monotonic()) is not None
