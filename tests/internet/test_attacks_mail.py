"""A hostile client at both filters, and hostile placeholders: nothing is taken for what it is not.

What the wire format alone decides is in `tests/core/wire`; clients that are slow or flood us in `tests/drivers/smtp`,
and so are hostile next servers; the milter is in `test_milter`.
"""

import itertools
import re
from datetime import timedelta
from typing import Any, ClassVar

from tests.internet.test_mail import BEGIN, IN, OUT, MailCase
from tests.support.incoming import FILE, MOST, WayInCase
from tests.support.mailservers import Post, Way

BODY = b"Subject: x\r\n\r\nhello\r\n..\r\n"
LMTP = BEGIN.replace(b"EHLO", b"LHLO")
COMMANDS = (
    b"EHLO foo.test", b"MAIL FROM:<alice@foo.test>", b"RCPT TO:<bob@bar.test>", b"DATA", b"BDAT 3 LAST\r\nab", b"RSET",
    b"XFORWARD IDENT=4A", b"NOOP", b"VRFY bob", b"STARTTLS", b"AUTH PLAIN AGEAYg==", b"",
)  # fmt: skip


class Doors(MailCase):
    """Both filters."""

    def doors(self) -> list[tuple[int, bytes, Post]]:
        """Port, the commands before a message, and where it goes."""
        return [(OUT, BEGIN, self.out), (IN, LMTP, self.inbox)]

    def test_cut_at_every_byte(self) -> None:
        """A client that is gone has sent no message, unless it had sent the end of it."""
        for port, begin, post in self.doors():
            dialogue = begin + BODY + b".\r\n"
            for length in range(len(dialogue) + 1):
                way = Way.to(self.world, port)
                way.say(dialogue[:length])
                way.cut()
                self.assertEqual(len(post.kept), int(length == len(dialogue)), dialogue[:length][-20:])
            self.assertEqual(post.kept[0][1], BODY.replace(b"\r\n..", b"\r\n."))

    def test_cut_in_a_chunk(self) -> None:
        """The same with BDAT."""
        for port, begin, post in self.doors():
            dialogue = begin.replace(b"DATA\r\n", b"BDAT 4\r\nab\r\nBDAT 4 LAST\r\ncd\r\n")
            for length in range(len(dialogue) + 1):
                way = Way.to(self.world, port)
                way.say(dialogue[:length])
                way.cut()
                self.assertEqual(len(post.kept), int(length == len(dialogue)), dialogue[:length][-20:])
            self.assertEqual(post.kept[0][1], b"ab\r\ncd\r\n")

    def test_ends_that_are_none(self) -> None:
        """Where somebody else might see the end of a message: refused, or handed on as it is; never two messages."""
        smuggled = b"MAIL FROM:<evil@foo.test>\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\nevil\r\n.\r\n"
        befores = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\0\r\n", b"\x85")
        afters = (b"\n", b"\r", b" \r\n", b"\0\r\n", b"\r\r\n", b"\n\r\n", b"\r\0\n", b"\x85\r\n")
        ends = [b".".join(pair) for pair in itertools.product(befores, afters)]
        for (port, begin, post), end in itertools.product(self.doors(), ends):
            before = len(post.kept)
            way = Way.to(self.world, port)
            said = way.say(begin + b"x" + end + smuggled)
            way.cut()
            made = [data for _, data in post.kept[before:]]
            self.assertIn(said[-1], (250, 554), end)
            self.assertEqual([b"evil" in each and b"MAIL FROM" in each for each in made], [True] * len(made), end)
            self.assertEqual(len(made), int(said[-1] == 250), end)

    def test_next_message_at_once(self) -> None:
        """What is pipelined behind the end is the next message, not more of this one."""
        for port, begin, post in self.doors():
            again = begin[begin.index(b"MAIL") :]
            way = self.way(port)
            said = way.say(begin + b"one\r\n.\r\n" + again + b"two\r\n.\r\n" + b"QUIT\r\n" + again + b"three\r\n.\r\n")
            self.assertEqual(said.count(250), 7)
            self.assertEqual((said[-1], [data for _, data in post.kept]), (221, [b"one\r\n", b"two\r\n"]))

    def test_lies_about_size(self) -> None:
        """A chunk is as long as was said: more of it is commands, less of it is no message; nonsense is no number."""
        for port, begin, post in self.doors():
            before = begin.replace(b"DATA\r\n", b"")
            way = self.way(port)
            said = way.say(before + b"BDAT 3 LAST\r\nx\r\nRCPT TO:<evil@bar.test>\r\n")
            self.assertEqual((said[-2], said[-1] // 100, len(post.kept)), (250, 5, 1))
            way = self.way(port)
            way.say(before + b"BDAT 500 LAST\r\nx\r\n.\r\nQUIT\r\n")
            way.cut()
            self.assertEqual(len(post.kept), 1)
            for size in (b"-1", b"+3", b"0x3", b"3.0", b"9" * 40, b"", b" ", b"3 LAST LAST", b"\xc2\xb2"):
                way = self.way(port)
                said = way.say(before + b"BDAT " + size + b"\r\nx\r\n")
                way.cut()
                self.assertTrue(any(code // 100 in (4, 5) for code in said) or way.sender.is_lost, size)
                self.assertEqual(len(post.kept), 1, size)
            way = self.way(port)
            said = way.say(before + b"BDAT 3\r\nx\r\nDATA\r\n")
            self.assertEqual((said[-1] // 100, len(post.kept)), (5, 1))
            way.cut()

    def test_any_order(self) -> None:
        """Three commands in any order end nothing and hand on nothing without sender and recipient."""
        for port, _, post in self.doors():
            for three in itertools.product(COMMANDS, repeat=3):
                way = Way.to(self.world, port)
                said = way.say(b"\r\n".join(three) + b"\r\n")
                way.cut()
                self.assertTrue(said and all(200 <= code < 600 for code in said), three)
                self.assertEqual(post.begun, 0, three)

    def test_line_without_end(self) -> None:
        """A mebibyte of a command, and of an address."""
        for begin in (b"", b"EHLO a\r\nMAIL FROM:<", b"EHLO a\r\nMAIL FROM:<a@foo.test> ENVID="):
            way = self.way(OUT)
            for _ in range(64):
                way.say(begin + b"x" * 16384)
            self.assertTrue(way.sender.is_lost)
        self.assertEqual(self.out.begun, 0)


class Placeholders(WayInCase):
    """What a domain that signs properly may send."""

    mail: ClassVar[dict[str, Any]] = {"linger": timedelta()}

    def parts(self, raw: bytes) -> tuple[bytes, bytes, bytes]:
        """What stands before the part of the attachment, the part with its delimiter, and the rest."""
        found = re.search(rb"--[^\r\n]+\r\nContent-Type: message/external-body.*?(?=--)", raw, re.DOTALL)
        assert found is not None
        return raw[: found.start()], found.group(), raw[found.end() :]

    def made(self, name: str = "a.bin") -> bytes:
        """A placeholder that nobody has signed."""
        return self.foo.send(["bob@bar.test"], {name: FILE})

    def arrives_as_it_was(self, raw: bytes) -> None:
        """Delivered at once and unchanged; nobody pulls."""
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.inbox.kept[-1][1], self.bar.jobs()), (raw, []))

    def test_ten_thousand_parts(self) -> None:
        """Too many are none: the message passes."""
        before, part, after = self.parts(self.made())
        self.arrives_as_it_was(self.signed(before + part * 10_000 + after))

    def test_nested(self) -> None:
        """Deeper than anybody nests; what is inside stays inside."""
        before, part, after = self.parts(self.made())
        depth = 500
        opened = b"".join(b"--%s\r\nContent-Type: multipart/mixed; boundary=n%d\r\n\r\n" % (
            b"n%d" % (n - 1) if n else part[2 : part.index(b"\r\n")], n) for n in range(depth))  # fmt: skip
        inner = b"--n%d" % (depth - 1) + part[part.index(b"\r\n") :]
        closed = b"".join(b"--n%d--\r\n" % n for n in reversed(range(depth)))
        self.arrives_as_it_was(self.signed(before + opened + inner + closed + after))

    def test_huge_header(self) -> None:
        """Half a mebibyte of fields, and one field of as much."""
        raw = self.made()
        for more in (
            b"X-A: b\r\n" * 65_536,
            b"X-A: " + b"b" * 500 + b"\r\n " * 1 + (b"c" * 500 + b"\r\n ") * 1000 + b"d\r\n",
        ):
            self.arrives_as_it_was(self.signed(more + raw))

    def test_names_of_files(self) -> None:
        """A name is a text in a header: it stays what it was, and bytes are kept under their digest."""
        for number, name in enumerate(
            ("../../../tmp/evil", "/etc/evil", "C:\\\\evil.exe", "evil.bin\\0", "%2e%2e%2fevil")
        ):
            before, part, after = self.parts(self.made())
            raw = self.signed(before + part.replace(b"a.bin", name.encode()) + after)
            self.deliver(raw, queue=f"A{number}")
            self.world.advance(5)
            self.assertEqual(self.deliver(raw, queue=f"A{number}"), [250], name)
            self.assertIn(name.encode(), self.inbox.kept[-1][1])
            self.assertIn(b"AP9ob2xpZGF5", self.inbox.kept[-1][1], name)
        self.assertEqual([path for path in self.world.folder.rglob("*") if "evil" in path.name], [])

    def test_same_message_id(self) -> None:
        """Two messages under one Message-ID are two messages: neither stands for the other, or hinders it."""
        first = self.signed()
        found = re.search(rb"(?i)Message-ID: [^\r\n]+", first)
        assert found is not None
        second = self.signed(re.sub(rb"(?i)Message-ID: [^\r\n]+", found.group(), self.made("b.bin")))
        for raw, queue in ((second, "A2"), (first, "A1")):
            self.assertEqual(self.deliver(raw, queue=queue), [450])
        self.world.advance(5)
        self.assertEqual(self.deliver(first, queue="A1"), [250])
        self.world.advance(MOST.total_seconds(), 10)
        self.assertEqual(self.deliver(second, queue="A2"), [250])
        self.assertEqual(len(self.inbox.kept), 2)
        for (_, message), name in zip(self.inbox.kept, (b"a.bin", b"b.bin"), strict=True):
            self.assertIn(name, message)
