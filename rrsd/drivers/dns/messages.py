"""DNS messages: the question that is written, and what an answer to it says. The wire format is dnspython's."""

import struct
from collections.abc import Iterable
from datetime import timedelta
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.RRSIG
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV
import dns.rrset
from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.records import Host, Record, Service, Text, Tlsa

PAYLOAD = 1232
"""The largest datagram that is asked for and taken, in bytes: none of this size is fragmented."""
MOST_ANSWER = 16 << 10
"""The largest answer, in bytes: far more than the records that are asked for here need with their signatures."""
MOST_PARTS = 256
"""The most records in a whole answer, so that reading one is quick."""
WEAK = frozenset({1, 3, 5, 6, 7, 12})
"""Algorithms of signatures that prove nothing: RSA with MD5 or SHA-1, DSA, GOST R 34.10-2001 (RFC 8624 3.1, RFC 9905).
Resolvers differ in what they still accept."""
EXACT = frozenset({dns.rdatatype.TXT, dns.rdatatype.TLSA})
"""Types whose records count only where they stand: one that a wildcard makes was published for no name."""
HEADER = struct.Struct("!6H")


@frozen
class Query:
    """One question, and the message that asks it."""

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    number: int
    wire: bytes


@frozen
class Answer:
    """What a server says: `rcode`, whether it says that all is authentic, its extended errors (RFC 8914), records."""

    rcode: int
    authentic: bool
    extended: frozenset[int] = frozenset()
    records: tuple[Record, ...] = ()
    life: timedelta = timedelta()


def write_query(name: str, kind: str, number: int, *, unchecked: bool = False) -> Query:
    """The recursive question for the records of `name`, which asks to hear whether they were validated (RFC 6840 5.7).

    `unchecked` asks the resolver not to validate (RFC 4035 3.2.2).

    Raises:
        Malformed: no such name can be in DNS (RFC 1035 2.3.4).
    """
    flags = dns.flags.RD | dns.flags.AD | (dns.flags.CD if unchecked else 0)
    try:
        asked = dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError):
        raise Malformed("not a name in DNS") from None
    rdtype = dns.rdatatype.from_text(kind)
    message = dns.message.make_query(
        asked, rdtype, use_edns=0, want_dnssec=True, payload=PAYLOAD, flags=flags, id=number
    )
    return Query(asked, rdtype, number, message.to_wire())


def is_truncated(data: bytes) -> bool:
    """Whether the message says that there is more than fits in it (RFC 1035 4.1.1)."""
    return len(data) >= HEADER.size and bool(HEADER.unpack_from(data)[1] & dns.flags.TC)


def read_answer(query: Query, data: bytes) -> Answer:
    """What the answer says; its CNAMEs are followed as far as it holds them, sixteen at most.

    Raises:
        Malformed: it is no answer to this query (RFC 5452 9.1), or too large to be one.
    """
    if len(data) > MOST_ANSWER or len(data) < HEADER.size:
        raise Malformed("not the size of an answer")
    number, _, _, *counts = HEADER.unpack_from(data)
    if number != query.number or sum(counts) > MOST_PARTS:
        raise Malformed("not an answer to this question")
    try:
        message = dns.message.from_wire(data)
        if not isinstance(message, dns.message.QueryMessage) or not _is_asked(query, message):
            raise Malformed("an answer to another question")
        return _read(query, message)
    except (dns.exception.DNSException, ValueError):
        raise Malformed("not a DNS message") from None


def _is_asked(query: Query, message: dns.message.QueryMessage) -> bool:
    if not message.flags & dns.flags.QR or len(message.question) != 1:
        return False
    asked = message.question[0]
    return (asked.name, asked.rdtype, asked.rdclass) == (query.name, query.kind, dns.rdataclass.IN)


def _read(query: Query, message: dns.message.QueryMessage) -> Answer:
    chain = message.resolve_chaining()
    made_up = query.kind in EXACT and any(_is_synthesised(*each) for each in _signatures(message.answer))
    weak = any(each.algorithm in WEAK for _, each in _signatures(message.answer + message.authority))
    return Answer(
        int(message.rcode()),
        bool(message.flags & dns.flags.AD) and not weak,
        frozenset(int(option.code) for option in message.options if isinstance(option, dns.edns.EDEOption)),
        tuple(_records(chain.answer or ())) if not made_up else (),
        timedelta(seconds=chain.minimum_ttl),
    )


def _signatures(section: Iterable[dns.rrset.RRset]) -> Iterable[tuple[dns.name.Name, dns.rdtypes.ANY.RRSIG.RRSIG]]:
    for found in section:
        for each in found:
            if isinstance(each, dns.rdtypes.ANY.RRSIG.RRSIG):
                yield found.name, each


def _is_synthesised(owner: dns.name.Name, signature: dns.rdtypes.ANY.RRSIG.RRSIG) -> bool:
    """Whether a wildcard made what is signed: the signature covers fewer labels than the name has (RFC 4034 3.1.3)."""
    return int(signature.labels) < len(owner.labels) - 1


def _records(found: Iterable[dns.rdata.Rdata]) -> Iterable[Record]:
    for each in found:
        if isinstance(each, dns.rdtypes.ANY.TXT.TXT):
            yield Text(b"".join(each.strings))
        elif isinstance(each, dns.rdtypes.ANY.TLSA.TLSA):
            yield Tlsa(each.usage, each.selector, each.mtype, each.cert)
        elif isinstance(each, dns.rdtypes.IN.SRV.SRV):
            target = cast(dns.name.Name, each.target).to_text().lower().removesuffix(".")
            yield Service(each.priority, each.weight, each.port, target)
        elif isinstance(each, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA):
            yield Host(each.address)
