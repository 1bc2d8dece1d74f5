"""A connection on which one asks: one answer for each question, and neither side runs ahead."""

from collections.abc import Iterator
from typing import Any, cast

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import TooLarge, Unavailable
from rrsd.runtime.asking import Asking


class Line(StringTransport):
    """A transport that remembers being broken."""

    is_broken = False

    def abortConnection(self) -> None:  # noqa: N802 - ITCPTransport
        """Remember it."""
        self.is_broken = True


class Answers(SynchronousTestCase):
    """What comes is handed out one by one, in order."""

    def setUp(self) -> None:
        self.line = Line()
        self.asking = Asking[int]("the peer", 3)
        self.asking.makeConnection(self.line)

    def test_before_the_question(self) -> None:
        """An answer that is there already is had at once."""
        self.asking.put([1, 2])
        self.assertEqual([self.successResultOf(self.asking.answer()) for _ in range(2)], [1, 2])
        self.assertFalse(self.asking.has_answers)

    def test_after_the_question(self) -> None:
        """One question has one answer; the next stays for the next question."""
        asked = self.asking.answer()
        self.assertNoResult(asked)
        self.asking.put([1, 2])
        self.assertEqual((self.successResultOf(asked), self.asking.has_answers), (1, True))

    def test_all_before_one(self) -> None:
        """Who gets an answer finds everything that came with it, so that it is not taken for an answer to the next."""
        seen = []
        self.asking.answer().addCallback(lambda _: seen.append(self.asking.has_answers))
        self.asking.put(iter([1, 2]))
        self.assertEqual(seen, [True])

    def test_too_many(self) -> None:
        """More than may wait break the connection; those that are there are still handed out, then the refusal."""
        self.asking.put([1, 2, 3])
        self.assertIsNone(self.asking.trouble)
        self.asking.put([4])
        self.assertTrue(self.line.is_broken)
        self.assertEqual([self.successResultOf(self.asking.answer()) for _ in range(4)], [1, 2, 3, 4])
        refusal = self.failureResultOf(self.asking.answer(), Unavailable).value
        self.assertEqual(cast(Unavailable, refusal).detail, "the peer says too much")

    def test_bounded_by_its_questions(self) -> None:
        """Without a number, the subclass sees to it that nobody says more than was asked."""
        asking = Asking[int]("the peer")
        asking.makeConnection(Line())
        asking.put(range(100_000))
        self.assertIsNone(asking.trouble)

    def test_refused_in_the_middle(self) -> None:
        """What cannot be read is refused, and what came before it is handed out."""

        def answers() -> Iterator[int]:
            yield 1
            raise TooLarge("the second")

        asked = self.asking.answer()
        self.assertRaises(TooLarge, self.asking.put, answers())
        self.assertEqual(self.successResultOf(asked), 1)


class Writing(SynchronousTestCase):
    """Who writes waits while the socket is full, and hears when there is no connection any more."""

    def setUp(self) -> None:
        self.line = Line()
        self.asking = Asking[int]("the peer", 3)
        self.asking.makeConnection(self.line)

    def test_registered(self) -> None:
        """The socket tells us when it is full."""
        self.assertIs(cast(Any, self.line).producer, self.asking)

    def test_room(self) -> None:
        """Nobody waits while there is room."""
        self.assertIsNone(self.asking.write(b"a"))
        self.assertEqual(self.line.value(), b"a")

    def test_full(self) -> None:
        """Who has written into a full socket waits until it takes more, once."""
        self.asking.pauseProducing()
        waiting = self.asking.write(b"a")
        assert waiting is not None
        self.assertNoResult(waiting)
        self.asking.resumeProducing()
        self.assertIsNone(self.successResultOf(waiting))
        self.asking.resumeProducing()
        self.assertIsNone(self.asking.write(b"b"))

    def test_broken_while_full(self) -> None:
        """Nobody waits for a socket that is gone; the next one to write hears why."""
        self.asking.pauseProducing()
        waiting = self.asking.write(b"a")
        assert waiting is not None
        self.asking.fail(Unavailable("we have had enough"))
        self.assertIsNone(self.successResultOf(waiting))
        self.assertEqual(self.assertRaises(Unavailable, self.asking.write, b"b").detail, "we have had enough")
        self.assertEqual(self.line.value(), b"a")

    def test_closed_by_the_peer(self) -> None:
        """Who waits for an answer hears that none will come."""
        asked = self.asking.answer()
        self.asking.connectionLost()
        refusal = self.failureResultOf(asked, Unavailable).value
        self.assertEqual(cast(Unavailable, refusal).detail, "the peer closed the connection")
        self.assertRaises(Unavailable, self.asking.require_up)

    def test_first_trouble(self) -> None:
        """The first reason stays; a connection that was left in peace is not broken."""
        self.asking.fail(Unavailable("goodbye"), is_aborted=False)
        self.asking.fail(Unavailable("later"))
        self.assertFalse(self.line.is_broken)
        self.assertEqual(self.assertRaises(Unavailable, self.asking.require_up).detail, "goodbye")
