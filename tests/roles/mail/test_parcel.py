"""Messages taken apart and put together: whole they are what came, to the byte, and the placeholder keeps the rest."""

from collections.abc import AsyncIterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import parse_origin
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.core.wire.mime import parse_placeholder
from rrsd.drivers.store.memory import MemoryStore
from rrsd.roles.mail.flow.parcel import Parcel
from rrsd.roles.mail.rules import Kept, attachments_of, placeholder_of, read_header
from tests.support.domains import FlowCase, now

HEADER = b'From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
PART = b'Content-Type: video/mp4; name="a.mp4"\r\nContent-Transfer-Encoding: base64\r\n'
DATA = bytes(range(256)) * 20


def encoded(data: bytes, line: int = 76) -> bytes:
    """Base64 in lines."""
    lines = Base64Lines(line)
    return lines.feed(data) + lines.finish()


def message(*bodies: bytes) -> bytes:
    """A message with a text and these parts."""
    parts = b"".join(b"--b\r\n" + PART + b"\r\n" + body for body in bodies)
    return HEADER + b"\r\n--b\r\n\r\nhello\r\n" + parts + b"--b--\r\n"


async def cut(raw: bytes, size: int) -> AsyncIterator[bytes]:
    """The message in blocks."""
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


async def joined(blocks: AsyncIterator[bytes]) -> bytes:
    """All of it."""
    return b"".join([block async for block in blocks])


class Parcels(FlowCase):
    """Over the store in memory."""

    def setUp(self) -> None:
        """A store."""
        self.store = MemoryStore(now)
        self.run_now(self.store.start())

    def parcel(self, raw: bytes, *, take: bool = True, size: int = 1000) -> Parcel:
        """The message, taken apart."""

        async def may_take() -> bool:
            return take

        store: Any = self.store
        parcel = Parcel(1000, store.spools.begin(), store.deposits, store.blobs, may_take)
        self.run_now(parcel.fill(cut(raw, size)))
        return parcel

    def placeholder(self, parcel: Parcel, raw: bytes) -> bytes:
        """What goes out in its place."""
        header = read_header(raw[: raw.index(b"\r\n\r\n") + 2], Domain("foo.test"))
        assert header is not None
        attachments = attachments_of(parcel.pieces, parse_origin("https://rs.foo.test"), now())
        form = placeholder_of(parcel.pieces, attachments, header, header.message_id)
        return self.run_now(joined(parcel.written(form)))

    @given(
        st.lists(st.binary(max_size=3000).map(lambda data: data * 3), max_size=3),
        st.sampled_from((4, 64, 72, 76, 996)),
        st.sampled_from((b"", b"\r\n", b"\r\n\r\n", b"!\r\n")),
        st.integers(1, 5000),
    )
    @settings(derandomize=True, max_examples=150, deadline=None)
    def test_to_the_byte(self, files: list[bytes], line: int, tail: bytes, size: int) -> None:
        """Whatever the parts, the length of their lines, what stands behind them and the blocks."""
        raw = message(*(encoded(data, line) + tail for data in files))
        prints = set()
        for take in (True, False):
            parcel = self.parcel(raw, take=take, size=size)
            self.assertEqual(self.run_now(joined(parcel.whole())), raw)
            self.assertEqual(parcel.size, len(raw))
            prints.add(parcel.fingerprint)
            if take:
                found = parse_placeholder(self.placeholder(parcel, raw)).attachments
                large = [data for data in files if len(encoded(data, line)) > 1000 and b"!" not in tail]
                self.assertLessEqual({each.digest for each in found}, {digest_of(data) for data in large})
            self.run_now(parcel.close())
        self.assertEqual(len(prints), 1)

    def test_given_back(self) -> None:
        """A part that turns out to be of another form is put back, whether it was taken or not, and leaves no blob."""
        raw = message(encoded(DATA) + b"###\r\n", encoded(DATA + b"x"))
        taken, kept = self.parcel(raw), self.parcel(raw, take=False)
        self.assertEqual((taken.taken, kept.taken), (1, 0))
        self.assertEqual(self.run_now(joined(taken.whole())), raw)
        self.assertEqual(self.run_now(joined(kept.whole())), raw)
        self.assertEqual(taken.fingerprint, kept.fingerprint)
        self.assertIn(b"###", self.placeholder(taken, raw))

    def test_given_back_in_other_blocks(self) -> None:
        """At a retry the blocks are others and more or less was decoded when a line is wrong: it is the same message,
        and who has it does not get it again."""
        lines = encoded(bytes(range(256)) * 3000).split(b"\r\n")
        lines[9000] = lines[9000][:40]
        raw = message(b"\r\n".join(lines))
        parcels = [self.parcel(raw, take=take, size=size) for take in (True, False) for size in (65536, 300, 100_000)]
        for parcel in parcels:
            self.assertEqual(self.run_now(joined(parcel.whole())), raw)
            self.run_now(parcel.close())
        self.assertEqual(len({parcel.fingerprint for parcel in parcels}), 1)

    def test_other_bytes_have_another_fingerprint(self) -> None:
        """In what stays, in what is taken, and in how it was written."""
        raw = message(encoded(DATA))
        others = (
            raw.replace(b"hello", b"HELLO"), message(encoded(DATA[1:])), message(encoded(DATA, 72)),
            message(encoded(DATA) + b"\r\n"), message(encoded(DATA) + b"#\r\n"),
        )  # fmt: skip
        prints = {self.parcel(each).fingerprint for each in (raw, *others)}
        self.assertEqual(len(prints), 6)
        self.assertIn(self.parcel(raw, take=False, size=7).fingerprint, prints)

    def test_left_in_the_middle(self) -> None:
        """What was begun is given up."""
        raw = message(encoded(DATA))

        async def broken() -> AsyncIterator[bytes]:
            yield raw[:3000]
            raise Unavailable("gone")

        parcel = self.parcel(b"")
        self.refuse_now(parcel.fill(broken()), Unavailable)
        self.run_now(parcel.close())
        self.assertEqual(getattr(self.store._files, "_open", None), {})

    def test_full_disk(self) -> None:
        """Said as it is."""
        self.store._space._keep_free = 1 << 62
        parcel = self.parcel(b"")
        self.refuse_now(parcel.fill(cut(message(encoded(DATA)), 999)), NoSpace)
        self.run_now(parcel.close())

    def test_kept_runs_are_joined(self) -> None:
        """A message of many blocks is a few pieces."""
        parcel = self.parcel(message(encoded(DATA)), size=3)
        kinds = [type(piece).__name__ for piece in parcel.pieces]
        self.assertEqual(kinds, ["Kept", "Taken", "Closing", "Kept"])
        self.assertEqual(parcel.pieces[0], Kept(0, len(HEADER) + len(b"\r\n--b\r\n\r\nhello\r\n--b\r\n")))
