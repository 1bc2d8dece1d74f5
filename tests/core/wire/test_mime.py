"""Placeholder messages are read by offsets and restored byte for byte."""

import base64
import email

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Damaged, Malformed, TooLarge
from rrsd.core.values.messages import Restored, Verbatim
from rrsd.core.wire.base64_lines import Base64Lines
from rrsd.core.wire.mime import (
    attachment_head,
    encoded_size,
    parse_placeholder,
    render_placeholder,
    restored_size,
)
from tests.core.wire.mime_cases import ALICE, FILM, NOTE, OUTGOING, external, lines, message, prototype, restored, sent

PIECES = [
    b"\r\n", b"--b1", b"--", b"--b1--\r\n", b"--b1\r\n", b"Content-Type: multipart/mixed; boundary=b1\r\n", b"\r\n\r\n",
    b"Content-Type: message/external-body; access-type=URL; size=4; URL=", b"From: alice@foo.test\r\n", b"\r", b"\x00",
    b'"https://rs.foo.test/.well-known/ni/sha-256/' + str(FILM.digest).encode() + b'"', b"(", b"\xff", b"=?utf-8?B?",
    b"Message-ID: <1@foo.test>\r\n", b"RRS-Part: notice\r\n", b" ", b"Subject: ",
    b"Content-Disposition: a; filename*0*=",
]  # fmt: skip
FRAGMENTS = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=30).map(b"".join)


