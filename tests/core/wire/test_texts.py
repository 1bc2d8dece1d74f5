"""TXT records of clients and issuers: one meaning or none."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.records import Text
from rrsd.core.wire import texts
from tests.core.signing import ISSUER

OLD, NEW, NEXT = digest_of(b"old"), digest_of(b"new"), digest_of(b"next")
SPF = "v=spf1 ip4:192.0.2.1 -all"
NOISE = (
    SPF,
    "v=DKIM1; k=rsa; p=MIIB",
    "v=DMARC1; p=reject",
    "site-verification=abc",
    "hello",
    "",
    "v=DANCE2; p=x",
    "é",
)


def read(*records: str) -> tuple[Digest, ...] | None:
    """What the records at a client's name say."""
    return texts.parse_client_keys([Text(record.encode("utf-8")) for record in records])


class ClientTests(SynchronousTestCase):
    """The keys of a client."""

    def require_refused(self, *records: str) -> None:
        """Not absent: refused."""
        with self.assertRaises(Malformed, msg=repr(records)):
            read(*records)

    def test_written(self) -> None:
        """What is written is the form of source 004, and is read again."""
        self.assertEqual(texts.render_client_keys([NEW]), f"v=DANCE1; h=sha256; p={NEW.hex}")
        self.assertEqual(read(texts.render_client_keys([NEW])), (NEW,))

    def test_o13_old_and_new_in_one_record(self) -> None:
        """Keys that follow one another are one list, which fits in one character string."""
        for hashes in ((NEW, OLD), (NEXT, NEW, OLD)):
            written = texts.render_client_keys(hashes)
            self.assertLessEqual(len(written), texts.MOST_LENGTH)
            self.assertEqual(read(written), hashes)

    def test_read_too(self) -> None:
        """`v=grip1`, `f`, other spacing and case of the version, tags that nobody knows."""
        for record in (
            f"v=grip1; p={NEW.hex}", f"v=grip1;h=sha256;f={NEW.hex}", f"v=GRIP1 ; f = {NEW.hex} ;",
            f"v=DANCE1; h=sha256; f={NEW.hex}", f"v=dance1; h=sha256; p={NEW.hex};", f"v=grip1; x=; p={NEW.hex}; n=1",
        ):  # fmt: skip
            self.assertEqual(read(record), (NEW,), record)

    def test_o04_noise_beside_ours(self) -> None:
        """Records of other protocols beside ours change nothing; alone they are no publication."""
        self.assertEqual(read(*NOISE, f"v=DANCE1; h=sha256; p={NEW.hex}"), (NEW,))
        self.assertIsNone(read(*NOISE))
        self.assertIsNone(read())

    def test_o04_two_records(self) -> None:
        """Two records of ours are refused, whether they disagree or not: which of them is the rotation's leftover?"""
        ours = f"v=DANCE1; h=sha256; p={NEW.hex}"
        for other in (f"v=DANCE1; h=sha256; p={OLD.hex}", f"v=grip1; p={NEW.hex}", ours, "v=DANCE1", "p=x"):
            self.require_refused(ours, other)
            self.require_refused(other, ours)

    def test_o04_version(self) -> None:
        """A version that is missing, second, twice, or run into the next tag."""
        for record in (
            f"h=sha256; p={NEW.hex}", f"p={NEW.hex}", f"f={NEW.hex}", f"h=sha256; v=DANCE1; p={NEW.hex}",
            f"v=DANCE1; v=DANCE1; h=sha256; p={NEW.hex}", f"v=spf1; v=DANCE1; h=sha256; p={NEW.hex}",
            f"v=DANCE1 h=sha256 p={NEW.hex}", f"v=DANCE1, h=sha256, p={NEW.hex}", f"; v=DANCE1; h=sha256; p={NEW.hex}",
        ):  # fmt: skip
            self.require_refused(record)

    def test_o04_hash(self) -> None:
        """Another hash than SHA-256, none where it has to be named, and one that nobody can compare."""
        for hashed in ("h=md5; ", "h=sha1; ", "h=SHA256; ", "h=; ", "", "h=sha256; h=sha256; ", "h=sha512; "):
            self.require_refused(f"v=DANCE1; {hashed}p={NEW.hex}")
        self.require_refused(f"v=grip1; h=md5; p={NEW.hex}")

    def test_o04_keys(self) -> None:
        """A key that is missing, twice, cut, upper case, or not hexadecimal; too many."""
        four = ",".join(digest_of(bytes([number])).hex for number in range(4))
        for value in ("", "p=", f"p={NEW.hex[:-1]}", f"p={NEW.hex}0", f"p={NEW.hex.upper()}", f"p={NEW.b64}", "p=0x0",
                      f"p={NEW.hex}; p={NEW.hex}", f"p={NEW.hex}; p={OLD.hex}", f"p={NEW.hex}; f={NEW.hex}",
                      f"p={NEW.hex},{NEW.hex}", f"p={NEW.hex},", f"p=,{NEW.hex}", f"p={NEW.hex} {OLD.hex}",
                      f"p={four}", f"P={NEW.hex}"):  # fmt: skip
            self.require_refused(f"v=DANCE1; h=sha256; {value}")

    def test_o04_split_and_odd_bytes(self) -> None:
        """A record that does not fit in one character string, and bytes that are no text."""
        self.require_refused(f"v=DANCE1; h=sha256; p={NEW.hex}; n={'x' * 255}")
        for odd in ("\0", "\n", "é", "\x7f", ";;"):
            self.require_refused(f"v=DANCE1; h=sha256; p={NEW.hex}; n={odd}")

    @settings(derandomize=True, max_examples=300)
    @given(
        st.lists(st.one_of(st.binary(max_size=300), st.text("vpfh=;DANCE1sha256 \t0a,", max_size=120).map(str.encode)))
    )
    def test_never_crashes(self, data: list[bytes]) -> None:
        """Whatever is published is keys, nothing, or `Malformed`."""
        with contextlib.suppress(Malformed):
            self.assertIn(type(texts.parse_client_keys(list(map(Text, data)))), (tuple, type(None)))

    @settings(derandomize=True, max_examples=50)
    @given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=texts.MOST_KEYS, unique=True))
    def test_round_trip(self, raw: list[bytes]) -> None:
        """What is written is read again."""
        hashes = tuple(map(Digest, raw))
        self.assertEqual(read(texts.render_client_keys(hashes)), hashes)


