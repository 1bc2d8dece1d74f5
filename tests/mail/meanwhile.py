"""What else happens to a real mailbox during a swap: an end at each step, its user, no room, a client that looks."""

import imaplib
import re
import time
from collections.abc import Sequence
from select import select

from twisted.internet.threads import deferToThread

from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.drivers.imap.client import Talk
from rrsd.drivers.imap.responses import Response
from tests.mail.mailbox import MARK, RAW, TRACE, WHOLE, DovecotCase

FLAGS = (rb"\Seen", rb"\Flagged", b"work", b'"01-Feb-2024 02:04:05 +0000"')
ROOM = 500_000
FILLER = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 5_000


def mark(uid: int) -> bytes:
    """What takes the place of the message with the UID."""
    return MARK.replace(b" 1\r", b" %d\r" % uid) + TRACE + WHOLE


class Killed(DovecotCase):
    """The connection ends after each command."""

    async def test_each_step(self) -> None:
        """The next swap makes one message of it, with flags, keywords and date; nothing is ever missing."""
        ended, ends, left = Talk._ended, 0, 0

        async def end(talk: Talk, tag: bytes) -> list[Response]:
            nonlocal left
            said = await ended(talk, tag)
            left -= 1
            if not left:
                talk.client.fail(Unavailable("killed"))
            return said

        self.patch(Talk, "_ended", end)
        while True:
            self.put(TRACE + RAW)
            left = ends + 1
            try:
                await self.run_swap()
            except Unavailable:
                held = [each[1].partition(TRACE)[2] for each in self.kept() if rb"\Deleted" not in each[0]]
                self.assertTrue({RAW, WHOLE} & set(held), ends)
            else:
                break
            left = -1
            self.assertEqual(await self.run_swap(), 1, ends)
            ((about, message),) = self.kept()
            self.assertEqual(message.partition(TRACE)[2], WHOLE, ends)
            for each in FLAGS:
                self.assertIn(each, about, ends)
            self.empty()
            ends += 1
        self.assertGreater(ends, 15)

    def empty(self) -> None:
        """Nothing is there."""
        self.view.select("INBOX")
        self.view.store("1:*", "+FLAGS", r"(\Deleted)")
        self.view.expunge()
        self.view.close()


class Used(DovecotCase):
    """The user does something while the complete message is on its way."""

    def with_inbox(self, *commands: Sequence[str]) -> None:
        """What a mail program says to the one message in the inbox."""
        self.view.select("INBOX")
        for command in commands:
            kind, said = self.view.uid(*command)
            self.assertEqual(kind, "OK", said)
        self.view.close()

    async def test_flagged(self) -> None:
        """Answered and no longer seen: the new flags are there as well."""
        self.put(TRACE + RAW)
        self.meanwhile = lambda: self.with_inbox(("STORE", "1", "+FLAGS", r"(\Answered more)"))
        self.assertEqual(await self.run_swap(), 1)
        ((about, message),) = self.kept()
        self.assertEqual(message, mark(1))
        for each in (*FLAGS, rb"\Answered", b"more"):
            self.assertIn(each, about)

    async def test_moved(self) -> None:
        """Complete where it is now, and nowhere else."""
        self.view.create("Archive")
        self.put(TRACE + RAW)
        self.meanwhile = self.move
        self.assertEqual(await self.run_swap(), 1)
        self.assertEqual(self.kept(), [])
        ((about, message),) = self.kept("Archive")
        self.assertEqual(message, mark(1))
        for each in FLAGS:
            self.assertIn(each, about)

    def move(self) -> None:
        """Once."""
        self.meanwhile = lambda: None
        self.view.select("INBOX")
        imaplib.Commands["MOVE"] = ("SELECTED",)
        self.assertEqual(self.view.uid("MOVE", "1", "Archive")[0], "OK")
        self.view.close()

    async def test_deleted(self) -> None:
        """It does not come back, expunged or marked."""
        self.put(TRACE + RAW)
        self.meanwhile = lambda: self.with_inbox(("STORE", "1", "+FLAGS", r"(\Deleted)"))
        self.assertEqual(await self.run_swap(), 0)
        # CLOSE has removed it.
        self.assertEqual(self.kept(), [])
        self.put(TRACE + RAW)
        self.meanwhile = self.mark
        self.assertEqual(await self.run_swap(), 0)
        ((about, message),) = self.kept()
        self.assertEqual((message, rb"\Deleted" in about), (TRACE + RAW, True))

    def mark(self) -> None:
        """It stays until the mail program is told to compact the folder."""
        self.view.select("INBOX")
        self.view.store("1", "+FLAGS", r"(\Deleted)")
        self.view.unselect()


class Full(DovecotCase):
    """A quota."""

    more = (
        f"mail_plugins = quota\nplugin {{\n  quota = count:User quota\n  quota_vsizes = yes\n"
        f"  quota_rule = *:storage={ROOM}B\n  quota_grace = 0\n}}\n"
    )

    async def test_full(self) -> None:
        """The placeholder stays, the refusal says why, and when there is room it is done."""
        self.put(FILLER, flags="")
        self.put(TRACE + RAW)
        for _ in range(2):
            refusal = await self.assertFailure(self.run_swap(), Forbidden)
            self.assertIn("OVERQUOTA", str(refusal))
            self.assertEqual([each[1] for each in self.kept()], [FILLER, TRACE + RAW])
        self.view.select("INBOX")
        self.view.store("1", "+FLAGS", r"(\Deleted)")
        self.view.close()
        self.assertEqual(await self.run_swap(), 1)
        self.assertEqual([each[1] for each in self.kept()], [mark(2)])


class Watched(DovecotCase):
    """Another client of the user waits for news (IDLE, RFC 2177)."""

    async def test_sequence(self) -> None:
        """Whenever it has heard all there is to hear, it knows of one message or of two, and at the end of the complete
        one. (What Dovecot tells at once begins with what has gone.)"""
        self.put(TRACE + RAW)
        other = self.enter()
        self.addCleanup(other.shutdown)
        other.select("INBOX")
        other.send(b"w1 IDLE\r\n")
        self.assertTrue(other.readline().startswith(b"+"))
        self.assertEqual(await self.run_swap(), 1)
        said = await deferToThread(self.heard, other)
        count, known = 1, []
        for burst in said:
            for line in burst:
                exists, expunged = re.match(rb"\* (\d+) EXISTS", line), re.match(rb"\* (\d+) EXPUNGE", line)
                self.assertLessEqual(int(expunged[1]) if expunged else 0, count, said)
                count = int(exists[1]) if exists else count - 1 if expunged else count
            known.append(count)
        self.assertEqual((set(known) <= {1, 2}, known[-1]), (True, 1), said)
        other.send(b"DONE\r\n")
        while not other.readline().startswith(b"w1 OK"):
            pass
        _, found = other.fetch("1", "(BODY.PEEK[])")
        self.assertIn(mark(1), [each[1] for each in found if isinstance(each, tuple)])

    def heard(self, other: imaplib.IMAP4) -> list[list[bytes]]:
        """Everything until the old one has gone and the new one is there, and what was said at once together."""
        said: list[list[bytes]] = []
        until = time.monotonic() + 20
        while time.monotonic() < until:
            together = b"".join(line for burst in said for line in burst)
            if b" EXPUNGE" in together and b" EXISTS" in together:
                break
            burst = b""
            while select([other.sock], [], [], 0.3)[0]:
                burst += other.sock.recv(65536)
            said += [burst.splitlines(keepends=True)] if burst else []
        return said
