"""Bodies that are poured into a sink while they come."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from rrsd.core.refusals import NoSpace, TooLarge
from tests.drivers.fetch.case import HEAD, Case, saying
from tests.support.calling import Basket


class Pouring(Case):
    """Large bodies go into a sink."""

    def pour(self, sink: Any, most: int = 10_000_000) -> Deferred[int]:
        """The pouring of one body, pumped."""
        return self.world.internet.run(self.fetch().pour(sink, most))

    def test_blocks(self) -> None:
        """A body arrives whole, in few large blocks."""
        body = bytes(range(256)) * 16384
        self.serve(saying(HEAD % len(body) + body))
        basket = Basket()
        self.assertEqual(self.successResultOf(self.pour(basket)), len(body))
        self.assertEqual(basket.data, body)
        self.assertTrue(all(len(piece) >= 131072 for piece in basket.pieces[:-1]))

    def test_pause(self) -> None:
        """A sink that pauses stops the server; when it goes on, so does the body."""
        body = bytes(4 << 20)
        made = self.serve(saying(HEAD % len(body) + body))
        gates: list[Deferred[None]] = []

        def pause() -> Deferred[None]:
            gates.append(Deferred())
            return gates[-1]

        basket = Basket(pause)
        result = self.pour(basket)
        self.assertEqual(len(basket.pieces), 1)
        self.assertGreater(len(made[0].transport.transport.out), 1 << 20)
        self.world.internet.advance(600, 60)
        self.assertNoResult(result)
        for number in range(200):
            if number < len(gates):
                gates[number].callback(None)
                self.world.internet.pump()
        self.assertEqual(self.successResultOf(result), len(body))
        self.assertEqual(basket.data, body)

    def test_sink_refuses(self) -> None:
        """What the sink refuses passes through, and the connection is aborted."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))

        class Full:
            def write(self, data: bytes) -> None:
                raise NoSpace

        self.failureResultOf(self.pour(Full()), NoSpace)
        self.assertTrue(made[0].lost)

    def test_sink_refuses_later(self) -> None:
        """So does what it refuses while it pauses."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))
        gate: Deferred[None] = Deferred()
        result = self.pour(Basket(lambda: gate))
        gate.errback(NoSpace())
        self.failureResultOf(result, NoSpace)
        self.world.internet.pump()
        self.assertTrue(made[0].lost)

    def test_sink_refuses_the_last_block(self) -> None:
        """And what it refuses at the very end, when the connection serves somebody else already."""
        self.serve(saying(HEAD % 5 + b"bytes"))

        class Full:
            def write(self, data: bytes) -> None:
                raise NoSpace

        self.failureResultOf(self.pour(Full()), NoSpace)
        self.fetch()
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_too_large(self) -> None:
        """A body beyond the most is cut off, announced or not."""
        self.serve(saying(HEAD % 1001 + bytes(1001)))
        self.failureResultOf(self.pour(Basket(), 1000), TooLarge)

    def test_shorter_than_announced(self) -> None:
        """A body that stops short never counts as complete, and what came is handed over."""
        self.serve(saying(HEAD % 1000 + bytes(999), close=True))
        basket = Basket()
        self.assert_unavailable(self.pour(basket), "body broke off")
        self.assertEqual(len(basket.data), 999)

    def test_link_breaks(self) -> None:
        """A link that dies in the middle is a body that broke off."""
        made = self.serve(saying(HEAD % 1000 + bytes(100)))
        result = self.pour(Basket())
        made[0].transport.transport.cut()
        self.world.internet.pump()
        self.assert_unavailable(result, "body broke off")

    def test_what_came_before_a_block_was_full_counted_as_nothing(self) -> None:
        """Who asks how much has come hears of what the sink has not got yet."""
        self.serve(saying(HEAD % 1000 + bytes(100)))
        reply, basket = self.fetch(), Basket()
        self.assertEqual(reply.held, 0)
        result = self.world.internet.run(reply.pour(basket, 1000))
        self.assertEqual((reply.held, basket.data), (100, b""))
        result.cancel()
        self.failureResultOf(result, CancelledError)

    def test_stands_still(self) -> None:
        """A body that stands still for a minute is given up."""
        made = self.serve(saying(HEAD % 1000 + bytes(100)))
        result = self.pour(Basket())
        self.world.internet.advance(59)
        self.assertNoResult(result)
        self.world.internet.advance(2)
        self.assert_unavailable(result, "body stands still")
        self.assertTrue(made[0].lost)

    def test_drip(self) -> None:
        """A body that drips on without progress is given up after two minutes, one that makes progress is not."""
        made = self.serve(saying(HEAD % 100_000_000))
        drip, steady = self.pour(Basket(), 1 << 30), self.pour(Basket(), 1 << 30)
        for _ in range(13):
            made[0].transport.write(bytes(100))
            made[1].transport.write(bytes(10_000))
            self.world.internet.advance(10)
        self.assert_unavailable(drip, "body stands still")
        self.assertNoResult(steady)
        steady.cancel()
        self.failureResultOf(steady, CancelledError)

    def test_given_up(self) -> None:
        """A pouring that is cancelled aborts the connection, paused or not."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))
        gate: Deferred[None] = Deferred()
        result = self.pour(Basket(lambda: gate))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.world.internet.pump()
        self.assertTrue(made[0].lost)
