"""Header fields: parameters, encoded words, mailboxes, dates, file names."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.wire.mime_fields import (
    MOST_STRUCTURED,
    decode_words,
    encode_words,
    parse_date,
    parse_fields,
    parse_mailbox,
    parse_media,
    parse_word,
    render_date,
    render_field,
    render_parameter,
    require_shown,
    safe_filename,
)

SHOWN = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), max_size=300)


class Fields(SynchronousTestCase):
    """`parse_fields` and `render_field`."""

    def test_folding(self) -> None:
        """Folded lines are one text, their bytes stay where they are."""
        raw = b"A: one\r\n two\r\n\tthree\r\nB :x\r\n\r\nbody"
        fields, body = parse_fields(raw, 0, len(raw))
        self.assertEqual([(each.name, each.text) for each in fields], [("a", "one two\tthree"), ("b", "x")])
        self.assertEqual(
            (raw[fields[0].start : fields[0].end], raw[body:]), (b"A: one\r\n two\r\n\tthree\r\n", b"body")
        )

    def test_header_injection_refused(self) -> None:
        """No value of a field can begin another one."""
        for bad in ("x\r\nBcc: eve@bar.test", "x\ny", "x\ry", "x\x00", "ü"):
            with self.assertRaises(Malformed):
                render_field("Subject", bad)
        self.assertEqual(render_field("To", "a,", "b"), b"To: a,\r\n b\r\n")


class Parameters(SynchronousTestCase):
    """`parse_media`, `parse_word` and `render_parameter`."""

    def test_grammar(self) -> None:
        """Names and types are lower-cased; quoted pairs and comments are undone."""
        media = parse_media(r'Text/PLAIN (a (nested) "comment); Charset="u\"tf\\" ; X=y ;')
        self.assertIsNone(media)
        media = parse_media(r'Text/PLAIN (a (nested) comm\)ent); Charset="u\"tf\\" ; X=y ;')
        assert media is not None
        self.assertEqual((media.value, media.parameters), ("text/plain", {"charset": 'u"tf\\', "x": "y"}))

    def test_extended(self) -> None:
        """Continuations and percent-encodings are joined and win over the plain form (RFC 2231)."""
        for text, expected in (
            ("a; filename=plain; filename*=UTF-8''%C3%BC", "ü"),
            ("a; filename*=iso-8859-1'de'%FC", "ü"),
            ("a; filename*=iso-8859-12''%FC", "\ufffd"),
            ("a; filename*=idna''abc", "abc"),
            ("a; filename*0*=UTF-8''a%20; filename*1=b%20; filename*2*=%63", "a b%20c"),
            ("a; filename*0=a; filename*2=lost", "a"),
            ("a; filename*0*=no charset", ""),
            ("a; filename*0*=percent%20only", "percent only"),
            ("a; filename*x=y; filename=z", "z"),
        ):
            word = parse_word(text)
            self.assertEqual(word.parameters.get("filename") if word else "", expected, text)

    def test_no_grammar(self) -> None:
        """What is ambiguous or does not end is not read."""
        for text in (
            "text",
            "text/plain; a",
            "text/plain; a=b; A=c",
            'text/plain; a="b',
            "text/plain (",
            "text/plain )",
            "\\",
            "",
        ):
            self.assertIsNone(parse_media(text))
        self.assertIsNone(parse_media("text/plain; a=" + "b" * MOST_STRUCTURED))
        self.assertIsNone(parse_word(""))

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(SHOWN)
    def test_round_trip(self, name: str) -> None:
        """Any file name survives."""
        word = parse_word("attachment; " + "; ".join(render_parameter("filename", name)))
        assert word is not None
        self.assertEqual(word.parameters["filename"], name)


class Words(SynchronousTestCase):
    """`decode_words` and `encode_words`."""

    def test_decoding(self) -> None:
        """Both encodings are read, white space between encoded words goes, unknown charsets read as UTF-8."""
        for text, expected in (
            ("=?utf-8?B?w7w=?= =?UTF-8*de?q?=C3=BC_%?= x", "üü % x"),
            ("=?iso-8859-1?Q?=FC?=", "ü"),
            ("=?x-unknown?B?YQ?=", "a"),
            ("=?utf-8?B?w?=", "=?utf-8?B?w?="),
            ("=?utf-8?X?w?= plain", "=?utf-8?X?w?= plain"),
            ("a\u202eb\x07c\x7f", "abc"),
        ):
            self.assertEqual(decode_words(text), expected)
        self.assertEqual(len(decode_words("x" * 5000)), 998)

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(SHOWN)
    def test_round_trip(self, subject: str) -> None:
        """Any subject survives, in words of at most 75 characters."""
        words = list(encode_words(subject))
        self.assertTrue(all(len(word) <= 75 for word in words))
        self.assertEqual(decode_words(" ".join(words)), subject)

    def test_require_shown(self) -> None:
        """Controls, direction changes, surrogates and endless text are refused."""
        require_shown("Subject", "Grüße")
        for bad in ("a\r\nb", "\u202e", "\ud800", "x" * 999):
            with self.assertRaises(Malformed):
                require_shown("Subject", bad)


class Names(SynchronousTestCase):
    """`parse_mailbox` and `safe_filename`."""

    def test_mailbox(self) -> None:
        """Display names and comments are left out."""
        for text in (
            "alice@foo.test", " Alice <alice@foo.test> ", '"Alice, \\"A\\"" <alice@foo.test>', "alice@foo.test (Alice)",
            "=?utf-8?Q?A?= < alice@foo.test >",
        ):  # fmt: skip
            self.assertEqual(str(parse_mailbox(text)), "alice@foo.test")

    def test_spoofed_author_refused(self) -> None:
        """Two authors, a group, or an address in place of the name are refused."""
        for text in (
            "", "alice@foo.test, eve@bar.test", "alice@foo.test <eve@bar.test>", "g: alice@foo.test;", '"a b"@foo.test',
            "<alice@foo.test> <eve@bar.test>", "alice(@foo.test", "<@foo.test:alice@foo.test>", "al(x)ice@foo.test",
        ):  # fmt: skip
            with self.assertRaises(Malformed):
                parse_mailbox(text)

    def test_path_traversal(self) -> None:
        """Only the last component of a file name stays, its end when it is long."""
        for text, expected in (
            ("../../etc/passwd", "passwd"), ("C:\\x\\y.txt", "y.txt"), ("..", ""), (".", ""), ("a/", ""),
            ("ev\u202etxt.exe", "evtxt.exe"), ("x" * 300 + ".txt", "x" * 251 + ".txt"), ("a\x00b", "ab"),
        ):  # fmt: skip
            self.assertEqual(safe_filename(text), expected)


class Dates(SynchronousTestCase):
    """`parse_date` and `render_date`."""

    def test_forms(self) -> None:
        """Zones, a missing weekday and missing seconds are read; what is no date is None."""
        noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
        for text in (
            "Fri, 27 Nov 2026 12:00:00 +0000", "27 nov 2026 12:00 GMT", "Fri,27 Nov 2026 13:30:00 +0130",
            "27 Nov 2026 12:00 UT", " Fri, 27 Nov 2026 07:00:00 -0500 ",
        ):  # fmt: skip
            self.assertEqual(parse_date(text), noon)
        for text in (
            "", "never", "31 Feb 2026 12:00 GMT", "27 Xyz 2026 12:00 GMT", "27 Nov 2026 12:00 +9900",
            "1 Jan 0001 00:00 +0100",
        ):  # fmt: skip
            self.assertIsNone(parse_date(text))

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.datetimes(min_value=datetime(1900, 1, 1)))
    def test_round_trip(self, moment: datetime) -> None:
        """Whole seconds survive."""
        whole = moment.replace(microsecond=0, tzinfo=UTC)
        self.assertEqual(parse_date(render_date(whole)), whole)
