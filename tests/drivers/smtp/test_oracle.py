"""Postfix's log and queue, asked about messages that it never answered for."""

import gzip
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.envelopes import Fate, Offer
from rrsd.drivers.smtp import oracle
from rrsd.drivers.smtp.oracle import Oracle, Unasked
from rrsd.runtime.timers import Timers
from rrsd.runtime.workers import InlineWorkers
from tests.core.wire.test_postfix import ACTIVE, FRONT, LEFT, OPENED, REMOVED, STARTED, D

NOISE = "".join(f"{FRONT}smtpd[9]: connect from unknown[127.0.0.{number}]\n" for number in range(200))


class OracleCase(SynchronousTestCase):
    """A log, and a queue in which stands what `queue` says."""

    def setUp(self) -> None:
        """Everything is empty, and the offer is new."""
        self.clock = Clock()
        self.clock.advance(1e9)
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.log = self.folder / "mail.log"
        self.log.touch()
        self.queue: str | None = ""
        self.asked = 0
        timers = Timers(self.clock)
        self.oracle = Oracle(
            path=self.log, command=("postqueue", "-j"), listed=self.listed, workers=InlineWorkers(), timers=timers
        )
        self.offer = Offer(D, timers.now())

    async def listed(self, command: Sequence[str], words: Sequence[bytes]) -> frozenset[bytes]:
        """What stands in the queue."""
        self.asked += 1
        self.assertEqual(command, ("postqueue", "-j"))
        queue = self.queue
        if queue is None:
            raise Unavailable("postqueue: mail system is down")
        return frozenset(word for word in words if word in queue.encode())

    def say(self, *texts: str, path: Path | None = None) -> None:
        """Lines are written."""
        with (path or self.log).open("a") as file:
            file.write("".join(f"{FRONT}{text}\n" for text in texts))

    def fate(self, seconds: float = 4) -> Fate | None:
        """What is said within the time, None when nothing is."""
        said: list[Fate] = []
        asked = Deferred.fromCoroutine(self.oracle.fate_of(self.offer))
        asked.addCallback(said.append)
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)
        if said:
            return said[0]
        asked.addErrback(lambda _: None)
        asked.cancel()
        return None


class Asked(OracleCase):
    """What it says."""

    def test_taken_up(self) -> None:
        """qmgr has it, or had it; the queue is not asked."""
        self.log.write_text(NOISE)
        self.say(OPENED, ACTIVE)
        self.log.open("a").write(NOISE)
        self.assertEqual((self.fate(), self.asked), (Fate.TAKEN, 0))
        self.log.write_text(NOISE)
        self.say(OPENED, LEFT, REMOVED)
        self.assertEqual((self.fate(), self.asked), (Fate.TAKEN, 0))

    def test_in_the_queue(self) -> None:
        """Nobody has taken it up yet."""
        self.say(OPENED, LEFT)
        self.queue = '{"queue_name": "incoming", "queue_id": "6EBF22304FA", "arrival_time": 1}\n'
        self.assertEqual((self.fate(), self.asked), (Fate.TAKEN, 1))

    def test_nowhere(self) -> None:
        """Never seen, or opened and left."""
        self.log.write_text(NOISE)
        self.assertEqual((self.fate(), self.asked), (Fate.NOT_TAKEN, 0))
        self.say(OPENED, LEFT)
        self.queue = '{"queue_id": "6EBF22304FA1"}'
        self.assertEqual((self.fate(), self.asked), (Fate.NOT_TAKEN, 1))
        self.log.write_text(NOISE)
        self.say(OPENED, STARTED)
        self.assertEqual(self.fate(), Fate.NOT_TAKEN)

    def test_log_is_late(self) -> None:
        """It is not looked at before it had a moment."""
        said: list[Fate] = []
        Deferred.fromCoroutine(self.oracle.fate_of(self.offer)).addCallback(said.append)
        self.clock.advance(1.9)
        self.assertEqual(said, [])
        self.say(OPENED, ACTIVE)
        self.clock.advance(0.1)
        self.assertEqual(said, [Fate.TAKEN])
        self.assertEqual(self.fate(0.25), Fate.TAKEN)

    def test_leaves_the_queue_meanwhile(self) -> None:
        """It is delivered between the look at the log and the look at the queue."""
        self.say(OPENED, LEFT)

        async def listed(*_: object) -> frozenset[bytes]:
            self.say(ACTIVE, REMOVED)
            return frozenset()

        self.oracle.listed = listed
        self.assertEqual(self.fate(), Fate.TAKEN)

    def test_is_being_written(self) -> None:
        """A signer may take its time: nobody knows yet, and we look again for a while."""
        self.say(OPENED)
        self.assertEqual(self.fate(20), Fate.UNKNOWN)
        said: list[Fate] = []
        Deferred.fromCoroutine(self.oracle.fate_of(self.offer)).addCallback(said.append)
        self.clock.advance(1)
        self.say(LEFT, ACTIVE)
        self.clock.advance(1)
        self.assertEqual(said, [Fate.TAKEN])

    def test_postfix_is_down(self) -> None:
        """Until it answers."""
        self.say(OPENED, STARTED)
        self.queue = None
        self.assertEqual(self.fate(20), Fate.UNKNOWN)
        self.queue = ""
        self.assertEqual(self.fate(), Fate.NOT_TAKEN)

    def test_two_at_once(self) -> None:
        """The log is read for one after the other."""
        self.say(OPENED, ACTIVE)
        said: list[Fate] = []
        for offer in (self.offer, Offer("4A-none", self.offer.at)):
            Deferred.fromCoroutine(self.oracle.fate_of(offer)).addCallback(said.append)
        self.clock.advance(2)
        self.assertEqual(said, [Fate.TAKEN, Fate.NOT_TAKEN])

    def test_unasked(self) -> None:
        """Without a log everything is sent again."""
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(Unasked().fate_of(self.offer))), Fate.NOT_TAKEN)


