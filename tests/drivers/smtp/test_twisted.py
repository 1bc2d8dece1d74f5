"""The defect of twisted.mail.smtp's client that made us write our own, shown by a run against our server.

It reads a message in blocks of 16,384 octets and doubles the dots inside each block only. A line that begins with a
block goes out as it is: a single dot there ends the message, and what follows is read as commands.
"""

import io
from collections.abc import AsyncIterator, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import Clock
from twisted.mail.smtp import SMTPSender, SMTPSenderFactory
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.smtp.server import smtp_factory
from rrsd.drivers.smtp.settings import Settings
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from tests.drivers.smtp.scripts import ALICE, BOB, PORT, blocks, envelope
from tests.support.internet import Internet

BLOCK = 16384
SMUGGLED = b".\nMAIL FROM:<evil@foo.test>\nRCPT TO:<carol@bar.test>\nDATA\nsmuggled\n"
MESSAGE = b"x" * (BLOCK - 1) + b"\n" + SMUGGLED


@define(eq=False)
class Box:
    """Everything that was received, by sender."""

    kept: list[tuple[str, bytes]] = field(factory=list)

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """Keep it."""
        self.kept.append((envelope.sender.path, b"".join([block async for block in message])))
        return [Reply(250)]


class Smuggling(SynchronousTestCase):
    """One message, two clients."""

    def setUp(self) -> None:
        """Our server, at mx.test."""
        self.internet, self.box = Internet(Clock()), Box()
        self.us = self.internet.host("us.test", "20.0.0.1").reactor
        self.internet.host("mx.test", "20.0.0.2")
        factory = smtp_factory(Offer("mx.test"), self.box, Settings(), self.internet.clock, Nursery().spawn)
        self.internet.listen("mx.test", PORT, factory)

    def test_theirs(self) -> None:
        """A body of theirs becomes commands; if this ever fails, Twisted has mended it."""
        factory = SMTPSenderFactory(ALICE, BOB, io.BytesIO(MESSAGE), Deferred(), retries=0, timeout=None)
        factory.protocol = SMTPSender
        self.us.connectTCP("20.0.0.2", PORT, factory)
        self.internet.pump()
        self.assertEqual(self.box.kept, [(ALICE, b"x" * (BLOCK - 1) + b"\r\n"), ("evil@foo.test", b"smuggled\r\n")])

    def test_ours(self) -> None:
        """One message, whatever its blocks: it arrives as it is."""
        message = MESSAGE.replace(b"\n", b"\r\n")
        for size in (1000, BLOCK, BLOCK + 1, len(message)):
            relay = Relay(TCP4ClientEndpoint(self.us, "20.0.0.2", PORT), "us.test", Timers(self.internet.clock),
                          Settings())  # fmt: skip
            cut = blocks(*(message[at : at + size] for at in range(0, len(message), size)))
            self.successResultOf(self.internet.run(relay.send(envelope(), cut)))
            self.assertEqual(self.box.kept.pop(), (ALICE, message))
            self.assertEqual(self.box.kept, [])
