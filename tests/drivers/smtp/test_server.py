"""The listener and clients that are hostile or slow: what is held for them has bounds, and so has the time."""

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.inflow import MOST_HELD
from rrsd.drivers.smtp.listening import Bounded
from rrsd.drivers.smtp.server import MOST_AHEAD, Connection, smtp_factory
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.loops import Nursery
from tests.support.internet import Internet
from tests.support.mailservers import Sender
from tests.support.wires import Wire

PORT = 25
BEGIN = b"EHLO foo.test\r\nMAIL FROM:<alice@foo.test>\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\n"
YES = Reply(250, "2.0.0", ("kept",))
MIB = 1 << 20


@define(eq=False)
class Taker:
    """A receiver that takes a block when it is let, and keeps how many bytes it has."""

    is_open: bool = True
    size: int = 0
    last: bytes = b""
    trouble: Exception | None = None
    ended: int = 0
    broken: int = 0
    says: Sequence[Reply] = (YES,)
    gate: Deferred[None] = field(factory=Deferred)
    answer: Deferred[None] | None = None

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """Take it."""
        if self.trouble is not None:
            raise self.trouble
        try:
            async for block in message:
                self.size += len(block)
                self.last = block
                if not self.is_open:
                    await self.gate
        except Unavailable:
            self.broken += 1
            raise
        self.ended += 1
        if self.answer is not None:
            await self.answer
        return self.says

    def step(self) -> None:
        """One block more."""
        gate, self.gate = self.gate, Deferred()
        gate.callback(None)


class ServerCase(SynchronousTestCase):
    """One listener."""

    def setUp(self) -> None:
        """It listens."""
        self.internet = Internet(Clock())
        self.taker, self.work = Taker(), Nursery()
        self.factory: Bounded[Connection]
        self.listen()

    def listen(self, **offered: Any) -> None:
        """With other limits."""
        offer = Offer("mx.test", **offered)
        self.factory = smtp_factory(offer, self.taker, Settings(), self.internet.clock, self.work.spawn)
        self.internet.listeners["127.0.0.1", PORT] = self.factory

    def client(self) -> "Client":
        """One that is connected."""
        sender = Sender()
        near = self.internet.connect("127.0.0.9", "127.0.0.1", PORT, sender)
        assert near is not None
        self.internet.pump()
        return Client(self.internet, sender, near)

    @property
    def connection(self) -> Connection:
        """The only one."""
        [found] = self.factory.open
        return found


@define(eq=False)
class Client:
    """The other end."""

    internet: Internet
    sender: Sender
    near: Wire

    def send(self, data: bytes) -> None:
        """As much of it as is taken."""
        self.near.write(data)
        self.internet.pump()

    def codes(self) -> list[int]:
        """The codes of the replies so far."""
        lines = bytes(self.sender.said).split(b"\r\n")[:-1]
        self.sender.said.clear()
        return [int(line[:3]) for line in lines if line[3:4] == b" "]

    @property
    def unsent(self) -> int:
        """Bytes that the other end has not taken."""
        return len(self.near.out)


