"""URLs, origins and issuers."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.peers import Origin, parse_issuer, parse_origin, parse_url

PATHS = st.lists(st.from_regex(r"[a-z0-9~:@!$&'()*+,;=_-]{0,8}", fullmatch=True), max_size=4).map(
    lambda parts: "".join("/" + part for part in parts) or "/"
)


class UrlTests(SynchronousTestCase):
    """https URLs in their one form."""

    def test_parts(self) -> None:
        """Origin, path and query come apart and join again."""
        url = parse_url("https://foo.test:8443/a/b?c=d")
        self.assertEqual((url.origin, url.path, url.query), (Origin(parse_domain("foo.test"), 8443), "/a/b", "c=d"))
        self.assertEqual((str(url), url.target), ("https://foo.test:8443/a/b?c=d", "/a/b?c=d"))
        self.assertEqual(
            (str(parse_url("https://foo.test")), parse_url("https://foo.test").target), ("https://foo.test/", "/")
        )

    @settings(derandomize=True, max_examples=100)
    @given(PATHS, st.integers(1, 65535))
    def test_round_trip(self, path: str, port: int) -> None:
        """A canonical URL reads as itself."""
        text = f"{Origin(parse_domain('foo.test'), port)}{path}"
        self.assertEqual(str(parse_url(text)), text)

    def test_f03_d02_spellings_of_other_hosts(self) -> None:
        """User parts, literals, back slashes, upper case, default ports and their like are refused."""
        for text in (
            "http://foo.test/", "HTTPS://foo.test/", "//foo.test/", "foo.test", "https:/foo.test", "https://", "https:///x",
            "https://bar.com@evil.com/", "https://foo.test\\@evil.com/", "https://foo.test#@evil.com/", "https://Foo.test/",
            "https://foo.test:443/", "https://foo.test:/", "https://foo.test:0/", "https://foo.test:65536/",
            "https://foo.test:08443/", "https://foo.test:x/", "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/",
            "https://[::1]/", "https://[::1%25lo]/", "https://[::1/", "https://localhost./", "https://foo.test./",
            "https://foo.test/ x", "https://foo.test/\n", "https://foo.test/ü", "https://foo.test/?", "https://foo.test/<",
            "https://foo.test/a/../b", "https://foo.test/.", "https://foo.test/%", "https://foo.test/%2", "https://foo.test/#",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_url, text)

    @settings(derandomize=True, max_examples=200)
    @given(st.text(max_size=20).map("https://foo.test".__add__) | st.text(max_size=30))
    def test_never_crashes(self, text: str) -> None:
        """Any text is a URL that reads as itself again, or `Malformed`."""
        for parse in (parse_url, parse_origin, parse_issuer):
            try:
                parsed = parse(text)
            except Malformed:
                continue
            self.assertEqual(parse(str(parsed)), parsed)


class OriginTests(SynchronousTestCase):
    """Origins."""

    def test_only_the_origin(self) -> None:
        """An origin has no path, not even a slash."""
        self.assertEqual(str(parse_origin("https://rs.foo.test:8443")), "https://rs.foo.test:8443")
        for text in ("https://rs.foo.test/", "https://rs.foo.test/x", "https://rs.foo.test?x=y"):
            self.assertRaises(Malformed, parse_origin, text)


class IssuerTests(SynchronousTestCase):
    """Issuer identifiers."""

    def test_j14_forms_that_are_no_issuer(self) -> None:
        """A query, a trailing slash, http, a user part and other cases are refused."""
        for text in (
            "https://as.bar.test/", "https://as.bar.test/x/", "https://as.bar.test?x=y", "http://as.bar.test",
            "https://AS.bar.test", "https://u@as.bar.test", "https://as.b\u00e4r.test",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_issuer, text)

    def test_well_known_places(self) -> None:
        """Metadata is inserted before the path (RFC 8414 3.1), discovery appended (OpenID Discovery 4)."""
        issuer = parse_issuer("https://bar.test/issuer1")
        self.assertEqual(
            str(issuer.well_known("oauth-authorization-server")),
            "https://bar.test/.well-known/oauth-authorization-server/issuer1",
        )
        self.assertEqual(
            str(issuer.appended("openid-configuration")), "https://bar.test/issuer1/.well-known/openid-configuration"
        )
        self.assertEqual(str(parse_issuer("https://bar.test").well_known("x")), "https://bar.test/.well-known/x")
        self.assertEqual(str(issuer), "https://bar.test/issuer1")
