"""HTTP field values of resource transfers."""

import contextlib
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Unsatisfiable
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.wire import fields
from rrsd.core.wire.fields import Span
from tests.core.vectors import published

DIGEST = digest_of(published.HELLO)
NOW = instant(1_800_000_000)  # Fri, 15 Jan 2027 08:00:00 GMT
ANY = st.text(max_size=30) | st.text('bytes=-0123456789,/*: sha256W"', max_size=30)


class RangeTests(SynchronousTestCase):
    """Range and Content-Range."""

    def test_forms(self) -> None:
        """First to last, first to the end, and the last so many bytes; the end is cut at the size."""
        for header, span in (
            ("bytes=0-0", Span(0, 1)), ("bytes=2-4", Span(2, 5)), ("bytes=2-", Span(2, 10)), ("bytes=-3", Span(7, 10)),
            ("bytes=5-99", Span(5, 10)), ("bytes=-99", Span(0, 10)), (" Bytes=0-9 ", Span(0, 10)),
        ):  # fmt: skip
            self.assertEqual(fields.parse_range(header, 10), span)

    def test_what_means_the_whole(self) -> None:
        """Nothing, several ranges, another unit and what is malformed mean the whole."""
        for header in (
            None, "", "bytes", "bytes=", "bytes=-", "bytes=1-2,4-5", "lines=1-2", "bytes=4-2", "bytes=a-b",
            "bytes = 1-2",
            "bytes=1-2x", "bytes=+1-2", "bytes=\u0661-2", "bytes=" + "1" * 20 + "-",
        ):  # fmt: skip
            self.assertIsNone(fields.parse_range(header, 10))

    def test_outside(self) -> None:
        """A range outside the bytes is refused, and every range of nothing is."""
        for header, size in (
            ("bytes=10-", 10),
            ("bytes=10-20", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
        ):
            self.assertRaises(Unsatisfiable, fields.parse_range, header, size)

    @settings(derandomize=True, max_examples=100)
    @given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 10**12))
    def test_round_trip(self, start: int, length: int, more: int) -> None:
        """What is rendered parses to the same part and whole, and the range that asks for it gives that part."""
        span, size = Span(start, start + length), start + length + more
        self.assertEqual(fields.parse_content_range(fields.render_content_range(span, size)), (span, size))
        self.assertEqual(fields.parse_range(f"bytes={start}-{start + length - 1}", size), span)

    def test_s17_content_ranges_that_are_none(self) -> None:
        """An open size, a part outside the whole, an unsatisfied range and other units are refused."""
        for text in (
            "bytes 0-9/*",
            "bytes 0-10/10",
            "bytes 5-4/10",
            "bytes */10",
            "items 0-1/2",
            "bytes=0-1/2",
            "0-1/2",
            "",
            "bytes 0-1/2 ",
        ):
            self.assertRaises(Malformed, fields.parse_content_range, text)


class ValidatorTests(SynchronousTestCase):
    """Entity tags and digests."""

    def test_etag(self) -> None:
        """The tag is strong, and names the resource in both conditions."""
        tag = fields.etag(DIGEST)
        self.assertEqual(tag, f'"sha-256:{DIGEST.b64}"')
        self.assertTrue(fields.is_strong_etag(tag))
        for text in (tag, f'"x", {tag}', f"{tag},W/{tag}", "*", " * "):
            self.assertTrue(fields.matches_etag(text, DIGEST))
        for other in (None, "", f"W/{tag}", tag.strip('"'), '"x"', fields.etag(digest_of(b"")), f"*, {tag[:-1]}"):
            self.assertFalse(fields.matches_etag(other, DIGEST))

    def test_tags_that_are_not_strong(self) -> None:
        """Weak tags, several tags and what is no tag are not strong."""
        for text in ('W/"x"', "x", '"x', '"a" "b"', '"a"b"', '"a b"', "", '"ü"'):
            self.assertFalse(fields.is_strong_etag(text))

    def test_published_digests(self) -> None:
        """RFC 9530's examples, with and without a body."""
        self.assertEqual(fields.render_repr_digest(DIGEST), published.HELLO_DIGEST)
        self.assertEqual(fields.render_repr_digest(digest_of(b"")), published.EMPTY_DIGEST)
        self.assertEqual(fields.parse_repr_digest(published.HELLO_DIGEST), DIGEST)

    def test_other_members(self) -> None:
        """Other algorithms are passed over, and never satisfy."""
        self.assertEqual(fields.parse_repr_digest(f"md5=:AAAA:, {published.HELLO_DIGEST};a=1, sha-512=:BBBB:"), DIGEST)
        self.assertEqual(fields.parse_repr_digest(f"{published.HELLO_DIGEST},{published.HELLO_DIGEST}"), DIGEST)
        self.assertIsNone(fields.parse_repr_digest("md5=:AAAA:, unixsum=:AAAA:"))

    def test_s17_digests_that_disagree(self) -> None:
        """Two different values, another length, broken base64 and what is no dictionary are refused."""
        for text in (
            f"{published.HELLO_DIGEST}, {published.EMPTY_DIGEST}", "sha-256=:AAAA:", "sha-256=:A:", "sha-256=AAAA",
            "", "sha-256",
            "sha-256=:" + "A" * 43 + ":", "SHA-256=" + DIGEST.b64, f"{published.HELLO_DIGEST},", "sha-256=?1",
        ):  # fmt: skip
            self.assertRaises(Malformed, fields.parse_repr_digest, text)


