"""Questions and answers over the internet in memory: verdicts, hostile answers, the ways to fail."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.records import Host, Records, RecordType, Service, Text, Tlsa, Verdict
from rrsd.drivers.dns.client import Client
from rrsd.drivers.dns.exchange import Exchange
from rrsd.drivers.dns.messages import Answer, is_truncated, read_answer, write_query
from rrsd.drivers.dns.places import Place
from rrsd.runtime.timers import Timers
from tests.support.internet import Internet
from tests.support.zones import DOMAIN, OPEN_RESOLVER, RESOLVER, Zones

NAME = "_rra.bar.test"
CERTIFICATE = "ab" * 32


class ClientCase(SynchronousTestCase):
    """A client on bar.test's host, and the resolver on its loopback."""

    def setUp(self) -> None:
        """Nothing is published."""
        self.internet = Internet(Clock())
        self.zones = Zones(self.internet)
        self.host = self.internet.host("bar.test", "20.0.0.2")
        self.client = self.client_of(RESOLVER)

    def client_of(self, *servers: str, validating: bool = True) -> Client:
        """A client that asks these."""
        places = tuple(Place(server, DOMAIN) for server in servers)
        return Client(Exchange(self.host.reactor, Timers(self.internet.clock)), lambda: places, validating)

    def begin(self, name: str = NAME, kind: RecordType = RecordType.TXT) -> Deferred[Records]:
        """A question under way."""
        return self.internet.run(self.client.ask(name, kind))

    def ask(self, name: str = NAME, kind: RecordType = RecordType.TXT) -> Records:
        """What the client makes of the answer; no socket and no timer stays behind."""
        records = self.successResultOf(self.begin(name, kind))
        self.require_tidy()
        return records

    def require_tidy(self) -> None:
        """Only the resolvers listen."""
        self.assertEqual({address for address, _ in self.internet.ports}, {RESOLVER, OPEN_RESOLVER})
        self.assertEqual([wire for wire in self.internet.wires if wire.connected], [])
        self.assertEqual(self.internet.clock.getDelayedCalls(), [])