class IssuerTests(SynchronousTestCase):
    """The issuer of a mail domain."""

    def read(self, *records: str) -> object:
        """What the records at `_rrs` say."""
        return texts.parse_issuer_text([Text(record.encode("utf-8")) for record in records])

    def test_round_trip(self) -> None:
        """What is written is read again."""
        self.assertEqual(texts.render_issuer_text(ISSUER), "v=rrs1; iss=https://sts.bar.test")
        self.assertEqual(self.read(texts.render_issuer_text(ISSUER)), ISSUER)

    def test_read_too(self) -> None:
        """The version in either case, an issuer with a port and a path, further tags."""
        record = "v=RRS1; iss=https://rs.bar.test:8443; jwks=/.well-known/jwks.json"
        self.assertEqual(self.read(SPF, record), parse_issuer("https://rs.bar.test:8443"))
        self.assertEqual(self.read("v=rrs1;iss=https://bar.test/mail"), parse_issuer("https://bar.test/mail"))

    def test_absent(self) -> None:
        """Records of other protocols name nobody."""
        self.assertIsNone(self.read())
        self.assertIsNone(self.read(SPF, "v=STSv1; id=1"))

    def test_refused(self) -> None:
        """Two records, no issuer, two, one that is none, and no version."""
        good = "v=rrs1; iss=https://sts.bar.test"
        for records in (
            (good, good), (good, "v=rrs1; iss=https://evil.test"), ("v=rrs1",), ("v=rrs1; iss=",), (f"{good}; {good}",),
            (f"{good}; iss=https://x.test",), ("v=rrs1; iss=http://sts.bar.test",), ("v=rrs1; iss=https://sts.bar.test/",),
            ("iss=https://sts.bar.test",), ("v=rrs1; iss=https://127.0.0.1",), ("v=rrs1; iss=https://STS.bar.test",),
            ("v=rrs1; ISS=https://sts.bar.test",), ("iss=https://sts.bar.test; v=rrs1",),
        ):  # fmt: skip
            with self.assertRaises(Malformed, msg=repr(records)):
                self.read(*records)

    @settings(derandomize=True, max_examples=200)
    @given(st.lists(st.one_of(st.binary(max_size=300), st.text("vrs1=;is:/htp.a ", max_size=80).map(str.encode))))
    def test_never_crashes(self, data: list[bytes]) -> None:
        """Whatever is published is an issuer, nothing, or `Malformed`."""
        with contextlib.suppress(Malformed):
            texts.parse_issuer_text(list(map(Text, data)))


class ZoneTests(SynchronousTestCase):
    """Records for somebody's zone."""

    def test_line(self) -> None:
        """Text stands in quotes, so that a semicolon does not begin a comment; names end in a dot."""
        line = texts.zone_line("_rra.foo.test", 3600, "TXT", "v=DANCE1; h=sha256")
        self.assertEqual(line, '_rra.foo.test. 3600 IN TXT "v=DANCE1; h=sha256"')
        line = texts.zone_line("_rra.foo.test", 60, "TLSA", "3 1 1 aa")
        self.assertEqual(line, "_rra.foo.test. 60 IN TLSA 3 1 1 aa")
