"""Listener and relay in a row, as in a filter: what both hold together, whoever is slow, however large the message."""

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.inflow import MOST_HELD
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.smtp.server import smtp_factory
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.loops import Nursery
from tests.drivers.smtp.scripts import Scene, Script
from tests.support.mailservers import Sender

PORT = 10025
BEGIN = b"EHLO foo.test\r\nMAIL FROM:<alice@foo.test>\r\nRCPT TO:<bob@bar.test>\r\n"
MIB = 1 << 20
BLOCK = (b"x" * 62 + b"\r\n") * 1024
SOCKETS = 6 * 65536
"""What the sockets of both connections may hold, beside what we hold."""


@define(eq=False)
class Through:
    """Hands everything on."""

    relay: Relay
    refused: int = 0

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """As it comes; 451 when that fails."""
        try:
            return await self.relay.send(envelope, message)
        except Refusal:
            self.refused += 1
            return [Reply(451)]


class Chain(SynchronousTestCase):
    """A client, the filter, the next server."""

    def begin(self, answers: Any, data: bytes = b"DATA\r\n") -> None:
        """The client has been told to go on."""
        self.scene = Scene.of(answers)
        self.internet, self.through = self.scene.internet, Through(self.scene.relay)
        factory = smtp_factory(Offer("us.test"), self.through, Settings(), self.internet.clock, Nursery().spawn)
        self.internet.listeners["127.0.0.1", PORT] = factory
        self.sender = Sender()
        self.near: Any = self.internet.connect("127.0.0.9", "127.0.0.1", PORT, self.sender)
        self.send(BEGIN + data)

    def send(self, data: bytes) -> None:
        """As much of it as is taken."""
        self.near.write(data)
        self.internet.pump()

    @property
    def last_code(self) -> int:
        """The code of the last reply."""
        return int(bytes(self.sender.said).split(b"\r\n")[-2][:3])

    def test_next_server_stands_still(self) -> None:
        """The client is paused; nothing but one inflow and the sockets is held. Then everything goes on to the byte."""
        self.begin({"block": Script.stop_reading})
        for _ in range(8 * MIB // len(BLOCK)):
            self.send(BLOCK)
        script = self.scene.last
        self.assertLessEqual(8 * MIB - len(self.near.out) - len(script.got), MOST_HELD + SOCKETS)
        self.assertGreater(len(self.near.out), 6 * MIB)
        while self.near.out:
            script.transport.resumeProducing()  # type: ignore[union-attr]
            self.internet.pump()
            self.assertLessEqual(8 * MIB - len(self.near.out) - len(script.got), MOST_HELD + SOCKETS)
        script.answers.pop("block")
        script.transport.resumeProducing()  # type: ignore[union-attr]
        self.send(b".\r\n")
        self.assertEqual((self.last_code, len(script.got)), (250, 8 * MIB + 3))

    def test_next_server_never_goes_on(self) -> None:
        """It is given up, and the client hears 451 when it has sent the rest."""
        self.begin({"block": Script.stop_reading})
        self.send(BLOCK * 64 + b".\r\n")
        self.internet.advance(200, 10)
        self.assertEqual((self.last_code, self.through.refused, len(self.near.out)), (451, 1, 0))

    def test_next_server_says_no_early(self) -> None:
        """The client hears the reply at the end of its message, as it has to be."""
        self.begin({"block": lambda script: script.say("552 too big") if len(script.got) < 70_000 else None})
        self.send(BLOCK * 64)
        self.assertEqual(self.last_code, 354)
        self.send(b".\r\n")
        self.assertEqual((self.last_code, self.through.refused), (552, 0))

    def test_hundred_mebibytes(self) -> None:
        """By DATA and by BDAT, in flat memory."""
        size = 100 * MIB
        for data in (b"DATA\r\n", b"BDAT %d LAST\r\n" % size):
            got = [0]

            def count(script: Script, got: list[int] = got) -> None:
                got[0] += len(script.got)
                script.got = script.got[-5:]
                got[0] -= len(script.got)

            self.begin({"block": count}, data)
            tracemalloc.start()
            try:
                for _ in range(size // len(BLOCK)):
                    self.send(BLOCK)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            if data == b"DATA\r\n":
                self.send(b".\r\n")
            self.assertEqual((self.last_code, got[0] + len(self.scene.last.got)), (250, size + 3))
            self.assertLess(peak, 2 * MIB)