class Verdicts(ClientCase):
    """What an answer is worth."""

    def test_types(self) -> None:
        """Each type is read as it was published."""
        self.zones.publish(NAME, "TXT", "a" * 300, "second")
        self.zones.publish(NAME, "TLSA", f"3 1 1 {CERTIFICATE}", "4 9 9 00")
        self.zones.publish(NAME, "SRV", "1 2 443 RS.bar.test.", "0 0 0 .")
        self.zones.publish(NAME, "A", "20.0.0.9")
        self.zones.publish(NAME, "AAAA", "2a00::1")
        expected = {
            RecordType.TXT: {Text(b"a" * 300), Text(b"second")},
            RecordType.TLSA: {Tlsa(3, 1, 1, bytes.fromhex(CERTIFICATE)), Tlsa(4, 9, 9, b"\0")},
            RecordType.SRV: {Service(1, 2, 443, "rs.bar.test"), Service(0, 0, 0, "")},
            RecordType.A: {Host("20.0.0.9")},
            RecordType.AAAA: {Host("2a00::1")},
        }
        for kind, records in expected.items():
            found = self.ask(kind=kind)
            self.assertEqual((found.verdict, set(found.records)), (Verdict.SECURE, records))
            self.assertEqual(found.life, timedelta(minutes=5))

    def test_o05_insecure(self) -> None:
        """O-05: without the AD bit an answer is insecure."""
        self.zones.publish(NAME, "TXT", "x", verdict=Verdict.INSECURE)
        self.assertEqual(self.ask(), Records(Verdict.INSECURE, timedelta(minutes=5), (Text(b"x"),)))

    def test_o06_bogus(self) -> None:
        """O-06: what fails validation is bogus, never empty and never insecure."""
        self.zones.publish(NAME, "TXT", "x", verdict=Verdict.BOGUS)
        found = self.ask()
        self.assertEqual((found.verdict, found.records), (Verdict.BOGUS, ()))
        self.assertIn("validation failed", found.reason)

    def test_o06_bogus_without_a_word(self) -> None:
        """O-06: a resolver that does not say why is asked again without validation; an answer then means bogus."""
        self.zones.publish(NAME, "TXT", "x", verdict=Verdict.BOGUS)
        self.zones.spoil = _without_reason
        self.assertEqual(self.ask().verdict, Verdict.BOGUS)
        self.zones.fake(NAME, Verdict.TEMPORARY)
        self.assertEqual(self.ask().verdict, Verdict.TEMPORARY)

    def test_outage_that_ends(self) -> None:
        """An outage that is over by the time of the next question is not taken for a forgery."""
        self.zones.publish(NAME, "TXT", "x")

        def spoil(answer: bytes) -> bytes:
            self.zones.spoil = None
            failed = dns.message.from_wire(answer)
            failed.answer.clear()
            failed.set_rcode(dns.rcode.SERVFAIL)
            return failed.to_wire()

        self.zones.spoil = spoil
        self.assertEqual(self.ask(), Records(Verdict.SECURE, timedelta(minutes=5), (Text(b"x"),)))

    def test_temporary(self) -> None:
        """A resolver that reaches nobody is no proof of anything."""
        self.zones.fake(NAME, Verdict.TEMPORARY)
        self.assertEqual(self.ask().verdict, Verdict.TEMPORARY)

    def test_nothing_there(self) -> None:
        """NXDOMAIN and NODATA have the verdict of their denial, and live as long as the zone's SOA says."""
        self.assertEqual(self.ask(), Records(Verdict.INSECURE, timedelta()))
        self.zones.sign("bar.test")
        self.assertEqual(self.ask(), Records(Verdict.SECURE, timedelta()))
        self.zones.publish(NAME, "TXT", "x")
        self.assertEqual(self.ask(kind=RecordType.TLSA), Records(Verdict.SECURE, timedelta()))

    def test_alias(self) -> None:
        """CNAMEs are followed as far as the answer holds them; one that is insecure makes the whole so."""
        self.zones.publish(NAME, "CNAME", "x.foo.test.", ttl=60)
        self.zones.publish("x.foo.test", "TXT", "there")
        self.assertEqual(self.ask(), Records(Verdict.SECURE, timedelta(minutes=1), (Text(b"there"),)))
        self.zones.publish(NAME, "CNAME", "x.foo.test.", verdict=Verdict.INSECURE)
        self.assertEqual(self.ask().verdict, Verdict.INSECURE)

    def test_o07_ad_from_elsewhere(self) -> None:
        """O-07: the AD bit of a server that is not on this host is ignored, and its SERVFAIL is no more than that."""
        self.zones.publish(NAME, "TXT", "x")
        self.client = self.client_of(OPEN_RESOLVER, validating=False)
        self.assertEqual(self.ask().verdict, Verdict.INSECURE)
        self.zones.fake(NAME, Verdict.BOGUS)
        self.assertEqual(self.ask().verdict, Verdict.TEMPORARY)

    def test_impossible_name(self) -> None:
        """A name that cannot be in DNS is never asked for and never believed."""
        for name in ("a" * 64 + ".bar.test", "a..bar.test", ".".join(["a" * 60] * 5), "\u2603.test"):
            self.assertIn(self.ask(name).verdict, (Verdict.BOGUS, Verdict.INSECURE), name)
        self.assertEqual([each for each in self.zones.asked if "aa" in each], [])