class Bounds(ServerCase):
    """What is held for one client."""

    def test_slow_receiver(self) -> None:
        """The client is paused while a mebibyte waits, and goes on when it was taken."""
        self.taker.is_open = False
        client = self.client()
        client.send(BEGIN + b"x" * (8 * MIB) + b"\r\n.\r\n")
        held = 8 * MIB - client.unsent - self.taker.size
        self.assertLessEqual(held, MOST_HELD + 65536)
        self.assertGreater(client.unsent, 6 * MIB)
        while not self.taker.ended:
            self.taker.step()
            self.internet.pump()
            self.assertLessEqual(8 * MIB - client.unsent - self.taker.size, MOST_HELD + 65536)
        self.assertEqual((self.taker.size, client.codes()[-1]), (8 * MIB + 2, 250))

    def test_small_segments_to_a_slow_receiver(self) -> None:
        """Blocks of two bytes weigh more than their bytes: the memory that they take is bounded, too."""
        self.taker.is_open = False
        client = self.client()
        client.send(BEGIN)
        self.internet.segment = 2
        tracemalloc.start()
        try:
            client.send(b"xyzw" * 50_000)
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        self.assertGreater(client.unsent, 100_000)
        self.assertLess(taken, 4 * MIB)

    def test_flood_behind_a_message(self) -> None:
        """While the message waits for its reply, what is pipelined stays in the client's socket."""
        self.taker.answer = Deferred()
        client = self.client()
        client.send(BEGIN + b"x\r\n.\r\n" + b"NOOP\r\n" * 500_000)
        self.assertLessEqual(self.connection.session.ahead, MOST_AHEAD + 65536)
        self.assertGreater(client.unsent, 2 * MIB)
        self.taker.answer.callback(None)
        self.internet.pump()
        self.assertEqual((client.unsent, client.codes().count(250)), (0, 500_000 + 4))

    def test_a_client_that_pipelines_little_is_not_paused(self) -> None:
        """So that we hear when it leaves: its message is given up as long as nobody has said yes."""
        self.taker.answer = Deferred()
        client = self.client()
        client.send(BEGIN + b"x\r\n.\r\nMAIL FROM:<>\r\n")
        client.near.abortConnection()
        self.internet.pump()
        self.assertFalse(self.factory.open)
        self.taker.answer.callback(None)

    def test_replies_that_nobody_takes(self) -> None:
        """A client that only asks is not read from any longer, and is gone when its time is over."""
        client = self.client()
        client.near.pauseProducing()
        client.send(b"NOOP\r\n" * 500_000)
        self.assertGreater(client.unsent, MIB)
        far = client.near.other
        self.assertLess(len(far.out), 4 * 65536)
        client.near.resumeProducing()
        self.internet.pump()
        self.assertEqual((client.unsent, client.codes().count(250)), (0, 500_000))
        client.near.pauseProducing()
        client.send(b"NOOP\r\n" * 500_000)
        self.internet.advance(320, 10)
        self.assertFalse(self.factory.open)

    def test_long_line(self) -> None:
        """A command has an end."""
        client = self.client()
        client.send(b"x" * MIB)
        self.assertEqual((client.codes()[-1], client.sender.is_lost), (500, True))

    def test_hundred_mebibytes(self) -> None:
        """Through the listener in flat memory."""
        client = self.client()
        client.send(BEGIN)
        block = (b"x" * 76 + b"\r\n.." + b"y" * 74 + b"\r\n") * 400
        tracemalloc.start()
        try:
            for _ in range(100 * MIB // len(block)):
                client.send(block)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        client.send(b".\r\n")
        self.assertEqual(client.codes()[-1], 250)
        self.assertGreater(self.taker.size, 98 * MIB)
        self.assertLess(peak, 2 * MIB)

    def test_one_byte_at_a_time(self) -> None:
        """The same message, by DATA and by BDAT."""
        self.internet.segment = 1
        client = self.client()
        client.send(BEGIN + b"a\r\n..b\r\n.\r\n")
        self.assertEqual((client.codes()[-1], self.taker.size), (250, 7))
        client.send(BEGIN[15:-6] + b"BDAT 4\r\na\r\n.BDAT 2 LAST\r\n\r\nNOOP\r\n")
        self.assertEqual((client.codes(), self.taker.size), ([250, 250, 250, 250, 250], 13))

    def test_chunks(self) -> None:
        """Large ones, with the receiver slower than the client."""
        self.taker.is_open = False
        client = self.client()
        client.send(BEGIN[:-6] + b"BDAT %d LAST\r\n" % (4 * MIB) + b"x" * (4 * MIB))
        self.assertLessEqual(4 * MIB - client.unsent - self.taker.size, MOST_HELD + 65536)
        while not self.taker.ended:
            self.taker.step()
            self.internet.pump()
        self.assertEqual((self.taker.size, client.codes()[-1]), (4 * MIB, 250))


class Times(ServerCase):
    """How long anybody may take."""

    def test_a_byte_now_and_then(self) -> None:
        """It does not keep the connection: neither in a command nor in a message."""
        for begin, times in ((b"", 5), (BEGIN, 3)):
            client = self.client()
            client.send(begin)
            for _ in range(times):
                self.assertTrue(self.factory.open)
                client.send(b"x")
                self.internet.advance(60, 10)
            self.assertEqual(client.codes()[-1], 421)
            self.assertFalse(self.factory.open)

    def test_steady_client(self) -> None:
        """Who sends something in time may take as long as it likes."""
        client = self.client()
        client.send(BEGIN)
        for _ in range(20):
            client.send(b"x" * 1024)
            self.internet.advance(120, 10)
        client.send(b"\r\n.\r\n")
        self.assertEqual(client.codes()[-1], 250)

    def test_paused_client(self) -> None:
        """Time does not run against a client that waits for us."""
        self.taker.is_open = False
        client = self.client()
        client.send(BEGIN + b"x" * (4 * MIB))
        self.internet.advance(900, 10)
        self.assertTrue(self.factory.open)
        self.taker.is_open = True
        self.taker.step()
        self.internet.pump()
        self.assertEqual(client.unsent, 0)
        self.internet.advance(200, 10)
        self.assertEqual((client.codes()[-1], self.taker.broken), (421, 1))

    def test_half_open(self) -> None:
        """A client whose machine is gone is forgotten."""
        client = self.client()
        client.near.pauseProducing()
        self.internet.advance(320, 10)
        self.assertFalse(self.factory.open)

    def test_last_word(self) -> None:
        """It is heard although the client is still sending; one that does not close is cut off."""
        client = self.client()
        client.near.pauseProducing()
        client.send(BEGIN + b"a\nb\r\n" + b"x" * MIB)
        self.assertTrue(self.factory.open)
        client.near.resumeProducing()
        self.internet.pump()
        self.assertEqual((client.codes()[-1], client.unsent), (554, 0))
        self.assertFalse(self.factory.open)
        other = self.client()
        other.near.pauseProducing()
        other.send(b"QUIT\r\n")
        self.assertTrue(self.factory.open)
        self.internet.advance(11)
        self.assertFalse(self.factory.open)

    def test_too_many_connections(self) -> None:
        """The next one hears nothing, and those that are there go on."""
        clients = [self.client() for _ in range(200)]
        self.assertIsNone(self.internet.connect("127.0.0.9", "127.0.0.1", PORT, Sender()))
        clients[7].send(BEGIN + b".\r\n")
        self.assertEqual(clients[7].codes()[-1], 250)
        clients[8].near.abortConnection()
        self.internet.pump()
        self.assertEqual(self.client().codes(), [220])


class Receivers(ServerCase):
    """Whatever the receiver does, every message has its reply, and it is for later."""

    def test_fails_before_the_end(self) -> None:
        """The rest of the message is read, and then answered."""
        self.taker.trouble = Unavailable("down")
        client = self.client()
        client.send(BEGIN + b"x" * (4 * MIB))
        self.assertEqual(client.codes(), [220, 250, 250, 250, 354])
        client.send(b"\r\n.\r\nNOOP\r\n")
        self.assertEqual(client.codes(), [451, 250])

    def test_unexpected_failure(self) -> None:
        """Logged with a reference."""
        self.taker.trouble = RuntimeError("defect")
        client = self.client()
        client.send(BEGIN + b"x\r\n.\r\n")
        self.assertEqual(client.codes()[-1], 451)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_wrong_number_of_replies(self) -> None:
        """Nobody guesses whose they are."""
        self.taker.says = (YES, YES)
        client = self.client()
        client.send(BEGIN + b"x\r\n.\r\n")
        self.assertEqual(client.codes()[-1], 451)

    def test_too_big_while_it_is_paused(self) -> None:
        """The pause ends with the message: the client hears why, and goes on."""
        self.taker.is_open = False
        self.listen(most_size=MOST_HELD + 100_000)
        client = self.client()
        client.send(BEGIN)
        self.internet.segment = MOST_HELD + 200_000
        client.send(b"x" * (MOST_HELD + 50_000))
        client.send(b"x" * 500_000 + b"\r\n.\r\n")
        while client.unsent:
            self.taker.step()
            self.internet.pump()
        self.assertEqual((client.codes()[-1], self.taker.ended), (552, 0))
        client.send(b"NOOP\r\n")
        self.assertEqual(client.codes(), [250])

    def test_stop(self) -> None:
        """Messages that wait for their reply are given up, without a line in the log."""
        self.taker.answer = Deferred()
        client = self.client()
        client.send(BEGIN + b"x\r\n.\r\n")
        self.factory.close_all()
        self.successResultOf(self.internet.run(self.work.stop()))
        self.internet.pump()
        self.assertEqual((client.codes()[-1], client.sender.is_lost), (421, True))
