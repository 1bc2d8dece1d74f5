"""All the zones of the internet in memory, and the resolver that every host there has on its loopback.

zones = Zones(internet)
zones.sign("bar.test")                                          # what is below is secure, denials too
zones.publish("_rra.bar.test", "TXT", "v=RRA1; …")               # secure, as its zone is
zones.publish("_rra.foo.test", "TXT", "…", verdict=Verdict.INSECURE)
zones.fake("_rra.bar.test", Verdict.BOGUS)                       # or TEMPORARY: any question about that name
"""

from collections.abc import Callable
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from attrs import define, field, frozen
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from typing_extensions import override

from rrsd.core.values.records import Verdict
from tests.support.internet import HostReactor, Internet

RESOLVER = "127.0.0.53"
"""Where the validating resolver of every host is."""
OPEN_RESOLVER = "20.53.53.53"
"""The same one at an address that is not this host's: its AD bit is worth nothing."""
DOMAIN = 53
_BOGUS, _UNREACHABLE = 6, 22
_ORDER = (Verdict.SECURE, Verdict.INSECURE, Verdict.BOGUS, Verdict.TEMPORARY)


@frozen
class Published:
    """Records of one name and type."""

    data: tuple[str, ...]
    verdict: Verdict
    ttl: int


@define(eq=False)
class Zones:
    """What DNS says. Addresses of `internet.names` are there too, insecure unless their zone is signed.

    `asked` holds every question as "TYPE name". `spoil` changes the wire format of every answer, or drops it with None.
    """

    internet: Internet
    signed: set[str] = field(factory=set)
    asked: list[str] = field(factory=list)
    spoil: Callable[[bytes], bytes | None] | None = None
    _records: dict[tuple[str, str], Published] = field(factory=dict)
    _faked: dict[str, Verdict] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for address in (RESOLVER, OPEN_RESOLVER):
            reactor = HostReactor(self.internet, address)
            reactor.listenUDP(DOMAIN, _Datagrams(self))
            reactor.listenTCP(DOMAIN, Factory.forProtocol(lambda: _Streams(self)))

    def sign(self, zone: str) -> None:
        """Everything in the zone is secure from now on, what is not there too."""
        self.signed.add(zone)

    def publish(
        self, name: str, kind: str, *data: str, verdict: Verdict | None = None, ttl: int = 300, quote: bool = True
    ) -> None:
        """The records of that name and type, in the place of earlier ones; TXT data is quoted here unless told not to.

        Without `verdict` they are secure.
        """
        quoted = tuple(_quoted(each) for each in data) if kind == "TXT" and quote else data
        self._records[name.lower(), kind] = Published(quoted, verdict or Verdict.SECURE, ttl)

    def withdraw(self, name: str, kind: str) -> None:
        """No such records any more."""
        self._records.pop((name.lower(), kind), None)

    def fake(self, name: str, verdict: Verdict | None) -> None:
        """Any answer about the name has that verdict; None ends it."""
        self._faked.pop(name.lower(), None)
        if verdict is not None:
            self._faked[name.lower()] = verdict

    def answer(self, wire: bytes, *, whole: bool) -> bytes | None:
        """The resolver's answer, truncated where it is not `whole` and does not fit; None when it says nothing."""
        query = dns.message.from_wire(wire)
        name, kind = _key(query)
        if not query.flags & dns.flags.CD:
            self.asked.append(f"{kind} {name}")
        response = dns.message.make_response(query, recursion_available=True)
        if self._bridged(name, kind) is None and (name, kind) not in self._records:
            return None
        self._fill(response, query, name, kind)
        answered = response.to_wire(max_size=65535)
        if not whole and len(answered) > query.payload:
            answered = _head(response)
        return self.spoil(answered) if self.spoil is not None else answered

    def _fill(self, response: dns.message.Message, query: dns.message.Message, name: str, kind: str) -> None:
        verdicts = []
        for _ in range(8):
            verdicts.append(self._verdict(name, kind))
            if (name, "CNAME") not in self._records:
                break
            alias = self._records[name, "CNAME"]
            response.answer.append(dns.rrset.from_text(f"{name}.", alias.ttl, "IN", "CNAME", *alias.data))
            name = alias.data[0].removesuffix(".")
        verdict = max(verdicts, key=_ORDER.index)
        unchecked = bool(query.flags & dns.flags.CD)
        if verdict is Verdict.TEMPORARY or (verdict is Verdict.BOGUS and not unchecked):
            _fail(response, _BOGUS if verdict is Verdict.BOGUS else _UNREACHABLE)
            return
        if verdict is Verdict.SECURE:
            response.flags |= dns.flags.AD
        self._add(response, name, kind)

    def _add(self, response: dns.message.Message, name: str, kind: str) -> None:
        found = self._records.get((name, kind))
        if found is None:
            addresses = self._bridged(name, kind, take=True) or []
            found = Published(tuple(addresses), Verdict.INSECURE, 0)
        if found.data:
            response.answer.append(dns.rrset.from_text(f"{name}.", found.ttl, "IN", kind, *found.data))
            return
        if not any(each == name or each.endswith(f".{name}") for each, _ in self._records):
            response.set_rcode(dns.rcode.NOERROR if name in self.internet.names.table else dns.rcode.NXDOMAIN)
        zone = ".".join(name.split(".")[-2:])
        soa = dns.rrset.from_text(f"{zone}.", 60, "IN", "SOA", f"ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 0")
        response.authority.append(soa)

    def _verdict(self, name: str, kind: str) -> Verdict:
        if name in self._faked:
            return self._faked[name]
        found = self._records.get((name, kind)) or self._records.get((name, "CNAME"))
        if found is not None:
            return found.verdict
        inside = any(name == zone or name.endswith(f".{zone}") for zone in self.signed)
        return Verdict.SECURE if inside else Verdict.INSECURE

    def _bridged(self, name: str, kind: str, *, take: bool = False) -> list[str] | None:
        """The addresses that the table of `internet.names` has; None where that name never answers."""
        if kind not in ("A", "AAAA"):
            return []
        names = self.internet.names
        addresses = names.table.get(name, [])
        if take and kind == "A":
            names.asked.append(name)
            if name in names.later:
                names.table[name] = names.later.pop(name)
        return None if addresses is None else [each for each in addresses if (":" in each) is (kind == "AAAA")]


class _Datagrams(DatagramProtocol):
    transport: Any

    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    @override
    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        answer = self._zones.answer(datagram, whole=False)
        if answer is not None:
            self.transport.write(answer, addr)


class _Streams(Protocol):
    transport: Any

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._received = b""

    @override
    def dataReceived(self, data: bytes) -> None:
        self._received += data
        length = int.from_bytes(self._received[:2], "big")
        if len(self._received) < 2 + length:
            return
        answer = self._zones.answer(self._received[2:], whole=True)
        if answer is not None:
            self.transport.write(len(answer).to_bytes(2, "big") + answer)


def _head(response: dns.message.Message) -> bytes:
    """What is sent in a datagram in the place of an answer that does not fit."""
    response.answer.clear()
    response.flags |= dns.flags.TC
    return response.to_wire()


def _fail(response: dns.message.Message, extended: int) -> None:
    response.answer.clear()
    response.set_rcode(dns.rcode.SERVFAIL)
    response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode(extended))])


def _key(query: dns.message.Message) -> tuple[str, str]:
    (question,) = query.question
    return question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)


def _quoted(text: str) -> str:
    """The text as character strings of at most 255 bytes each (RFC 1035 3.3.14)."""
    pieces = [text[at : at + 255] for at in range(0, len(text), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