class Attacks(ClientCase):
    """Somebody answers in the resolver's place, or it answers badly."""

    def setUp(self) -> None:
        """The truth is published."""
        super().setUp()
        self.zones.publish(NAME, "TXT", "true")

    def require_true(self, *, streams: int) -> None:
        """The truth is what comes out, by that many streams."""
        self.assertEqual(self.ask().records, (Text(b"true"),))
        self.assertEqual(len(self.internet.connections), streams)

    def forge(self, change: Callable[[dns.message.Message], None], source: tuple[str, int] | None = None) -> None:
        """A forged answer reaches the client's socket before the true one."""
        query = dns.message.from_wire(write_query(NAME, "TXT", 0).wire)

        def spoil(answer: bytes) -> bytes:
            (target,) = (each for each in self.internet.ports if each[0] == "127.0.0.1")
            forged = dns.message.make_response(query)
            forged.id = dns.message.from_wire(answer).id
            forged.flags |= dns.flags.AD
            forged.answer.append(dns.rrset.from_text(f"{NAME}.", 300, "IN", "TXT", "forged"))
            change(forged)
            self.zones.spoil = None
            self.internet.datagrams.append((source or (RESOLVER, DOMAIN), target, forged.to_wire()))
            return answer

        self.zones.spoil = spoil

    def test_wrong_id(self) -> None:
        """An answer with another id is not taken; somebody guesses, so a stream decides."""

        def change(forged: dns.message.Message) -> None:
            forged.id ^= 1

        self.forge(change)
        self.require_true(streams=1)

    def test_wrong_source(self) -> None:
        """An answer from another address or port is not even seen."""
        for source in (("20.0.0.9", DOMAIN), (RESOLVER, 5353), ("127.0.0.1", DOMAIN)):
            self.forge(lambda forged: None, source)
            self.require_true(streams=0)

    def test_wrong_question(self) -> None:
        """An answer to another question is not taken, whatever it holds."""

        def change(forged: dns.message.Message) -> None:
            forged.question = dns.message.make_query("other.test.", "TXT").question

        self.forge(change)
        self.require_true(streams=1)

    def test_no_answer_at_all(self) -> None:
        """The question sent back is no answer."""

        def change(forged: dns.message.Message) -> None:
            forged.flags &= ~dns.flags.QR

        self.forge(change)
        self.require_true(streams=1)

    def test_two_answers(self) -> None:
        """The first that fits counts; a second finds nobody."""
        self.zones.spoil = lambda answer: self._twice(answer)
        self.require_true(streams=0)

    def _twice(self, answer: bytes) -> bytes:
        (target,) = (each for each in self.internet.ports if each[0] == "127.0.0.1")
        self.internet.datagrams.append(((RESOLVER, DOMAIN), target, answer))
        return answer

    def test_record_of_another_name(self) -> None:
        """Records that nobody asked for are not seen."""

        def change(forged: dns.message.Message) -> None:
            forged.answer = [dns.rrset.from_text("other.test.", 300, "IN", "TXT", "forged")]

        self.forge(change)
        self.assertEqual(self.ask().records, ())

    def test_truncation(self) -> None:
        """What does not fit into a datagram comes by a stream."""
        self.zones.publish(NAME, "TXT", "x" * 3000)
        self.assertEqual(self.ask().records, (Text(b"x" * 3000),))
        self.assertEqual(self.internet.connections, [("20.0.0.2", RESOLVER, DOMAIN)])

    def test_garbage(self) -> None:
        """Garbage from the resolver is an outage."""
        for garbage in (b"", b"\0", b"\xff" * 40, b"\0" * 1300):
            self.zones.spoil = lambda _, garbage=garbage: garbage
            self.assertEqual(self.ask().verdict, Verdict.TEMPORARY, garbage)

    def test_too_long(self) -> None:
        """F-09: an answer beyond all measure is not read."""
        self.zones.publish(NAME, "TXT", "x" * 17000)
        self.assertEqual(self.ask().verdict, Verdict.TEMPORARY)

    def test_too_many_parts(self) -> None:
        """Nor is one of very many records."""
        self.zones.publish(NAME, "A", *(f"20.1.{number >> 8}.{number & 255}" for number in range(300)))
        self.assertEqual(self.ask(kind=RecordType.A).verdict, Verdict.TEMPORARY)


class Silence(ClientCase):
    """Nobody answers, or not in time."""

    def test_nobody_there(self) -> None:
        """A resolver that was stopped is noticed at once."""
        del self.internet.ports[RESOLVER, DOMAIN]
        found = self.successResultOf(self.begin())
        self.assertEqual((found.verdict, found.reason), (Verdict.TEMPORARY, "the resolver is not there"))

    def test_lost_datagram(self) -> None:
        """A question that is lost is asked again."""
        self.zones.publish(NAME, "TXT", "x")
        self.zones.spoil = lambda _: None
        waiting = self.begin()
        self.zones.spoil = None
        self.internet.advance(3)
        self.assertEqual(self.successResultOf(waiting).records, (Text(b"x"),))
        self.require_tidy()

    def test_never(self) -> None:
        """After three tries it is given up."""
        self.zones.spoil = lambda _: None
        waiting = self.begin()
        self.internet.advance(8)
        self.assertNoResult(waiting)
        self.internet.advance(1)
        self.assertEqual(self.successResultOf(waiting).verdict, Verdict.TEMPORARY)
        self.require_tidy()

    def test_silent_stream(self) -> None:
        """A stream that says nothing, or ends, is an outage."""
        self.zones.publish(NAME, "TXT", "x" * 3000)
        self.zones.spoil = lambda answer: answer if len(self.internet.wires) == 0 else None
        waiting = self.begin()
        self.internet.advance(9)
        self.assertEqual(self.successResultOf(waiting).verdict, Verdict.TEMPORARY)

    def test_no_streams(self) -> None:
        """Nor does it help when nobody takes streams."""
        self.zones.publish(NAME, "TXT", "x" * 3000)
        del self.internet.listeners[RESOLVER, DOMAIN]
        self.assertEqual(self.ask().reason, "the resolver does not take streams")

    def test_next_server(self) -> None:
        """Where there are several, another one answers for the first."""
        self.zones.publish(NAME, "TXT", "x")
        self.client = self.client_of("20.0.0.99", OPEN_RESOLVER, validating=False)
        self.assertEqual(self.ask().records, (Text(b"x"),))

    def test_cancelled(self) -> None:
        """Whoever gives up leaves nothing behind."""
        self.zones.spoil = lambda _: None
        waiting = self.begin()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.internet.pump()
        self.require_tidy()