class TimeTests(SynchronousTestCase):
    """Retry-After and Prefer."""

    def test_retry_after(self) -> None:
        """Seconds or a date, within a second and a day."""
        for text, wait in (
            ("5", 5), ("0", 1), (" 7 ", 7), ("9" * 19, 86400), ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
            ("Fri, 15 Jan 2027 07:00:00 GMT", 1), ("Sat, 15 Jan 2028 08:00:00 GMT", 86400),
        ):  # fmt: skip
            self.assertEqual(fields.parse_retry_after(text, NOW), wait)

    def test_retry_after_that_says_nothing(self) -> None:
        """Anything else says nothing."""
        for text in (
            None, "", "-1", "1.5", "soon", "9" * 101, "Fri, 15 Jan 2027 08:00:30 UTC", "Fri, 32 Jan 2027 08:00:30 GMT",
            "Fri, 15 Foo 2027 08:00:30 GMT", "Friday, 15-Jan-27 08:00:30 GMT", "Fri, 15 Jan 0000 08:00:30 GMT",
        ):  # fmt: skip
            self.assertIsNone(fields.parse_retry_after(text, NOW))

    def test_every_month(self) -> None:
        """Each month's name is read."""
        for month, number in zip(fields._MONTHS, range(1, 13), strict=True):
            before = NOW.replace(year=2028, month=number, day=5) - timedelta(seconds=9)
            self.assertEqual(fields.parse_retry_after(f"Mon, 05 {month} 2028 08:00:00 GMT", before), 9)

    def test_wait(self) -> None:
        """Prefer's wait, within a minute; nothing sensible means not at all."""
        for text, wait in (
            ("wait=10", 10), ("respond-async, Wait=10", 10), ('wait="7"; x=y', 7), ("wait=999", 60), ("wait = 5", 5),
            ("wait=0", 0),
            ("wait=5, wait=9", 5), (None, 0), ("", 0), ("wait", 0), ("wait=-1", 0), ("wait=x", 0), ("await=9", 0),
        ):  # fmt: skip
            self.assertEqual(fields.parse_wait(text), wait)


class DispositionTests(SynchronousTestCase):
    """Content-Disposition."""

    def test_names(self) -> None:
        """Plain names stay, others come in both forms."""
        self.assertEqual(fields.content_disposition("holiday 1.mp4"), 'attachment; filename="holiday 1.mp4"')
        self.assertEqual(
            fields.content_disposition("ü€.txt"),
            "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%BC%E2%82%AC.txt",
        )

    def test_s18_names_that_harm(self) -> None:
        """Folders, quotes, line ends, bidirectional overrides and endless names become harmless."""
        self.assertEqual(fields.content_disposition("../../etc/passwd"), 'attachment; filename="_.._etc_passwd"')
        self.assertEqual(fields.content_disposition('a"\\\r\nX: y%00'), 'attachment; filename="a____X_ y_00"')
        self.assertEqual(fields.content_disposition("a\u202etxt.exe\u2028"), 'attachment; filename="a_txt.exe_"')
        self.assertEqual(
            len(fields.content_disposition("a" * 999)), len('attachment; filename=""') + fields.MOST_FILENAME
        )
        for name in ("", "..", " . "):
            self.assertEqual(fields.content_disposition(name), "attachment")

    @settings(derandomize=True, max_examples=200)
    @given(st.text(max_size=20))
    def test_always_one_safe_field(self, name: str) -> None:
        """Whatever the name, the field is visible ASCII with at most one quoted name."""
        self.assertRegex(
            fields.content_disposition(name),
            r"""\Aattachment(; filename="[ !#-\[\]-~]+"(; filename\*=UTF-8''([A-Za-z0-9._~-]|%[0-9A-F]{2})+)?)?\Z""",
        )


class PathTests(SynchronousTestCase):
    """Paths of resources and chunk lists."""

    def test_paths(self) -> None:
        """The path names the digest and reads as it."""
        self.assertEqual(fields.ni_path(DIGEST), f"/.well-known/ni/sha-256/{DIGEST.b64}")
        self.assertEqual(fields.chunks_path(DIGEST), f"/rrs/chunks/sha-256/{DIGEST.b64}")
        self.assertEqual(fields.parse_ni_path(fields.ni_path(DIGEST)), DIGEST)

    def test_s18_path_tricks(self) -> None:
        """Encoded dots, NUL, double encoding, other letters and other algorithms are refused."""
        good = fields.ni_path(DIGEST)
        for text in (
            good + "/", good + "%00", good + "=", good[:-1], good + "?x", f"/.well-known/ni/sha-256/..%2f{DIGEST.b64}",
            good.replace("sha-256", "sha-512"), good.replace("/ni/", "/NI/"), good[:-1] + "\u00e9", f"/x/..{good}",
            good.replace("-", "%2D"), fields.NI_PATH, "",
        ):  # fmt: skip
            self.assertRaises(Malformed, fields.parse_ni_path, text)


class FuzzTests(SynchronousTestCase):
    """Every parser here."""

    @settings(derandomize=True, max_examples=300)
    @given(ANY, st.integers(0, 99))
    def test_never_crashes(self, text: str, size: int) -> None:
        """Any text is read or refused."""
        for parse in (fields.parse_content_range, fields.parse_repr_digest, fields.parse_ni_path):
            with contextlib.suppress(Malformed):
                parse(text)
        with contextlib.suppress(Unsatisfiable):
            fields.parse_range(text, size)
        fields.matches_etag(text, DIGEST)
        fields.parse_retry_after(text, NOW)
        self.assertLessEqual(fields.parse_wait(text), fields.LONGEST_WAIT)
