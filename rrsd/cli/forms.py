"""The login page filled in without a browser, for scripts: whatever fields it has, one of them takes a password."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from attrs import define, field
from typing_extensions import override

from rrsd.cli.issuer import Asked, IssuerClient
from rrsd.cli.transport import Line, require_good
from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.calls import Answer

_MOST_PAGES = 12  # login and consent of a provider, each with a redirect before and after it
_NEXT_COOKIE = re.compile(r", (?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
"""Values of repeated headers are joined by ", "; the date of an Expires has no such name after its comma."""


@define(eq=False)
class Form:
    """The first form of a page that can be filled in."""

    action: str = ""
    fields: dict[str, str] = field(factory=dict)
    text: str = ""
    password: str = ""

    def filled(self, user: str, password: str) -> bytes:
        """The form's content, as a browser would send it."""
        given = dict(self.fields)
        if self.text:
            given[self.text] = user
        if self.password:
            given[self.password] = password
        return urlencode(given).encode()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one field."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(given.get("action", ""))
        elif tag in {"input", "button"} and self.form is not None and given.get("name"):
            _add(self.form, given)


def _add(form: Form, given: dict[str, str]) -> None:
    kind, name = given.get("type", "text").lower(), given["name"]
    if kind == "password":
        form.password = form.password or name
    elif kind in {"text", "email"} and not form.text:
        form.text = name
    elif kind in {"hidden", "submit"}:
        form.fields.setdefault(name, given.get("value", ""))


def form_in(page: str) -> Form:
    """The first form of an HTML page.

    Raises:
        Malformed: there is none.
    """
    parser = _Page()
    parser.feed(page)
    if parser.form is None:
        raise Malformed("the login page has no form that can be filled in: use --browser")
    return parser.form


def cookies_in(joined: str) -> dict[str, str]:
    """The cookies of all Set-Cookie headers of an answer (RFC 6265 5.2); their attributes are not looked at.

    One that is taken back comes with an empty value, and is sent so: nobody has lost anything by it.
    """
    pairs = (each.partition(";")[0].partition("=") for each in _NEXT_COOKIE.split(joined))
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}


@define(eq=False)
class Visitor:
    """Goes through the pages of one issuer and keeps their cookies for as long."""

    _issuer: IssuerClient
    _line: Line = field(init=False)
    _cookies: dict[str, str] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._line = self._issuer.line(self._issuer.issuer)

    def log_in(self, asked: Asked, user: str, password: str) -> dict[str, str]:
        """What comes back to the redirect URI after the login page was filled in.

        Raises:
            Unproven: the page comes again: user or password is wrong.
        """
        url, answer = asked.url, self._get(asked.url)
        is_sent = False
        for _ in range(_MOST_PAGES):
            location = answer.headers.get("location", "")
            if location:
                url = urljoin(url, location)
                if url.startswith(asked.redirect + "?"):
                    return dict(parse_qsl(urlsplit(url).query))
                answer = self._get(url)
                continue
            form = form_in(answer.body.decode("utf-8", "replace"))
            if form.password and is_sent:
                break
            is_sent = is_sent or bool(form.password)
            url = urljoin(url, form.action)
            answer = self._post(url, form.filled(user, password))
        raise Unproven(f"{self._issuer.issuer} did not accept user and password: try again")

    def _get(self, url: str) -> Answer:
        return self._kept(self._line.ask("GET", self._target(url), self._headers()))

    def _post(self, url: str, body: bytes) -> Answer:
        origin = urlsplit(self._issuer.issuer)
        more = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"{origin.scheme}://{origin.netloc}",
            "Sec-Fetch-Site": "same-origin",
        }
        return self._kept(self._line.ask("POST", self._target(url), self._headers() | more, body))

    def _target(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.netloc != urlsplit(self._issuer.issuer).netloc:
            raise Unproven(f"the login page leads away to {parts.netloc}: use --browser")
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())} if self._cookies else {}

    def _kept(self, answer: Answer) -> Answer:
        self._cookies = {**self._cookies, **cookies_in(answer.headers.get("set-cookie", ""))}
        # A form that is shown again with a 4xx is an answer like any other: it is read, and found to be the same form.
        is_page = answer.headers.get("content-type", "").startswith("text/html") and answer.status < 500
        return answer if is_page else require_good(answer, "log you in", self._issuer.issuer)
