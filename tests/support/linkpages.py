"""Somebody with a personal link and a mailbox: a browser's requests over real HTTPS, and the code out of the mail."""

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from attrs import define, field, frozen

WAIT = 30.0
_LINK = re.compile(r"https://[a-z0-9.-]+/rrs/links/[A-Za-z0-9_-]{22}")
_CODE = re.compile(rb"^    ([0-9A-Z]{4})-([0-9A-Z]{4})\r?$", re.MULTILINE)
_FILE = re.compile(r'href="(/rrs/links/[A-Za-z0-9_-]{22}/files/[A-Za-z0-9_-]{43})"')


@frozen
class Answered:
    """What came back; `body` is as much of it as was wanted."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode()


@define(eq=False)
class Browser:
    """One browser that finds every host at the same port of loopback; each request is a connection of its own."""

    port: int
    roots: Path
    cookies: dict[str, str] = field(factory=dict, repr=False)

    def get(self, url: str, most: int | None = None, **headers: str) -> Answered:
        """A page or a file; the connection is broken after `most` bytes of it."""
        return self._ask("GET", url, None, headers, most)

    def post(self, url: str, **fields: str) -> Answered:
        """A form of the very site."""
        host = urlsplit(url).netloc
        own = {"Origin": f"https://{host}", "Sec-Fetch-Site": "same-origin"}
        own["Content-Type"] = "application/x-www-form-urlencoded"
        return self._ask("POST", url, urlencode(fields).encode(), own, None)

    def open(self, link: str, code: Callable[[], str]) -> list[str]:
        """Have a code sent, enter it, and say where the files are."""
        for answered, url in ((self.post(link), f"{link}/code"), (self.get(f"{link}/code"), f"{link}/code")):
            assert answered.status in (200, 303), (answered.status, url)
        assert self.post(f"{link}/code", code=code()).status == 303
        return self.files(link)

    def files(self, link: str) -> list[str]:
        """The files that the page leads to; none while it is locked."""
        origin = "https://" + urlsplit(link).netloc
        return [origin + path for path in _FILE.findall(self.get(link).text)]

    def _ask(self, method: str, url: str, body: bytes | None, headers: dict[str, str], most: int | None) -> Answered:
        place = urlsplit(url)
        context = ssl.create_default_context(cafile=str(self.roots))
        with (
            socket.create_connection(("127.0.0.1", self.port), WAIT) as plain,
            context.wrap_socket(plain, server_hostname=place.hostname) as line,
        ):
            connection = http.client.HTTPConnection(place.netloc)
            connection.sock = line
            connection.request(method, place.path, body, self._with_cookies(place.path, headers))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            self._keep(found.get("set-cookie", ""))
            return Answered(response.status, found, _some(response, most))

    def _with_cookies(self, path: str, headers: dict[str, str]) -> dict[str, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        pairs = [pair for place, pair in self.cookies.items() if path == place or path.startswith(f"{place}/")]
        return {**names, **({"Cookie": "; ".join(pairs)} if pairs else {})}

    def _keep(self, cookie: str) -> None:
        pair, *attributes = cookie.split("; ")
        self.cookies |= {each.removeprefix("Path="): pair for each in attributes if each.startswith("Path=")}


def link_in(message: bytes) -> str:
    """The personal link in a message, as a person would copy it out of the text.

    Raises:
        AssertionError: there is none, or more than one.
    """
    read = message_from_bytes(message, policy=policy.default)
    texts = [part.get_content() for part in read.walk() if part.get_content_type() == "text/plain"]
    found = [link for text in texts for link in _LINK.findall(text)]
    assert len(set(found)) == 1, f"{len(found)} links"
    return str(found[0])


def code_in(message: bytes) -> str:
    """The code in a message."""
    found = _CODE.search(message)
    assert found is not None, "no code"
    return (found[1] + found[2]).decode()


def _some(response: http.client.HTTPResponse, most: int | None) -> bytes:
    return response.read() if most is None else response.read(most)
