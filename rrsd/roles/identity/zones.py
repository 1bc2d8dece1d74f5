"""What domains publish in DNS: the issuer of a mail domain, the keys of a client."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Issuer, Strength
from rrsd.core.values.records import Records, RecordType, Text, Tlsa, Verdict
from rrsd.core.wire.texts import ISSUER_LABEL, parse_client_keys, parse_issuer_text
from rrsd.roles.identity import rules
from rrsd.roles.identity.memory import Learned
from rrsd.roles.identity.ports import Names
from rrsd.roles.identity.settings import Settings

UNASKED = "not asked: [dns] has no validating resolver"
"""Why nothing is published that has to be secure, where nothing can be."""


@frozen
class Keys:
    """The keys in a client's TXT record, and how far they may be believed."""

    hashes: tuple[Digest, ...]
    strength: Strength


@frozen
class Zones:
    """Questions to DNS, one for each method, and what their answers mean here.

    `validates` says whether a validating resolver was configured. Without one nothing is ever secure, so that what
    counts only when it is secure is not asked for at all.
    """

    settings: Settings
    names: Names
    validates: bool

    async def issuer(self, domain: Domain) -> Learned[Issuer | None]:
        """The issuer in the secure TXT record at `_rrs`; None without one, an insecure record included.

        Raises:
            Unproven: the answer is bogus, or there is not one well-formed record.
            Unavailable: DNS cannot answer now.
        """
        if not self.validates:
            return Learned(None, self.settings.most_kept)
        answer = await self._ask(issuer_name(domain), RecordType.TXT)
        texts = _texts(answer) if answer.verdict is Verdict.SECURE else ()
        return Learned(rules.understood(parse_issuer_text, texts), self._life(answer))

    async def tlsa(self, client: ClientIdentifier) -> Learned[tuple[Tlsa, ...]]:
        """The secure TLSA records at the client's name, none when there are none.

        Raises:
            Unproven: the answer is bogus, or there are records that DNSSEC does not protect (O-05).
            Unavailable: DNS cannot answer now.
        """
        if not self.validates:
            return Learned((), self.settings.most_kept)
        answer = await self._ask(str(client), RecordType.TLSA)
        records = tuple(record for record in answer.records if isinstance(record, Tlsa))
        rules.require_secure(answer)
        return Learned(records, self._life(answer))

    async def keys(self, client: ClientIdentifier) -> Learned[Keys | None]:
        """The keys in the TXT record at the client's name; None without one.

        Raises:
            Unproven: the answer is bogus, there is not one well-formed record, or it is insecure and
                `[identity] require_dnssec` is on.
            Unavailable: DNS cannot answer now.
        """
        answer = await self._ask(str(client), RecordType.TXT)
        hashes = rules.understood(parse_client_keys, _texts(answer))
        if hashes is None:
            return Learned(None, self._life(answer))
        strength = rules.strength_of(answer, self.settings.require_dnssec)
        return Learned(Keys(hashes, strength), self._life(answer))

    async def _ask(self, name: str, kind: RecordType) -> Records:
        return rules.require_answer(await self.names.ask(name, kind))

    def _life(self, answer: Records) -> timedelta:
        return rules.bounded(answer.life, self.settings.least_kept, self.settings.most_kept)


def issuer_name(domain: Domain) -> str:
    """Where the domain's issuer record is."""
    return f"{ISSUER_LABEL}.{domain}"


def _texts(answer: Records) -> Sequence[Text]:
    return [record for record in answer.records if isinstance(record, Text)]