class Files(OracleCase):
    """Where it stands."""

    def test_rotated(self) -> None:
        """The log was renamed in between; what is packed is not read."""
        self.say(OPENED, path=self.folder / "mail.log.1")
        self.say(OPENED.replace("6EBF22304FA", "4A"), path=self.folder / "mail.log.2")
        os.utime(self.folder / "mail.log.2", (1, 1))
        (self.folder / "mail.log.3.gz").write_bytes(gzip.compress(b"x"))
        self.say(LEFT, ACTIVE)
        self.assertEqual(self.fate(), Fate.TAKEN)
        self.assertEqual(list(oracle.trace_of(self.log, D).open), ["6EBF22304FA"])

    def test_no_log(self) -> None:
        """Who cannot read it knows nothing."""
        self.log.unlink()
        self.assertEqual(self.fate(20), Fate.UNKNOWN)
        self.log.mkdir()
        self.assertRaises(Unavailable, oracle.trace_of, self.log, D)

    def test_long_log(self) -> None:
        """It is read from its end, so far and no further."""
        self.patch(oracle, "MOST_READ", len(NOISE))
        self.say(OPENED, ACTIVE, path=self.folder / "mail.log.1")
        self.log.write_text(NOISE)
        self.assertEqual(self.fate(20), Fate.UNKNOWN)
        self.log.write_text(NOISE[:-1000])
        self.assertEqual(self.fate(), Fate.TAKEN)
        self.log.write_text("")
        self.say(OPENED)
        self.log.open("a").write(NOISE + NOISE[:-5])
        self.assertEqual(self.fate(20), Fate.UNKNOWN)

    def test_half_a_line(self) -> None:
        """A line without its end, or without its beginning, is none."""
        self.say(OPENED)
        self.log.open("a").write(f"{FRONT}{ACTIVE[:30]}")
        self.assertEqual(self.fate(20), Fate.UNKNOWN)
        self.log.open("a").write(f"{ACTIVE[30:]}\n")
        self.assertEqual(self.fate(1), Fate.TAKEN)


class Patience(SynchronousTestCase):
    """How long it takes."""

    def test_shorter_than_the_client(self) -> None:
        """The mail server's client waits for us meanwhile."""
        self.assertLess(oracle.SETTLE + oracle.LINGER, timedelta(seconds=30))