class Signatures(SynchronousTestCase):
    """What signatures say that the resolver does not: a wildcard's record, an algorithm that proves nothing."""

    def read(self, kind: str, data: str, *, algorithm: int = 13, labels: int = 3, owner: str = NAME) -> Answer:
        """An authentic answer with one signature like that."""
        query = write_query(NAME, kind, 1)
        response = dns.message.make_response(dns.message.from_wire(query.wire))
        response.flags |= dns.flags.AD
        signature = f"{kind} {algorithm} {labels} 300 20300101000000 20200101000000 1 bar.test. AAAA"
        response.answer += [
            dns.rrset.from_text(f"{owner}.", 300, "IN", kind, data),
            dns.rrset.from_text(f"{owner}.", 300, "IN", "RRSIG", signature),
        ]
        return read_answer(query, response.to_wire())

    def test_o06_wildcards(self) -> None:
        """A TXT or TLSA record of a wildcard is not seen, an address is, and so is what stands at the name itself."""
        records = {"TXT": "x", "TLSA": f"3 1 1 {CERTIFICATE}", "A": "20.0.0.1", "SRV": "0 0 443 rs.bar.test."}
        for kind, data in records.items():
            seen = len(self.read(kind, data, labels=2).records)
            self.assertEqual(seen, 0 if kind in ("TXT", "TLSA") else 1, kind)
            self.assertEqual(len(self.read(kind, data).records), 1, kind)

    def test_o06_weak_algorithms(self) -> None:
        """RSA with MD5 or SHA-1, DSA and GOST prove nothing, whatever the resolver accepts."""
        for algorithm in (1, 3, 5, 6, 7, 12):
            self.assertFalse(self.read("TXT", "x", algorithm=algorithm).authentic, algorithm)
        for algorithm in (8, 10, 13, 14, 15, 16):
            self.assertTrue(self.read("TXT", "x", algorithm=algorithm).authentic, algorithm)


class Reading(SynchronousTestCase):
    """The reader of answers."""

    @settings(deadline=None)
    @given(st.binary(max_size=600))
    def test_anything(self, data: bytes) -> None:
        """Whatever bytes come, it is an answer or malformed."""
        query = write_query(NAME, "TXT", 1)
        is_truncated(data)
        with contextlib.suppress(Malformed):
            self.assertIsInstance(read_answer(query, data), Answer)

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """So it is with answers of which some bytes were changed, lost or added."""
        kind = data.draw(st.sampled_from(sorted(_SAMPLES)))
        query = write_query(NAME, kind, 7)
        response = dns.message.make_response(dns.message.from_wire(query.wire))
        response.answer.append(dns.rrset.from_text(f"{NAME}.", 300, "IN", kind, *_SAMPLES[kind]))
        wire = bytearray(response.to_wire())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(2, len(wire) - 1))
            wire[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        with contextlib.suppress(Malformed):
            self.assertIsInstance(read_answer(query, bytes(wire)), Answer)


_SAMPLES = {
    "TXT": ['"one" "two"', '"three"'],
    "TLSA": [f"3 1 1 {CERTIFICATE}"],
    "SRV": ["0 0 443 rs.bar.test."],
    "A": ["20.0.0.1"],
    "AAAA": ["2a00::1"],
    "CNAME": ["rs.bar.test."],
}


def _without_reason(answer: bytes) -> bytes:
    message = dns.message.from_wire(answer)
    message.use_edns(0)
    return message.to_wire()
