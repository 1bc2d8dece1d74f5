"""Multipart messages are taken apart exactly at their delimiter lines."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.wire import mime_fields
from rrsd.core.wire.mime_fields import parse_fields
from rrsd.core.wire.mime_parts import MOST_DEPTH, MOST_FIELDS, Part, parse_parts
from tests.core.wire.mime_cases import message


def parts_of(raw: bytes) -> tuple[Part, ...]:
    """The leaves of the message."""
    fields, body = parse_fields(raw, 0, len(raw))
    return parse_parts(raw, fields, body, 100)


def bodies_of(raw: bytes) -> list[bytes]:
    """The bodies of the leaves."""
    return [raw[part.body : part.end] for part in parts_of(raw)]


def nested(depth: int) -> bytes:
    """A message of `depth` multiparts in one another."""
    opened = [
        line
        for level in range(1, depth)
        for line in (f"--b{level}", f"Content-Type: multipart/mixed; boundary=b{level + 1}", "")
    ]
    closed = [f"--b{level}--" for level in range(depth, 0, -1)]
    return message(*opened, f"--b{depth}", "", "deep", *closed)


class ParseParts(SynchronousTestCase):
    """`parse_parts`."""

    def test_leaves_in_order(self) -> None:
        """Preamble and epilogue belong to no part; padding after a delimiter is allowed."""
        raw = message("preamble", "--b1  ", "", "one", "--b1", "X: y", "", "two", "--b1--", "--b1", "", "epilogue")
        self.assertEqual(bodies_of(raw), [b"one\r\n", b"two\r\n"])
        self.assertEqual([part.closes for part in parts_of(raw)], [False, True])
        self.assertEqual([raw[part.delimiter : part.start] for part in parts_of(raw)], [b"--b1  \r\n", b"--b1\r\n"])

    def test_longer_boundary_is_another(self) -> None:
        """A line that only begins like a delimiter is content, also in the middle of a line."""
        raw = message("--b1", "", "--b1x", "x--b1", " --b1", "--b1--x", "--b1--")
        self.assertEqual(bodies_of(raw), [b"--b1x\r\nx--b1\r\n --b1\r\n--b1--x\r\n"])

    def test_nesting(self) -> None:
        """Parts of parts are found down to the depth limit and refused beyond it."""
        self.assertEqual(bodies_of(nested(MOST_DEPTH)), [b"deep\r\n"])
        self.assertFalse(parts_of(nested(2))[0].closes)
        with self.assertRaises(Malformed):
            parts_of(nested(MOST_DEPTH + 1))

    def test_opaque(self) -> None:
        """What is signed, encoded, or of two types is one leaf."""
        inner = ("--b2", "", "inside", "--b2--")
        for fields in (
            ("Content-Type: multipart/signed; boundary=b2",),
            ("Content-Type: multipart/mixed; boundary=b2", "Content-Transfer-Encoding: base64"),
            ("Content-Type: multipart/mixed; boundary=b2", "Content-Type: multipart/mixed; boundary=b3"),
            ("not a header", "Content-Type: multipart/mixed; boundary=b2"),
        ):
            self.assertEqual(len(parts_of(message("--b1", *fields, "", *inner, "--b1--"))), 1)
        self.assertEqual(parts_of(message("--b1--", content_type="multipart/signed; boundary=b1")), ())
        self.assertEqual(parts_of(message("--b1--", content_type="text/plain")), ())

    def test_encrypted_as_a_whole(self) -> None:
        """Nothing is taken from multipart/encrypted, and nothing in it stands for an attachment."""
        inner = ("--b2", "Content-Transfer-Encoding: base64", "", "aaaa", "--b2--")
        for kind in ("multipart/encrypted", "Multipart/Encrypted"):
            field = f'{kind}; protocol="application/pgp-encrypted"; boundary=b2'
            self.assertEqual(parts_of(message(*inner, content_type=field)), ())
            raw = message("--b1", f"Content-Type: {field}", "", *inner, "--b1--")
            self.assertEqual(bodies_of(raw), ["".join(f"{line}\r\n" for line in inner).encode()])

    def test_broken(self) -> None:
        """A multipart without a usable boundary, a part or an end is refused."""
        for raw in (
            message("--b1", "", "cut off"),
            message("--b1--"),
            message("nothing"),
            message("", content_type="multipart/mixed"),
            message("", content_type='multipart/mixed; boundary="b1'),
            message("", content_type=f"multipart/mixed; boundary={'b' * 71}"),
            message("", content_type='multipart/mixed; boundary="b1 "'),
            message("", content_type='multipart/mixed; boundary="<b1>"'),
        ):
            with self.assertRaises(Malformed):
                parts_of(raw)

    def test_part_without_header(self) -> None:
        """A part may begin with its body, and may be empty."""
        self.assertEqual(bodies_of(message("--b1", "", "text", "--b1", "--b1--")), [b"text\r\n", b""])


class Floods(SynchronousTestCase):
    """What costs more memory than it has bytes is counted while it is read."""

    def test_header_of_nothing_but_fields(self) -> None:
        """A header has a thousand fields at most, in a message and in a part."""
        most = b"a:\r\n" * (mime_fields.MOST_FIELDS - 3)
        raw = message("", "--b1", "", "x", "--b1--")
        self.assertEqual(len(parts_of(most + raw)), 1)
        for bad in (most + b"a:\r\n" + raw, raw.replace(b"--b1\r\n\r\n", b"--b1\r\n" + most + b"a:\r\n" * 4 + b"\r\n")):
            with self.assertRaises(TooLarge):
                parts_of(bad)

    def test_fields_of_all_parts(self) -> None:
        """Many parts with many fields each are refused although each for itself would do."""
        part = b"--b1\r\n" + b"a:\r\n" * (MOST_FIELDS // 100) + b"\r\n\r\n"
        for count, fits in ((100, True), (101, False)):
            raw = message("") + part * count + b"--b1--\r\n"
            header, body = parse_fields(raw, 0, len(raw))
            if fits:
                self.assertEqual(len(parse_parts(raw, header, body, 1000)), count)
            else:
                self.assertRaises(TooLarge, parse_parts, raw, header, body, 1000)

    def test_message_of_nothing_but_delimiters(self) -> None:
        """Delimiter lines beyond the most parts are not even collected."""
        raw = message("") + b"--b1\r\n" * 1000 + b"--b1--\r\n"
        with self.assertRaises(TooLarge):
            parts_of(raw)
