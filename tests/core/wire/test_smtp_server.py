"""Conversations with an SMTP or LMTP server that has no sockets."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.envelopes import Envelope, ForwardPath, Reply, ReversePath
from rrsd.core.wire.smtp_server import Began, Broken, Came, Ended, Event, Offer, ServerSession

BEGIN = b"EHLO foo.test\r\nMAIL FROM:<alice@foo.test>\r\nRCPT TO:<bob@bar.test>\r\n"
GOOD = Reply(250, "2.0.0", ("kept",))


def session(**offered: Any) -> ServerSession:
    """A conversation after its greeting."""
    made = ServerSession(Offer("mx.bar.test", **offered))
    made.greet()
    made.out.clear()
    return made


def codes(made: ServerSession) -> list[int]:
    """The codes of the replies so far, last lines only."""
    lines = bytes(made.out).split(b"\r\n")[:-1]
    made.out.clear()
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


def message(events: list[Event]) -> bytes:
    """All blocks, joined."""
    return b"".join(event.block for event in events if isinstance(event, Came))


class Transactions(SynchronousTestCase):
    """From greeting to reply."""

    def test_one_message(self) -> None:
        """Everything in one block, as PIPELINING allows."""
        made = session()
        events = made.receive(BEGIN + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n")
        envelope = Envelope("foo.test", ReversePath("alice@foo.test"), (ForwardPath("bob@bar.test"),))
        self.assertEqual(events[0], Began(envelope))
        self.assertEqual(message(events), b"Subject: x\r\n\r\n.dot\r\n")
        self.assertEqual((events[-1], made.is_waiting), (Ended(), True))
        self.assertEqual(codes(made), [250, 250, 250, 354])
        self.assertEqual(made.answer([GOOD]), [])
        self.assertEqual(bytes(made.out), b"250 2.0.0 kept\r\n")

    def test_refused_recipient(self) -> None:
        """Whoever listens may refuse one by what was said before; the others get the message."""
        asked: list[tuple[str, str, str]] = []

        def refuses(forwarded: Mapping[str, str], sender: ReversePath, recipient: ForwardPath) -> Reply | None:
            asked.append((forwarded.get("IDENT", ""), sender.path, recipient.path))
            return Reply(550, "5.7.1", ("no",)) if recipient.path == "bob@bar.test" else None

        made = session(refuses=refuses, has_xforward=True)
        begin = BEGIN.replace(b"MAIL", b"XFORWARD IDENT=4A\r\nMAIL") + b"RCPT TO:<carol@bar.test>\r\n"
        events = made.receive(begin + b"DATA\r\nx\r\n.\r\n")
        assert isinstance(events[0], Began)
        self.assertEqual([each.path for each in events[0].envelope.recipients], ["carol@bar.test"])
        self.assertEqual(codes(made), [250, 250, 250, 550, 250, 354])
        self.assertEqual(asked, [("4A", "alice@foo.test", each) for each in ("bob@bar.test", "carol@bar.test")])

    def test_nothing_is_read_while_a_message_waits(self) -> None:
        """The next transaction begins when the last one has its reply."""
        made = session()
        made.receive(BEGIN + b"DATA\r\n.\r\n" + BEGIN[15:] + b"DATA\r\nb\r\n.\r\nQUIT\r\n")
        codes(made)
        events = made.answer([GOOD])
        self.assertEqual(message(events), b"b\r\n")
        self.assertEqual(codes(made), [250, 250, 250, 354])
        made.answer([Reply(451)])
        self.assertEqual((codes(made), made.is_over), ([451, 221], True))
        self.assertRaises(ValueError, made.answer, [GOOD])

    def test_lmtp_has_a_reply_for_each_recipient(self) -> None:
        """RFC 2033 4.2: as many as there were good RCPTs, in their order."""
        made = session(is_lmtp=True)
        made.receive(BEGIN.replace(b"EHLO", b"LHLO") + b"RCPT TO:<x\r\nRCPT TO:<carol@bar.test>\r\nDATA\r\na\r\n.\r\n")
        self.assertEqual(codes(made), [250, 250, 250, 501, 250, 354])
        self.assertRaises(ValueError, made.answer, [GOOD])
        made.answer([GOOD, Reply(450)])
        self.assertEqual(codes(made), [250, 450])

    def test_offers(self) -> None:
        """What is announced, and what is refused because it is not."""
        made = session(has_dsn=True, has_xforward=True)
        made.receive(b"EHLO foo.test\r\nXFORWARD NAME=a IDENT=17\r\nXFORWARD IDENT=18\r\n")
        for keyword in (b"PIPELINING", b"8BITMIME", b"SIZE ", b"SMTPUTF8", b"CHUNKING", b"DSN", b"XFORWARD NAME"):
            self.assertIn(keyword, bytes(made.out))
        events = made.receive(b"MAIL FROM:<> RET=FULL ENVID=1\r\nRCPT TO:<bob@bar.test> NOTIFY=NEVER\r\nDATA\r\n.\r\n")
        self.assertIsInstance(events[0], Began)
        self.assertEqual(getattr(events[0], "envelope").forwarded, {"NAME": "a", "IDENT": "18"})  # noqa: B009
        plain = session()
        plain.receive(b"EHLO foo.test\r\nXFORWARD NAME=a\r\nMAIL FROM:<> RET=FULL\r\nMAIL FROM:<> BODY=BINARYMIME\r\n")
        plain.receive(b"MAIL FROM:<>\r\nRCPT TO:<bob@bar.test> NOTIFY=NEVER\r\n")
        self.assertEqual(codes(plain), [250, 500, 555, 555, 250, 555])

    def test_order(self) -> None:
        """Commands that come too early or twice."""
        made = session(most_errors=100, has_xforward=True)
        made.receive(
            b"MAIL FROM:<>\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\nXFORWARD NAME=a\r\nLHLO x\r\nEHLO\r\nEHLO a b\r\n"
        )
        self.assertEqual(codes(made), [503, 503, 503, 503, 500, 501, 501])
        made.receive(b"HELO foo.test\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nXFORWARD NAME=a\r\nDATA\r\nDATA x\r\n")
        self.assertEqual(codes(made), [250, 250, 503, 503, 503, 501])
        made.receive(b"RSET\r\nRCPT TO:<bob@bar.test>\r\nNOOP hello\r\nVRFY bob\r\n\r\n")
        self.assertEqual(codes(made), [250, 503, 250, 252, 501])

    def test_limits(self) -> None:
        """Recipients, sizes, errors and lines have ends."""
        made = session(most_recipients=1, most_size=10)
        made.receive(b"EHLO a\r\nMAIL FROM:<> SIZE=11\r\nMAIL FROM:<> SIZE=10\r\n" + b"RCPT TO:<b@bar.test>\r\n" * 2)
        self.assertEqual(codes(made), [250, 552, 250, 250, 452])
        events = made.receive(b"DATA\r\n12345678\r\n" + b"more\r\n" * 1000 + b".\r\nNOOP\r\n")
        self.assertEqual((events[-1], codes(made)), (Broken(), [354, 552, 250]))
        wrong = session(most_errors=3)
        wrong.receive(b"A\r\n" * 9)
        self.assertEqual((codes(wrong), wrong.is_over), ([500, 500, 500, 421], True))
        long = session()
        long.receive(b"NOOP " + b"x" * 9000)
        self.assertEqual((codes(long), long.is_over), ([500], True))

    def test_long_name_of_a_stranger(self) -> None:
        """Postfix takes 2,048 octets after EHLO and hands them on in xtext: the message would never come in."""
        made = session(has_xforward=True)
        begin = BEGIN.replace(b"MAIL", b"XFORWARD PROTO=ESMTP HELO=" + b"+2B" * 2048 + b" IDENT=4A\r\nMAIL")
        events = made.receive(begin + b"DATA\r\n")
        self.assertIsInstance(events[0], Began)
        assert isinstance(events[0], Began)
        self.assertEqual(events[0].envelope.forwarded["IDENT"], "4A")

    def test_closing(self) -> None:
        """Whoever sends the rest of a message hears that it will not be kept."""
        made = session()
        made.receive(BEGIN + b"DATA\r\nhalf")
        self.assertEqual(made.close(), [Broken()])
        self.assertEqual(codes(made)[-1], 421)
        self.assertEqual((made.close(), made.receive(b"NOOP\r\n"), codes(made)), ([], [], []))

    def test_smuggled_end(self) -> None:
        """CVE-2023-51764 and its kin: refused, and nothing behind it is read as commands."""
        for lmtp in (False, True):
            for end in (b"\n.\r\n", b"\r.\r\n", b"\n.\n", b"\r\n.\n", b"\r\n.\r"):
                made = session(is_lmtp=lmtp)
                begin = BEGIN.replace(b"EHLO", b"LHLO") if lmtp else BEGIN
                events = made.receive(begin + b"DATA\r\nx" + end + b"MAIL FROM:<evil@foo.test>\r\n.\r\nNOOP\r\n")
                self.assertEqual((events[-1], made.is_over, codes(made)[-1]), (Broken(), True, 554), end)


class Chunks(SynchronousTestCase):
    """CHUNKING (RFC 3030)."""

    def test_message_in_chunks(self) -> None:
        """No dots, no end, only sizes; a line may be cut anywhere."""
        made = session()
        events = made.receive(BEGIN + b"BDAT 5\r\na\r\n.\rBDAT 3\r\n\nb\rBDAT 1 LAST\r\n\n")
        self.assertEqual(message(events), b"a\r\n.\r\nb\r\n")
        self.assertEqual((codes(made), events[-1]), ([250, 250, 250, 250, 250], Ended()))
        made.answer([GOOD])
        self.assertEqual(codes(made), [250])

    def test_order(self) -> None:
        """Chunks for nobody are read and refused; DATA and RCPT do not mix with them; RSET forgets them."""
        made = session()
        made.receive(b"EHLO a\r\nBDAT 4\r\nQUITBDAT 0 LAST\r\nMAIL FROM:<>\r\nRCPT TO:<b@bar.test>\r\n")
        self.assertEqual(codes(made), [250, 503, 503, 250, 250])
        events = made.receive(b"BDAT 1\r\naDATA\r\nRCPT TO:<c@bar.test>\r\nRSET\r\n")
        self.assertEqual((codes(made), events[-1]), ([250, 503, 503, 250], Broken()))
        empty = session()
        self.assertEqual(empty.receive(BEGIN + b"BDAT 0 LAST\r\n")[-1], Ended())

    def test_bare_line_ends(self) -> None:
        """As in DATA."""
        for chunk in (b"BDAT 2 LAST\r\n\na", b"BDAT 1 LAST\r\n\r", b"BDAT 1\r\n\rBDAT 1 LAST\r\na"):
            made = session()
            self.assertEqual(made.receive(BEGIN + chunk)[-1], Broken())
            self.assertTrue(made.is_over)

    def test_too_large(self) -> None:
        """What is too much is read to its end."""
        made = session(most_size=4)
        events = made.receive(BEGIN + b"BDAT 6\r\na\r\nb\r\nBDAT 6 LAST\r\na\r\nb\r\nNOOP\r\n")
        self.assertEqual((events[-1], codes(made)[-3:]), (Broken(), [250, 552, 250]))
        dropped = session(most_size=4)
        dropped.receive(BEGIN + b"BDAT 6\r\na\r\nb\r\nRSET\r\n")
        self.assertEqual(codes(dropped)[-2:], [250, 250])
        late = session(most_size=4)
        self.assertEqual(late.receive(BEGIN + b"DATA\r\na\r\nbcdef\r\n")[-1], Broken())
        self.assertEqual((late.receive(b"\n"), late.is_over, codes(late)[-1]), ([], True, 554))
        bare = session(most_size=4)
        self.assertEqual(bare.receive(BEGIN + b"BDAT 12 LAST\r\na\r\nb\r\na\r\nb\r\r")[-1], Broken())


class Anything(SynchronousTestCase):
    """No conversation breaks the server, and blocks do not matter to it."""

    PIECES = st.lists(
        st.sampled_from([
            BEGIN, b"DATA\r\n", b".\r\n", b"\r\n.\r\n", b"..\r\n", b"a", b"\r", b"\n", b"BDAT 3\r\n",
            b"BDAT 3 LAST\r\n",
            b"abc", b"RSET\r\n", b"QUIT\r\n", b"NOOP\r\n", b"LHLO x\r\n", b"MAIL FROM:<>\r\n", b"\xff\x00\r\n",
        ]),
        max_size=20,
    ).map(b"".join)  # fmt: skip

    def outcome(self, blocks: list[bytes]) -> tuple[bytes, bytes, bool]:
        """What is sent and kept, every message answered well."""
        made, kept = session(most_size=20), b""
        for block in blocks:
            events = made.receive(block)
            while True:
                kept += b"".join(
                    event.block if isinstance(event, Came) else f"[{type(event).__name__}]".encode() for event in events
                )
                if not made.is_waiting:
                    break
                events = made.answer([GOOD])
        return bytes(made.out), kept, made.is_over

    @given(PIECES, st.integers(1, 7))
    def test_blocks_do_not_matter(self, data: bytes, size: int) -> None:
        """Whole or byte by byte: the same replies, the same messages."""
        blocks = [data[at : at + size] for at in range(0, len(data), size)]
        whole, cut = self.outcome([data]), self.outcome(blocks)
        self.assertEqual(whole[0], cut[0])
        self.assertEqual(whole[2], cut[2])
        if b"[Broken]" not in cut[1]:
            self.assertEqual(whole[1], cut[1])
