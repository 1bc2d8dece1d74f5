"""Conversations with a milter that has no sockets."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.envelopes import Reply
from rrsd.core.wire import milter
from rrsd.core.wire.milter import MilterSession, Packet, Packets, Whole, render_packet
from tests.support.milters import BODY, HEAD, Heard, conversation, negotiation, texts

RAW = HEAD + b"\r\n" + BODY
NO = Reply(550, "5.7.1", ("100% wrong",))


def session(steps: int | None = None, most: int = 10_000) -> MilterSession:
    """A conversation after the negotiation."""
    made = MilterSession(lambda head: b"multipart" in head, most)
    made.receive(negotiation() if steps is None else negotiation(steps))
    made.out.clear()
    return made


def letters(made: MilterSession) -> str:
    """What was said since."""
    said = Heard().take(bytes(made.out))
    made.out.clear()
    return "".join(letter for letter, _ in said)


class Conversations(SynchronousTestCase):
    """From negotiation to verdict."""

    def test_negotiation(self) -> None:
        """Only what is offered is declined, nothing is changed in messages, and no newer version is claimed."""
        for version, steps, wanted in ((6, 0x1FFFFF, int(milter.WANTED)), (2, 0x7F, 0x0B), (99, 0, 0)):
            made = MilterSession(bool, 10)
            made.receive(negotiation(steps, version))
            [(letter, data)] = Heard().take(bytes(made.out))
            self.assertEqual((letter, struct.unpack("!III", data)), ("O", (min(version, 6), 0, wanted)))

    def test_message(self) -> None:
        """It comes together as it was, the verdict is asked for once, and the next message follows."""
        made = session()
        for block in (65535, 7):
            self.assertEqual(made.receive(conversation(RAW, block=block)), Whole("alice@foo.test", RAW))
            self.assertTrue(made.is_waiting)
            self.assertEqual(set(letters(made)), {"c"})
            self.assertIsNone(made.answer(None))
            self.assertEqual(letters(made), "a")
        made.receive(conversation(RAW, b"<>"))
        made.out.clear()
        made.answer(NO)
        self.assertEqual(Heard().take(bytes(made.out)), [("y", b"550 5.7.1 100%% wrong\0")])
        self.assertRaises(ValueError, made.answer, None)

    def test_two_messages_at_once(self) -> None:
        """The second waits for the verdict about the first."""
        made = session()
        first = made.receive(conversation(RAW) + conversation(RAW, b"<carol@foo.test>"))
        self.assertEqual((first, made.ahead > len(RAW)), (Whole("alice@foo.test", RAW), True))
        self.assertEqual(made.answer(None), Whole("carol@foo.test", RAW))
        self.assertEqual(made.ahead, 0)

    def test_without_leading_spaces(self) -> None:
        """Older mail servers take the space behind the colon away, and want a reply for each field."""
        made = session(0x7F)
        made.receive(texts("M", b"<>"))
        letters(made)
        made.receive(texts("L", b"Subject", b"x") + texts("L", b"Content-Type", b"multipart/x;\n b=c"))
        self.assertEqual(letters(made), "cc")
        whole = made.receive(render_packet(Packet("N")) + render_packet(Packet("E", b"x")))
        self.assertEqual(whole, Whole("", b"Subject: x\r\nContent-Type: multipart/x;\r\n b=c\r\n\r\nx"))

    def test_what_is_not_looked_at(self) -> None:
        """Ordinary and large messages are let go as early as may be: their bodies are never sent or never kept."""
        made = session()
        made.receive(texts("M", b"<>") + texts("L", b"Subject", b" x") + render_packet(Packet("N")))
        self.assertEqual(letters(made), "ca")
        for most, said in ((len(HEAD), "caaa"), (len(HEAD) + 10, "ccaa")):
            large = session(most=most)
            self.assertIsNone(large.receive(conversation(RAW)))
            self.assertEqual((letters(large), large.is_waiting), (said, False))

    def test_other_steps(self) -> None:
        """What we had declined is waved on; what ends a message ends it; a new connection may follow."""
        made = session()
        made.receive(b"".join(render_packet(Packet(letter, b"x")) for letter in "DCHRTU"))
        self.assertEqual(letters(made), "ccccc")
        for end in "AK":
            made.receive(conversation(RAW)[: -len(render_packet(Packet("E")))] + render_packet(Packet(end)))
            letters(made)
            self.assertIsNone(made.receive(render_packet(Packet("E"))))
            self.assertEqual(letters(made), "a")
        made.receive(render_packet(Packet("Q")) + conversation(RAW))
        self.assertEqual((made.is_over, letters(made), made.receive(conversation(RAW))), (True, "", None))

    def test_broken_protocol(self) -> None:
        """The mail server is left."""
        for bad in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x01\0", render_packet(Packet("X")), texts("L", b"a"),
                    texts("L", b"a b", b"c"), texts("L", b"", b"c"), render_packet(Packet("M", b"<>")),
                    render_packet(Packet("O", b"short")), negotiation(version=1)):  # fmt: skip
            made = session()
            made.receive(texts("M", b"<>"))
            self.assertIsNone(made.receive(bad + conversation(RAW)))
            self.assertTrue(made.is_over, bad)
        early = MilterSession(bool, 10)
        early.receive(render_packet(Packet("E")))
        self.assertTrue(early.is_over)

    @given(st.lists(st.sampled_from([
        negotiation(), conversation(RAW), texts("L", b"a", b"b"), render_packet(Packet("E")), b"\0\0\0\x03E", b"x",
        render_packet(Packet("A")), texts("M", b"<>"), b"\0\0",
    ]), max_size=8).map(b"".join), st.integers(1, 9))  # fmt: skip
    def test_blocks_do_not_matter(self, data: bytes, size: int) -> None:
        """Whole or in pieces: the same messages, the same replies."""

        def outcome(blocks: list[bytes]) -> tuple[bytes, list[Whole], bool]:
            made, found = MilterSession(lambda head: True, 1000), []
            for block in blocks:
                whole = made.receive(block)
                while whole is not None:
                    found.append(whole)
                    whole = made.answer(None)
            return bytes(made.out), found, made.is_over

        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self.assertEqual(outcome([data]), outcome(pieces))


class Framing(SynchronousTestCase):
    """Packets have bounds."""

    def test_bounds(self) -> None:
        """A length that nobody needs is refused before anything of it is kept."""
        packets = Packets()
        packets.put(struct.pack("!I", milter.MOST_PACKET + 1))
        self.assertRaises(TooLarge, packets.next)
        nothing = Packets()
        nothing.put(b"\0\0\0\0")
        self.assertRaises(Malformed, nothing.next)
        self.assertRaises(Malformed, milter.parse_sender, b"<>")
