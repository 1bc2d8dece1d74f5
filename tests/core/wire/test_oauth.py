"""Forms, bearer tokens and challenges."""

import contextlib
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, Unauthenticated, Unsupported
from rrsd.core.wire.oauth import FORM, MOST_PARAMETERS, Form, parse_bearer, parse_form, render_challenge

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


def form(body: bytes) -> Form:
    """The form in a body."""
    return parse_form(FORM, b"", body)


class FormTests(SynchronousTestCase):
    """Parameters of a request."""

    @settings(derandomize=True, max_examples=100)
    @given(st.dictionaries(TEXT, TEXT, max_size=5))
    def test_round_trip(self, parameters: dict[str, str]) -> None:
        """Parameters that were encoded read as themselves."""
        found = form(urlencode(parameters).encode("ascii"))
        self.assertEqual({name: found.one(name) for name in parameters}, parameters)

    @settings(derandomize=True, max_examples=200)
    @given(st.binary(max_size=30) | st.text("ab=&%20C3+;\0", max_size=30).map(str.encode))
    def test_never_crashes(self, body: bytes) -> None:
        """Any body is a form or `Malformed`."""
        with contextlib.suppress(Malformed):
            self.assertIsInstance(form(body), Form)

    def test_long_names(self) -> None:
        """A name longer than any that is remembered is read like every other."""
        name = "n" * 100
        self.assertEqual(parse_form(FORM, b"", f"{name}=v".encode()).one(name), "v")

    def test_reading(self) -> None:
        """One, required and many tell absent, single and repeated apart."""
        found = form(b"a=1&resource=x&resource=y&b=+%2B")
        self.assertEqual((found.one("a"), found.required("b"), found.one("c")), ("1", " +", None))
        self.assertEqual((found.many("resource"), found.many("c")), (("x", "y"), ()))
        self.assertRaises(Malformed, found.one, "resource")
        self.assertRaises(Malformed, found.required, "c")
        self.assertEqual(form(b"").values, {})

    def test_media_type_with_parameters(self) -> None:
        """The media type is compared without case and parameters."""
        self.assertEqual(parse_form("Application/X-WWW-Form-URLencoded; charset=UTF-8", b"", b"a=1").one("a"), "1")

    def test_t02_parameters_in_the_url(self) -> None:
        """Parameters in the URL are refused, whatever the body says."""
        self.assertRaises(Malformed, parse_form, FORM, b"grant_type=x", b"grant_type=x")

    def test_t03_other_bodies(self) -> None:
        """JSON, multipart and bodies without a type are refused."""
        for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", "", None):
            self.assertRaises(Unsupported, parse_form, content_type, b"", b"a=1")

    def test_t04_repeated_parameter(self) -> None:
        """Only resource and audience may repeat; an empty first one does not hide a second."""
        for body in (b"a=1&a=2", b"a=1&a=1", b"subject_token=&subject_token=x", b"a=1&%61=2"):
            self.assertRaises(Malformed, form, body)
        self.assertEqual(form(b"audience=1&audience=2").many("audience"), ("1", "2"))

    def test_t05_empty_is_absent(self) -> None:
        """An empty parameter is an absent one."""
        found = form(b"client_secret=&resource=&resource=x&subject_token=")
        self.assertEqual((found.one("client_secret"), found.many("resource")), (None, ("x",)))
        self.assertRaises(Malformed, found.required, "subject_token")

    def test_t10_broken_encodings(self) -> None:
        """Broken percent-encoding, text that is not UTF-8, NUL, raw bytes and `;` are refused."""
        for body in (
            b"a=%", b"a=%2", b"a=%zz", b"a=%ff", b"a=%c3", b"a=%ed%a0%80", b"a=%00", b"%00=a", b"a=1;b=2",
            b"a=\xc3\xbc", b"a=1\n",
            b"a= ", b"=1", b"a", b"a=1&", b"&a=1", b"a=1&&b=2",
        ):  # fmt: skip
            self.assertRaises(Malformed, form, body)

    def test_too_many_parameters(self) -> None:
        """A form of endless parameters is refused."""
        body = b"&".join(b"p%d=1" % each for each in range(MOST_PARAMETERS + 1))
        self.assertRaises(Malformed, form, body)
        self.assertEqual(len(form(body.rpartition(b"&")[0]).values), MOST_PARAMETERS)

    def test_s21_values_are_not_shown(self) -> None:
        """Secrets in a form never reach a log by its repr."""
        self.assertNotIn("hunter2", repr(form(b"password=hunter2")))


class BearerTests(SynchronousTestCase):
    """The Authorization field."""

    def test_s03_scheme_in_any_case(self) -> None:
        """The scheme is compared without case."""
        for scheme in ("Bearer", "bearer", "bEaReR"):
            self.assertEqual(parse_bearer([f"{scheme} abc.-_~+/=="]), "abc.-_~+/==")

    def test_s01_none(self) -> None:
        """No credential is told apart from a bad one."""
        self.assertRaises(Unauthenticated, parse_bearer, [])

    def test_s03_t09_two_or_other(self) -> None:
        """Two fields, two tokens, another scheme and other characters are refused."""
        for headers in (
            ["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Bearer a, Bearer b"], ["Bearer a b"], ["Basic YTpi"],
            ["Bearer"],
            ["Bearer "], [""], ["Bearer a\n"], ["Bearer \u00fc"], ["Bearer =a"], ["Bearera"], [" Bearer a"], ["DPoP a"],
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_bearer, headers)


class ChallengeTests(SynchronousTestCase):
    """The WWW-Authenticate field."""

    def test_parameters(self) -> None:
        """Parameters come quoted, in order."""
        self.assertEqual(render_challenge("Bearer"), "Bearer")
        self.assertEqual(
            render_challenge("Bearer", realm="x", error="invalid_token"), 'Bearer realm="x", error="invalid_token"'
        )

    def test_s22_injection(self) -> None:
        """Quotes and back slashes are escaped; line ends, controls and other letters are dropped."""
        self.assertEqual(
            render_challenge("Bearer", realm='a"b\\c\r\nSet-Cookie: d\0\x7fü'), 'Bearer realm="a\\"b\\\\cSet-Cookie: d"'
        )

    @settings(derandomize=True, max_examples=100)
    @given(st.text(max_size=20))
    def test_always_one_quoted_string(self, value: str) -> None:
        """Whatever the value, the field has one quoted string and no line end."""
        field = render_challenge("Bearer", realm=value)
        self.assertRegex(field, r'\ABearer realm="(?:[ !#-\[\]-~]|\\["\\])*"\Z')
