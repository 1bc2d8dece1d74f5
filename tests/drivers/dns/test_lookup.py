"""Answers that are kept, shared and counted, and hosts that become places."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.records import Host, Record, Records, RecordType, Text, Verdict
from rrsd.drivers.dns.lookup import Lookup
from rrsd.drivers.dns.places import Place, is_loopback, parse_server, system_servers
from rrsd.drivers.dns.resolver import Resolver, ValidatedAddresses
from rrsd.drivers.dns.settings import Settings
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.timers import Timers

MINUTE = timedelta(minutes=1)
A, AAAA, TXT = RecordType.A, RecordType.AAAA, RecordType.TXT


@define(eq=False)
class Oracle:
    """A source that answers when told to."""

    asked: list[tuple[str, RecordType]] = field(factory=list)
    waiting: list[Deferred[Records]] = field(factory=list)
    stopped: bool = False

    async def ask(self, name: str, kind: RecordType) -> Records:
        """Wait for the test to answer."""
        self.asked.append((name, kind))
        self.waiting.append(Deferred())
        return await self.waiting[-1]

    async def stop(self) -> None:
        """Remember that it was called."""
        self.stopped = True

    def answer(self, records: Records) -> None:
        """What the first one who waits is told."""
        self.waiting.pop(0).callback(records)


def secure(*records: Record, life: timedelta = MINUTE) -> Records:
    """A secure answer."""
    return Records(Verdict.SECURE, life, records)


class LookupCase(SynchronousTestCase):
    """A lookup over an oracle."""

    def setUp(self) -> None:
        """An empty memory."""
        self.clock, self.oracle = Clock(), Oracle()
        self.lookup = self.lookup_with()

    def lookup_with(self, **changes: Any) -> Lookup:
        """A lookup with other settings."""
        return Lookup(self.oracle, Timers(self.clock), evolve(Settings(), **changes))

    def begin(self, name: str = "bar.test", kind: RecordType = TXT) -> Deferred[Records]:
        """A question."""
        return deferred_of(self.lookup.ask(name, kind))

    def ask(self, answer: Records | None = None, name: str = "bar.test", kind: RecordType = TXT) -> Records:
        """A question, and what it comes to with that answer, or without any."""
        waiting = self.begin(name, kind)
        if answer is not None:
            self.oracle.answer(answer)
        return self.successResultOf(waiting)


class Keeping(LookupCase):
    """How long answers live."""

    def test_o14_kept_for_its_life(self) -> None:
        """O-14: an answer is kept as its zone says, and tells what is left of its life."""
        first = secure(Text(b"x"))
        self.assertEqual(self.ask(first), first)
        self.clock.advance(59)
        self.assertEqual(self.ask(name="BAR.test"), evolve(first, life=timedelta(seconds=1)))
        self.clock.advance(1)
        self.ask(first)
        self.assertEqual(len(self.oracle.asked), 2)

    def test_floor_and_ceiling(self) -> None:
        """Neither a zone of no life nor one of eternal life has its way; nobody is told that it lives longer."""
        self.assertEqual(self.ask(secure(life=timedelta())).life, timedelta())
        self.clock.advance(4)
        self.assertEqual(self.ask().life, timedelta())
        self.clock.advance(1)
        self.ask(secure(life=timedelta(days=1)))
        self.clock.advance(3599)
        self.ask()
        self.clock.advance(1)
        self.ask(secure())
        self.assertEqual(len(self.oracle.asked), 3)

    def test_failures_are_kept_briefly(self) -> None:
        """A dead resolver is not asked by everybody, and is asked again soon."""
        for verdict in (Verdict.TEMPORARY, Verdict.BOGUS):
            failed = Records(verdict, timedelta(), (), "dead")
            self.assertEqual(self.ask(failed, verdict).verdict, verdict)
            self.clock.advance(4)
            self.assertEqual(self.ask(name=verdict).reason, "dead")
            self.clock.advance(1)
            self.ask(secure(), verdict)

    def test_bounded(self) -> None:
        """Only so many answers are kept, and no large ones."""
        self.lookup = self.lookup_with(kept=2)
        for name in ("a.test", "b.test", "c.test"):
            self.ask(secure(), name)
        self.ask(name="c.test")
        self.ask(secure(), "a.test")
        large = secure(*(Text(bytes([number]) * 4096) for number in range(3)))
        self.ask(large, "large.test")
        self.assertEqual(self.ask(large, "large.test"), large)


class Limits(LookupCase):
    """What is asked at once, and what is believed."""

    def test_f17_one_question(self) -> None:
        """F-17: those who ask the same at the same time share one question."""
        waiting = [self.begin() for _ in range(5)]
        self.oracle.answer(secure())
        self.assertEqual({self.successResultOf(each) for each in waiting}, {secure()})
        self.assertEqual(len(self.oracle.asked), 1)

    def test_questions_take_turns(self) -> None:
        """No more than so many are asked at once; so many wait; others are told to come back."""
        self.lookup = self.lookup_with(at_once=2, waiting=1)
        waiting = [self.begin(f"{number}.test") for number in range(4)]
        self.assertEqual(len(self.oracle.asked), 2)
        self.assertEqual(self.successResultOf(waiting[3]).verdict, Verdict.TEMPORARY)
        for _ in range(3):
            self.oracle.answer(secure())
        self.assertEqual(len(self.oracle.asked), 3)
        self.assertEqual(self.ask(secure(), "3.test"), secure())

    def test_deadline(self) -> None:
        """A question that takes too long is temporary, also one that waits for its turn, and makes room."""
        self.lookup = self.lookup_with(at_once=1)
        waiting = [self.begin("a.test"), self.begin("b.test")]
        self.clock.advance(10)
        self.assertEqual([self.successResultOf(each).verdict for each in waiting], [Verdict.TEMPORARY] * 2)
        self.oracle.waiting.clear()
        self.ask(secure(), "c.test")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_o04_too_much(self) -> None:
        """O-04: more records or larger ones than anybody needs are not believed, and final."""
        many = secure(*(Host(f"20.0.0.{number}") for number in range(33)))
        self.assertEqual(self.ask(many, kind=A).verdict, Verdict.BOGUS)
        self.assertEqual(self.ask(secure(Text(b"x" * 4097))).verdict, Verdict.BOGUS)

    def test_stop(self) -> None:
        """The end reaches the source."""
        self.successResultOf(deferred_of(self.lookup.stop()))
        self.assertTrue(self.oracle.stopped)


class Resolving(LookupCase):
    """Hosts become places by the same questions."""

    def find(self, first: Records, second: Records) -> Deferred[tuple[Place, ...]]:
        """The places with those answers for A and AAAA."""
        resolver = Resolver(ValidatedAddresses(self.lookup), Timers(self.clock), most=3)
        waiting = deferred_of(resolver.lookup("rs.bar.test", 443))
        self.oracle.answer(first)
        self.oracle.answer(second)
        return waiting

    def test_both_families(self) -> None:
        """IPv4 first, then IPv6, no more than wanted; insecure is good enough for an address."""
        first = Records(Verdict.INSECURE, MINUTE, (Host("20.0.0.1"), Host("20.0.0.2")))
        found = self.successResultOf(self.find(first, secure(Host("2a00::1"), Host("2a00::2"))))
        self.assertEqual([each.address for each in found], ["20.0.0.1", "20.0.0.2", "2a00::1"])
        self.assertEqual(self.oracle.asked, [("rs.bar.test", A), ("rs.bar.test", AAAA)])

    def test_o06_bogus(self) -> None:
        """O-06: where an address is bogus nobody is called, not even at another address of that name."""
        bogus = Records(Verdict.BOGUS, timedelta(), (), "signature expired")
        for answers in ((bogus, secure(Host("2a00::1"))), (secure(Host("20.0.0.1")), bogus)):
            self.lookup = self.lookup_with()
            refusal = self.failureResultOf(self.find(*answers), Unavailable).value
            self.assertEqual(refusal.detail, "the addresses are bogus: signature expired")

    def test_temporary(self) -> None:
        """One family that cannot be told now does not keep from the other."""
        temporary = Records(Verdict.TEMPORARY, timedelta(), (), "the resolver does not answer")
        found = self.successResultOf(self.find(secure(Host("20.0.0.1")), temporary))
        self.assertEqual([each.address for each in found], ["20.0.0.1"])
        self.lookup = self.lookup_with()
        refusal = self.failureResultOf(self.find(secure(), temporary), Unavailable).value
        self.assertEqual(refusal.detail, "the resolver does not answer")

    def test_none(self) -> None:
        """A name without addresses cannot be called."""
        self.failureResultOf(self.find(secure(), secure()), Unavailable)


class Servers(SynchronousTestCase):
    """Who is asked."""

    def test_written(self) -> None:
        """An address, with a port where it is not 53."""
        self.assertEqual(parse_server("127.0.0.1"), Place("127.0.0.1", 53))
        self.assertEqual(parse_server("::1 5353"), Place("::1", 5353))
        for text in ("", "localhost", "127.0.0.1:53", "127.0.0.1 0", "127.0.0.1 53 54", "127.1 53"):
            self.assertRaises(Malformed, parse_server, text)

    def test_o07_loopback(self) -> None:
        """O-07: this host and no other."""
        for address in ("127.0.0.1", "127.0.0.53", "::1"):
            self.assertTrue(is_loopback(parse_server(address)), address)
        for address in ("0.0.0.0", "10.0.0.1", "192.168.1.1", "fe80::1", "::", "::ffff:127.0.0.1", "9.9.9.9"):
            self.assertFalse(is_loopback(parse_server(address)), address)

    def test_system(self) -> None:
        """The first three that resolv.conf names; this host where it names none."""
        path = Path(self.mktemp())
        self.assertEqual(system_servers(path), (Place("127.0.0.1", 53),))
        path.write_text("search foo.test\nnameserver 10.0.0.1\nnameserver\nnameserver fe80::1%eth0x y\nnameserver x\n")
        self.assertEqual([each.address for each in system_servers(path)], ["10.0.0.1", "fe80::1%eth0x"])
        path.write_text("\n".join(f"nameserver 10.0.0.{number}" for number in range(1, 6)))
        self.assertEqual(len(system_servers(path)), 3)
