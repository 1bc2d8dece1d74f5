"""TLSA records: which can be used, and whether one is about a certificate (RFC 6698 2.1, RFC 7671 4.1, 5, 9)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest
from rrsd.core.values.records import Tlsa
from rrsd.core.wire.x509 import MOST, public_key_of

TRUST_ANCHOR, END_ENTITY = 2, 3
WHOLE_CERTIFICATE, PUBLIC_KEY = 0, 1
EXACT, SHA256, SHA512 = 0, 1, 2

_DIGESTS: Mapping[int, Callable[[bytes], bytes]] = {
    EXACT: bytes,
    SHA256: lambda data: hashlib.sha256(data).digest(),
    SHA512: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {SHA256: 32, SHA512: 64}


def usable(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that can be matched here.

    Usages 0 and 1 need a public authority, which no client with an underscore in its name has; unknown numbers and
    data of another length than the digest's are unusable (RFC 7671 4.1). Of digests of one usage and selector only
    the strongest counts, so that nobody is held to the weaker one (RFC 7671 9); exact data count always.
    """
    known = [record for record in records if _is_known(record)]
    return tuple(record for record in known if record.matching in (EXACT, _strongest(record, known)))


def _is_known(record: Tlsa) -> bool:
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (WHOLE_CERTIFICATE, PUBLIC_KEY):
        return False
    if record.matching == EXACT:
        return 0 < len(record.data) <= MOST
    return len(record.data) == _LENGTHS.get(record.matching, -1)


def _strongest(record: Tlsa, known: Sequence[Tlsa]) -> int:
    return max(each.matching for each in known if (each.usage, each.selector) == (record.usage, record.selector))


def matches(record: Tlsa, der: bytes) -> bool:
    """Whether the usable record is about the certificate `der`; what is no certificate matches nothing."""
    try:
        selected = der if record.selector == WHOLE_CERTIFICATE else public_key_of(der)
    except Malformed:
        return False
    return _DIGESTS[record.matching](selected) == record.data


def of_key(spki: Digest) -> Tlsa:
    """The record that is published for a key: 3 1 1, which a new certificate of the same key leaves alone."""
    return Tlsa(END_ENTITY, PUBLIC_KEY, SHA256, spki.raw)


def render_tlsa(record: Tlsa) -> str:
    """The record's data as a zone file writes them (RFC 6698 2.2)."""
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