class ParsePlaceholder(SynchronousTestCase):
    """`parse_placeholder`."""

    def test_round_trip(self) -> None:
        """What was written is what is read: addresses, subject, attachments in order."""
        placeholder = parse_placeholder(render_placeholder(OUTGOING))
        self.assertEqual((placeholder.message_id, placeholder.sender), ("1@foo.test", ALICE))
        self.assertEqual((placeholder.subject, placeholder.date), ("Holiday", "Fri, 20 Nov 2026 08:30:00 +0000"))
        bare = tuple(evolve(each, headers=b"") for each in placeholder.attachments)
        self.assertEqual(bare, (FILM, NOTE))

    def test_restored_in_place(self) -> None:
        """Attachments come back where they were, after the text, and the notice goes."""
        raw = render_placeholder(OUTGOING)
        body = restored(raw, parse_placeholder(raw)).partition(b"\r\n\r\n")[2]
        text = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n"
        self.assertEqual(body, b"--b1\r\n" + text + b"--b1\r\n[0]--b1\r\n[1]--b1--\r\n")

    def test_restored_message_is_well_formed(self) -> None:
        """An independent parser finds the parts, in order, with the bytes."""
        raw = render_placeholder(OUTGOING)
        placeholder = parse_placeholder(raw)
        content = {0: b"film", 1: b"note"}
        whole = restored(raw, placeholder)
        for index, attachment in enumerate(placeholder.attachments):
            encoder = Base64Lines()
            part = attachment_head(attachment) + encoder.feed(content[index]) + encoder.finish()
            whole = whole.replace(b"[%d]" % index, part)
        self.assertEqual(len(whole), restored_size(placeholder, len(raw)))
        parsed = email.message_from_bytes(whole)
        leaves = [part for part in parsed.walk() if not part.is_multipart()]
        self.assertEqual([part.get_content_type() for part in leaves], ["text/plain", "video/mp4", "text/plain"])
        self.assertEqual([part.get_payload(decode=True) for part in leaves], [b"Hello", b"film", b"note"])

    def test_no_attachments(self) -> None:
        """A message of ordinary parts is kept whole."""
        raw = lines("From: alice@foo.test", "", "Hello")
        placeholder = parse_placeholder(raw)
        self.assertEqual((placeholder.plan, placeholder.attachments), ((Verbatim(0, len(raw)),), ()))
        self.assertEqual((placeholder.message_id, placeholder.subject, placeholder.date), ("", "", ""))

    def test_header_only(self) -> None:
        """A message may end with its header."""
        self.assertEqual(parse_placeholder(b"From: alice@foo.test").sender, ALICE)

    def test_earlier_prototype(self) -> None:
        """The parts of the earlier prototype keep their own header, less what made them external."""
        part = prototype("Content-Type: image/png", "Content-Disposition: attachment; filename=logo.png", "", "dropped")
        raw = b"X-Origin-Mailbox-Service-URL: https://rs.foo.test/\r\n" + message("--b1", *part, "--b1--")
        placeholder = parse_placeholder(raw)
        found = placeholder.attachments[0]
        self.assertEqual((found.digest, found.media_type, found.filename), (FILM.digest, "image/png", "logo.png"))
        self.assertEqual((found.size, str(found.origin), found.expires), (4, "https://rs.foo.test", None))
        kept = lines(
            f"Content-ID: <{FILM.digest}>",
            "Content-Type: image/png",
            "Content-Disposition: attachment; filename=logo.png",
        )
        self.assertEqual(found.headers, kept)
        self.assertTrue(restored(raw, placeholder).endswith(b"\r\n\r\n--b1\r\n[0]--b1--\r\n"))

    def test_notice_needs_its_place(self) -> None:
        """Only a last text/plain part of the outermost multipart is dropped, and only when something is restored."""
        notice = ("RRS-Part: notice", "Content-Type: text/plain", "", "words")
        film = external("Content-Type: video/mp4", "")
        kept = [
            message("--b1", *notice, "--b1--"),
            message("--b1", *film, "--b1", *notice, "--b1", "", "more", "--b1--"),
            message("--b1", *film, "--b1", "RRS-Part: notice", "Content-Type: text/html", "", "words", "--b1--"),
            message("--b1", *film, "--b1", "RRS-Part: notice", "Content-Type: text", "", "words", "--b1--"),
        ]
        for raw in kept:
            self.assertIn(b"words", restored(raw, parse_placeholder(raw)))
        raw = message("--b1", *film, "--b1", "", "text", "--b1", *notice, "--b1--")
        self.assertNotIn(b"words", restored(raw, parse_placeholder(raw)))

    def test_refused_bytes(self) -> None:
        """Bare CR, bare LF, NUL and overlong lines are refused, so that nothing is smuggled (CVE-2023-51764)."""
        for bad in (b"a\nb", b"a\rb", b"\n", b"\r", b"a\x00", b"x" * 999):
            with self.assertRaises(Malformed):
                parse_placeholder(lines("From: alice@foo.test", "") + bad + b"\r\n.\r\n")
        parse_placeholder(lines("From: alice@foo.test", "", "x" * 998))

    def test_field_twice(self) -> None:
        """A second From, Subject or Content-Type is refused: readers would disagree about which one counts."""
        for field in ("From: eve@bar.test", "Message-ID: <2@foo.test>", "Content-Type: text/plain"):
            with self.assertRaises(Malformed):
                parse_placeholder(lines(field) + message())

    def test_header_that_is_none(self) -> None:
        """A line without a field name is refused."""
        for bad in ("no field", " continues nothing", ": no name", "näme: x"):
            with self.assertRaises(Malformed):
                parse_placeholder(lines(bad, "From: alice@foo.test", ""))

    def test_message_id(self) -> None:
        """A broken Message-ID is refused, and a missing one where grants depend on it."""
        part = ("--b1", *external("Content-Type: video/mp4", ""), "--b1--")
        raw = message(*part)
        self.assertEqual(parse_placeholder(raw).message_id, "1@foo.test")
        for bad in (b"Message-ID: 1@foo.test\r\n", b"Message-ID: <1@f> <2@f>\r\n", b""):
            with self.assertRaises(Malformed):
                parse_placeholder(raw.replace(b"Message-ID: <1@foo.test>\r\n", bad))

    def test_too_many_parts(self) -> None:
        """More parts than allowed are refused."""
        raw = message("--b1", "", "--b1", "", "--b1--")
        parse_placeholder(raw, 2)
        with self.assertRaises(TooLarge):
            parse_placeholder(raw, 1)

    def test_plan_beyond_the_bytes(self) -> None:
        """A stored placeholder that lost its end is noticed."""
        raw = render_placeholder(OUTGOING)
        with self.assertRaises(Damaged):
            restored_size(parse_placeholder(raw), len(raw) - 1)

    def test_hostile_bulk_is_linear(self) -> None:
        """Input made to backtrack is read in one go, folded so that no line is too long."""
        repeated = [
            b"((((", b"=?", b"=?x?B?", b"; a=", b"; a*0=x", b'"\\', b" \t", b"a@", b"<", b"=?utf-8?B?YQ?= ", b"x: ",
        ]  # fmt: skip
        hostile = [b"\r\n ".join([each * 200] * 200) for each in repeated]
        hostile += [b"x\r\n--b1" * 30_000, b"\r\n--b1 \t\t" * 30_000, message("")[22:] + b"--b1\r\n" * 9_999]
        heads = (
            "From: ",
            "Subject: ",
            "Content-Type: multipart/mixed; boundary=",
            "Content-Type: x/y; a=",
            "X: y\r\n\r\n",
        )
        for each in hostile:
            for head in heads:
                author = b"" if head == "From: " else b"From: alice@foo.test\r\n"
                try:
                    parse_placeholder(author + head.encode() + each)
                except (Malformed, TooLarge):
                    continue

    @settings(derandomize=True, max_examples=400, deadline=None)
    @given(FRAGMENTS)
    def test_never_crashes_and_plan_is_total(self, tail: bytes) -> None:
        """Any bytes are refused or planned: steps in order, attachments in order, nothing outside, nothing twice."""
        raw = message("--b1", *external("Content-Type: video/mp4", ""), "--b1", "", "") + tail
        for attempt in (raw, tail):
            try:
                placeholder = parse_placeholder(attempt)
            except (Malformed, TooLarge):
                continue
            at = 0
            for step in placeholder.plan:
                if isinstance(step, Verbatim):
                    self.assertTrue(at <= step.start < step.end <= len(attempt))
                    at = step.end
            indexes = [step.index for step in placeholder.plan if isinstance(step, Restored)]
            self.assertEqual(indexes, list(range(len(placeholder.attachments))))
            self.assertGreaterEqual(restored_size(placeholder, len(attempt)), 0)


class Encoding(SynchronousTestCase):
    """Base64 in lines."""

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.lists(st.binary(max_size=200), max_size=8))
    def test_any_blocks(self, blocks: list[bytes]) -> None:
        """However the bytes are cut, the lines are those of the whole, and as long as announced."""
        encoder = Base64Lines()
        text = b"".join(encoder.feed(block) for block in blocks) + encoder.finish()
        data = b"".join(blocks)
        self.assertEqual(text, base64.encodebytes(data).replace(b"\n", b"\r\n"))
        self.assertEqual(len(text), encoded_size(len(data)))

    def test_empty(self) -> None:
        """Nothing is encoded as nothing."""
        self.assertEqual((encoded_size(0), Base64Lines().finish()), (0, b""))

    def test_sent_without_attachments(self) -> None:
        """A message without attachments has no notice."""
        raw = render_placeholder(sent(attachments=()))
        self.assertNotIn(b"RRS-Part", raw)
        self.assertEqual(restored(raw, parse_placeholder(raw)), raw)
