"""What a message costs in memory while it passes."""

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply, ReversePath
from rrsd.roles.mail.flow.inbound import Inbound
from rrsd.roles.mail.flow.mailboxes import ToMailboxes, Turns

MOST = 1 << 20
BLOCK = 1 << 16
ENVELOPE = Envelope("bar.test", ReversePath("alice@foo.test"), (ForwardPath("bob@bar.test"),))
PLAIN = b"From: alice@foo.test\r\n\r\n"
MIXED = b"From: alice@foo.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nmessage/external-body\r\n"


@define
class Drain:
    """A next server that keeps nothing, and sees how much was read when its first block came."""

    size: int = 0
    blocks: int = 0

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """Count."""
        async for block in message:
            self.size += len(block)
            self.blocks += 1
        return (Reply(250),)

    async def offers(self) -> dict[str, str]:
        """Nothing."""
        return {}


def inbound_of(next: Drain) -> Inbound:
    """A way in on which nothing is a placeholder, and nothing is to be written down."""
    nobody: Any = None
    mailboxes = ToMailboxes(next, nobody, Turns(DeferredLock), nobody, "+")
    return Inbound(mailboxes=mailboxes, placeholders=nobody, places=DeferredSemaphore(1), audit=nobody, most=MOST)


async def message(head: bytes, blocks: int) -> AsyncIterator[bytes]:
    """A long one."""
    yield head
    for number in range(blocks):
        yield bytes([number % 256]) * BLOCK


class Memory(SynchronousTestCase):
    """Whatever passes."""

    def test_flat(self) -> None:
        """200 MB cost no more than what is looked at, a few times; and what is none costs nothing."""
        for head, most in ((PLAIN, 4 * BLOCK), (MIXED, 4 * MOST)):
            drain = Drain()
            inbound = inbound_of(drain)
            tracemalloc.start()
            work = inbound.receive(ENVELOPE, message(head, 3200))
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(work)), (Reply(250),))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertLess(peak, most)
            self.assertEqual(drain.size, len(head) + 3200 * BLOCK)

    def test_places(self) -> None:
        """A message that only passes gives its place back before it has passed; one that is looked at keeps it."""
        waiting: Deferred[None] = Deferred()

        async def slow(head: bytes) -> AsyncIterator[bytes]:
            yield head
            await waiting

        for head, others in ((PLAIN, True), (MIXED, False)):
            inbound = inbound_of(Drain())
            first = Deferred.fromCoroutine(inbound.receive(ENVELOPE, slow(head)))
            second = Deferred.fromCoroutine(inbound.receive(ENVELOPE, message(PLAIN, 1)))
            self.assertEqual(second.called, others)
            self.assertNoResult(first)
