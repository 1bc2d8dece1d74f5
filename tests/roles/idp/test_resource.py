"""The login pages as a browser sees them."""

from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import define, field

from rrsd.core.refusals import ALL, Unavailable
from rrsd.core.wire.oauth import FORM
from rrsd.roles.idp import pages
from rrsd.roles.idp.resource import LoginPages
from tests.roles.idp.login import BOB, ISSUER, LOOPBACK, LoginCase
from tests.support.callers import Caller, Response


@define(eq=False)
class Browser(HTMLParser):
    """Reads a page: its inputs, its links, and whether anything could run."""

    inputs: dict[str, str] = field(factory=dict)
    links: list[str] = field(factory=list)
    tags: list[str] = field(factory=list)
    attributes: list[str] = field(factory=list)
    action: str = ""
    text: str = ""

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what it is."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes.extend(given)
        if tag == "input":
            self.inputs[given["name"]] = given.get("value", "")
        if tag == "form":
            self.action = given["action"]
        if "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        """Remember the text."""
        self.text += data


class PageCase(LoginCase):
    """One connection to the provider."""

    def setUp(self) -> None:
        """The routes over the provider of the test."""
        super().setUp()
        self.caller = Caller(LoginPages(self.flow, "bar.test").routes)

    def read(self, response: Response, status: int = 200) -> Browser:
        """The page, after what every page must have."""
        self.assertEqual(response.status, status, response.body)
        headers = response.headers
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertEqual((headers["x-frame-options"], headers["referrer-policy"]), ("DENY", "no-referrer"))
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        self.assertEqual((policy["default-src"], policy["frame-ancestors"]), ("'none'", "'none'"))
        self.assertNotIn("set-cookie", headers)
        browser = Browser()
        browser.feed(response.body.decode())
        self.assertEqual([name for name in browser.attributes if name.startswith("on") or name == "style"], [])
        self.assertNotIn("script", browser.tags)
        return browser

    def get(self, **changes: str | None) -> Response:
        """The answer to an authorization request."""
        query = urlencode({name: value for name, value in self.request(**changes).items() if value is not None})
        return self.caller.ask("GET", f"/authorize?{query}")

    def post(self, target: str = "/authorize", **values: str) -> Response:
        """The answer to a form."""
        return self.caller.ask("POST", target, urlencode(values).encode(), Content_Type=FORM)


class BrowserTests(PageCase):
    """Logging in without JavaScript and without cookies."""

    def test_a_whole_login(self) -> None:
        """Ask, fill in, be sent back with a code that works; the browser is told to GET (RFC 9700 4.12)."""
        page = self.read(self.get(login_hint=str(BOB)))
        self.assertEqual((page.action, page.inputs["username"]), ("authorize", str(BOB)))
        self.assertIn("rrsctl, the command line", page.text)
        left = self.post(**page.inputs | {"password": "correct horse"})
        self.assertEqual((left.status, left.headers["cache-control"]), (303, "no-store"))
        self.assertTrue(left.headers["location"].startswith(f"{LOOPBACK}?"))
        answered = dict(parse_qsl(urlsplit(left.headers["location"]).query))
        self.assertEqual(answered["iss"], str(ISSUER))
        self.assertIn("access_token", self.redeemed(answered["code"]))

    def test_the_form_may_lead_to_the_client_and_nowhere_else(self) -> None:
        """The policy lets the browser follow the redirect after the form, and no other."""
        policy = self.get().headers["content-security-policy"]
        self.assertIn("form-action 'self' http://127.0.0.1:41234;", policy)

    def test_a_style_that_the_policy_allows(self) -> None:
        """The one style element of the page is the one whose hash the policy names."""
        response = self.get()
        self.assertIn(f"<style>{pages.STYLE}</style>".encode(), response.body)

    def test_wrong_password_and_unknown_user_are_the_same_page(self) -> None:
        """Both answers differ in nothing but the sealed request and the address typed is not echoed."""
        one, two = self.read(self.get()), self.read(self.get())
        wrong = self.post(request=one.inputs["request"], username=str(BOB), password="wrong")
        unknown = self.post(request=two.inputs["request"], username="dave@bar.test", password="wrong")
        self.assertIn("not right", self.read(wrong, 403).text)
        self.assertEqual(wrong.body, unknown.body)

    def test_too_many_attempts(self) -> None:
        """A limited login is 429 with Retry-After, and says so in words."""
        self.by_user.most = 0
        page = self.read(self.get())
        response = self.post(**page.inputs | {"username": str(BOB), "password": "x"})
        self.assertIn("too many attempts", self.read(response, 429).text)
        self.assertEqual(response.headers["retry-after"], "7")

    def test_passwords_cannot_be_checked_now(self) -> None:
        """When nothing can be checked the page says to come back."""

        class Busy:
            async def hash(self, password: str) -> str:
                raise Unavailable("busy")

            async def verify(self, phc: str | None, password: str) -> bool:
                raise Unavailable("busy", retry_after=5)

        self.flow.passwords = Busy()
        page = self.read(self.get())
        response = self.post(**page.inputs | {"username": str(BOB), "password": "x"})
        self.read(response, 503)
        self.assertEqual(response.headers["retry-after"], "5")

    def test_an_error_goes_back_to_the_client(self) -> None:
        """A mistake of a registered client is redirected, with nothing shown."""
        left = self.get(scope="everything")
        self.assertEqual((left.status, left.body), (303, b""))
        self.assertIn("error=invalid_scope", left.headers["location"])

    def test_r05_open_redirector(self) -> None:
        """With a redirect URI that is not the client's there is a page and no Location."""
        for changes in ({"redirect_uri": "https://evil.test/"}, {"client_id": "evil"}):
            response = self.get(**changes)
            self.read(response, 400)
            self.assertNotIn("location", response.headers)
            self.assertNotIn(b"evil.test", response.body)

    def test_markup_in_parameters_is_text(self) -> None:
        """What comes in a parameter can neither make an element nor leave its attribute."""
        evil = "\"><script>alert(1)</script><img onerror='x' "
        page = self.read(self.get(login_hint=evil, state=evil))
        self.assertEqual(page.inputs["username"], evil)

    def test_t04_parameters_twice(self) -> None:
        """A parameter that comes twice is refused with a page."""
        query = urlencode([*self.request().items(), ("state", "again")])
        self.read(self.caller.ask("GET", f"/authorize?{query}"), 400)

    def test_t02_credentials_in_the_url(self) -> None:
        """A login form is taken from the body only."""
        page = self.read(self.get())
        filled = urlencode(page.inputs | {"username": str(BOB), "password": "correct horse"})
        self.read(self.caller.ask("POST", f"/authorize?{filled}", b"", Content_Type=FORM), 400)

    def test_csrf_form_of_another_site(self) -> None:
        """A form that another site made up, or a page that is too old, leads nowhere."""
        response = self.post(request="made.up", username=str(BOB), password="correct horse")
        self.read(response, 400)
        self.assertEqual(self.logins.codes, {})

    def test_head_has_no_body(self) -> None:
        """HEAD is answered like GET."""
        query = urlencode(self.request())
        self.assertEqual(self.caller.ask("HEAD", f"/authorize?{query}").body, b"")


