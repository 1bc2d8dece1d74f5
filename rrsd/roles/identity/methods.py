"""The ways in which a client's domain says which key is the client's (protocol 3)."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.proof import binding
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, ClientProof, Issuer, Strength
from rrsd.core.wire.tlsa import render_tlsa
from rrsd.core.wire.webfinger import PUBLIC_KEY_REL, client_acct, parse_public_keys
from rrsd.roles.identity import rules
from rrsd.roles.identity.documents import Documents
from rrsd.roles.identity.settings import Method, Settings
from rrsd.roles.identity.zones import UNASKED, Zones

Judge: TypeAlias = Callable[[Certificate, Instant, Instant], ClientProof]


@frozen
class Absent:
    """Nothing is published; that may be believed for `life`. `why` is a sentence for the operator."""

    life: timedelta
    why: str


@frozen
class Published:
    """Something is, and it decides: `judge` a certificate by it, now, for a proof until then.

    `seen` says in words what is published, `strength` what a proof by it rests on.
    """

    life: timedelta
    seen: tuple[str, ...]
    strength: Strength
    judge: Judge


Reading: TypeAlias = Absent | Published
Read: TypeAlias = Callable[[ClientIdentifier, Issuer | None], Awaitable[Reading]]


@define(eq=False)
class Methods:
    """The table of methods."""

    settings: Settings
    documents: Documents
    zones: Zones
    _table: Mapping[Method, Read] = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A further method is one member of `Method` and one line here.
        self._table = {
            Method.DANE: self._dane,
            Method.WEBFINGER: self._webfinger,
            Method.TXT: self._txt,
            Method.ISSUER: self._issuer,
        }

    async def read(self, method: Method, client: ClientIdentifier, issuer: Issuer | None) -> Reading:
        """What is published by `method` about the client, whose delegation is of `issuer`; one question at most.

        Raises:
            Unproven: what is published contradicts itself, or the domain is not one that can be asked.
            Unavailable: it cannot be asked now.
        """
        return await self._table[method](client, issuer)

    def place(self, method: Method, client: ClientIdentifier) -> str:
        """Where `method` looks."""
        return {
            Method.DANE: f"TLSA {client}",
            Method.WEBFINGER: f"https://{client.domain}{_finger(client)}",
            Method.TXT: f"TXT {client}",
            Method.ISSUER: "the delegation's issuer",
        }[method]

    async def _dane(self, client: ClientIdentifier, issuer: Issuer | None) -> Reading:
        found = await self.zones.tlsa(client)
        records = found.value
        if not records:
            return Absent(found.life, "no TLSA record" if self.zones.validates else UNASKED)
        return Published(
            found.life,
            tuple(map(render_tlsa, records)),
            Strength.DNSSEC,
            lambda certificate, now, until: binding.prove_client_by_dane(certificate, records, now, until),
        )

    async def _webfinger(self, client: ClientIdentifier, issuer: Issuer | None) -> Reading:
        if client.domain in self.documents.ours:
            return Absent(self.settings.most_kept, "our own WebFinger names our own agent only")
        asked = client_acct(client)
        document = await self.documents.finger(client.domain, _finger(client))
        if document is None:
            return Absent(self.settings.most_kept, "WebFinger answers 404")
        hashes = document.read(lambda content: parse_public_keys(content, asked))
        if not hashes:
            return Absent(document.life, "WebFinger knows no key of the client")
        return Published(
            document.life,
            tuple(each.hex for each in hashes),
            Strength.TLS,
            lambda certificate, _, until: binding.prove_client_by_webfinger(certificate, hashes, until),
        )

    async def _txt(self, client: ClientIdentifier, issuer: Issuer | None) -> Reading:
        found = await self.zones.keys(client)
        keys = found.value
        if keys is None:
            return Absent(found.life, "no TXT record of this protocol")
        return Published(
            found.life,
            tuple(each.hex for each in keys.hashes),
            keys.strength,
            lambda certificate, _, until: binding.prove_client_by_txt(certificate, keys.hashes, until, keys.strength),
        )

    async def _issuer(self, client: ClientIdentifier, issuer: Issuer | None) -> Reading:
        life = self.settings.most_kept
        if issuer is None or issuer.origin.host != client.domain:
            return Absent(life, "the issuer's host is not the client's domain")
        return Published(
            life,
            (str(issuer),),
            Strength.ISSUER,
            lambda certificate, _, until: binding.prove_client_by_issuer(certificate, issuer, until),
        )


def _finger(client: ClientIdentifier) -> str:
    return rules.webfinger_target(client_acct(client), PUBLIC_KEY_REL)
