"""Who speaks for a mail domain: three ways to find its issuer, and the metadata that have to agree (protocol 2)."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.proof import binding
from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Discovery, Introduction, Issuer, parse_issuer
from rrsd.core.wire.metadata import parse_issuer_metadata
from rrsd.core.wire.webfinger import ISSUER_REL, acct, parse_issuer_link
from rrsd.roles.identity import rules
from rrsd.roles.identity.documents import Document, Documents, pointed_to
from rrsd.roles.identity.memory import Learned
from rrsd.roles.identity.methods import Absent
from rrsd.roles.identity.ports import Timers
from rrsd.roles.identity.settings import Settings
from rrsd.roles.identity.zones import UNASKED, Zones, issuer_name

METADATA = "oauth-authorization-server"
WAYS = (Discovery.DNSSEC, Discovery.WEBFINGER, Discovery.WELL_KNOWN)
"""In the order in which they are asked; the first one that is published decides."""


@frozen
class Named:
    """The issuer that a domain names; `document` is the metadata where finding them was the way."""

    issuer: Issuer
    life: timedelta
    document: Document | None = None


Way: TypeAlias = Callable[[Domain], Awaitable[Named | Absent]]


@define(eq=False)
class Introductions:
    """Asks a domain for its issuer, and the issuer for its metadata."""

    settings: Settings
    documents: Documents
    zones: Zones
    timers: Timers
    _ways: Mapping[Discovery, Way] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ways = {
            Discovery.DNSSEC: self._by_record,
            Discovery.WEBFINGER: self._by_webfinger,
            Discovery.WELL_KNOWN: self._by_metadata,
        }

    async def find(self, domain: Domain) -> Learned[Introduction]:
        """Who speaks for the domain, for as long as everything that said so may be kept.

        Raises:
            Unproven: what is published contradicts itself.
            Unknown: nothing is.
            Unavailable: something cannot be asked now; that is never taken for an absence (F-14). `is_nobody` when the
                domain names no issuer in DNS and has no web server of its own.
        """
        life = self.settings.most_kept
        for way in WAYS:
            found = await self.read(way, domain)
            life = min(life, found.life)
            if isinstance(found, Named):
                return await self.confirm(domain, way, found, life)
        raise Unknown(f"{domain} publishes no issuer")

    async def read(self, way: Discovery, domain: Domain) -> Named | Absent:
        """The issuer that the domain names in that way; refuses as `find`."""
        return await self._ways[way](domain)

    def place(self, way: Discovery, domain: Domain) -> str:
        """Where a way looks."""
        if way is Discovery.DNSSEC:
            return f"TXT {issuer_name(domain)}"
        return f"https://{domain}{_finger(domain) if way is Discovery.WEBFINGER else _own(domain)}"

    async def confirm(self, domain: Domain, way: Discovery, found: Named, life: timedelta) -> Learned[Introduction]:
        """The introduction, once the issuer's metadata agree (RFC 8414 3.3); refuses as `find`."""
        metadata = found.document
        if metadata is None:
            metadata = await pointed_to(self._metadata(domain, found.issuer))
        life = min(life, metadata.life)
        said = metadata.read(parse_issuer_metadata)
        until = self.timers.now() + life
        return Learned(binding.prove_introduction(domain, found.issuer, said, until, way), life)

    async def _by_record(self, domain: Domain) -> Named | Absent:
        found = await self.zones.issuer(domain)
        if found.value is not None:
            return Named(found.value, found.life)
        return Absent(found.life, "no secure TXT record" if self.zones.validates else UNASKED)

    async def _by_webfinger(self, domain: Domain) -> Named | Absent:
        link = await self.documents.finger(domain, _finger(domain))
        if link is None:
            return Absent(self.settings.most_kept, "WebFinger answers 404")
        return Named(link.read(lambda content: parse_issuer_link(content, _postmaster(domain))), link.life)

    async def _by_metadata(self, domain: Domain) -> Named | Absent:
        document = await pointed_to(self.documents.read(binding.stranger(domain), _own(domain)))
        if document is None:
            return Absent(self.settings.most_kept, "no metadata at the domain itself")
        return Named(parse_issuer(f"https://{domain}"), document.life, document)

    async def _metadata(self, domain: Domain, issuer: Issuer) -> Document:
        self.documents.require_foreign(issuer.origin.host)
        where = issuer.well_known(METADATA)
        return await self.documents.require(binding.issuer_of(domain, issuer), where.target)


def _postmaster(domain: Domain) -> str:
    return acct(f"{rules.POSTMASTER}@{domain}")


def _finger(domain: Domain) -> str:
    return rules.webfinger_target(_postmaster(domain), ISSUER_REL)


def _own(domain: Domain) -> str:
    return parse_issuer(f"https://{domain}").well_known(METADATA).target