class CodePageTests(PageCase):
    """The page with the code to copy."""

    def test_the_code_is_shown(self) -> None:
        """What a headless login gets is one code, to be given to nobody."""
        uri = f"{ISSUER}/rrs/code"
        code = self.code(redirect_uri=uri)
        page = self.read(self.caller.ask("GET", f"/rrs/code?{urlencode({'code': code, 'iss': str(ISSUER)})}"))
        self.assertIn(code, page.text)
        self.assertIn("access_token", self.redeemed(code, redirect_uri=uri))

    def test_it_shows_nobody_elses_text(self) -> None:
        """Anything but a code of our own form is refused: the page is no billboard."""
        for code in ("", "call 555 1234 and tell them", "<b>x</b>", "short", "x" * 201):
            with self.subTest(code):
                response = self.caller.ask("GET", f"/rrs/code?{urlencode({'code': code})}")
                self.read(response, 400)
                self.assertNotIn(b"555", response.body)
        self.read(self.caller.ask("GET", "/rrs/code?error=access_denied"), 400)


class WordsTests(PageCase):
    """Every refusal has words for the person who sees it."""

    def test_no_page_tells_a_detail(self) -> None:
        """The detail of a refusal is for the operator; the page has words of its own."""
        for kind in ALL:
            with self.subTest(kind.reason):
                text = str(pages.wrong(kind("detail for the operator")).body)
                self.assertNotIn("operator", text)
