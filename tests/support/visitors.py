"""A person with a browser and a mailbox elsewhere: cookies by path, forms with what browsers send along."""

import re

from attrs import define, field

from tests.support.attackers import Line, Response, fresh_source
from tests.support.mailservers import Post
from tests.support.world import World

_CODE = re.compile(rb"^    ([0-9A-Z]{4})-([0-9A-Z]{4})\r$", re.MULTILINE)


@define(eq=False)
class Visitor:
    """One browser; every request is a connection of its own, all from one network address."""

    world: World
    host: str
    source: str = field(factory=fresh_source)
    cookies: dict[str, str] = field(factory=dict)

    def get(self, path: str, **headers: str) -> Response:
        """A page."""
        return self._line().ask("GET", path, b"", **self._sent(path), **headers)

    def head(self, path: str) -> Response:
        """What a scanner asks for."""
        return self._line().ask("HEAD", path, b"", **self._sent(path))

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Response:
        """A form, sent as a browser sends one of this very site."""
        own = {"Origin": f"https://{self.host}", "Sec_Fetch_Site": "same-origin", **self._sent(path), **headers}
        response = self._line().form(path, fields or {}, **own)
        self._keep(response)
        return response

    def open(self, path: str, post: Post) -> Response:
        """Ask for a code, read it in the mail, enter it."""
        self.post(path)
        return self.post(f"{path}/code", {"code": last_code(post)})

    def _line(self) -> Line:
        return Line.to(self.world, self.host, source=self.source)

    def _sent(self, path: str) -> dict[str, str]:
        found = [pair for place, pair in self.cookies.items() if path == place or path.startswith(f"{place}/")]
        return {"Cookie": "; ".join(found)} if found else {}

    def _keep(self, response: Response) -> None:
        pair, *attributes = response.headers.get("set-cookie", "").split("; ")
        places = [each.removeprefix("Path=") for each in attributes if each.startswith("Path=")]
        self.cookies |= dict.fromkeys(places, pair)


def last_code(post: Post) -> str:
    """The code in the newest message."""
    found = _CODE.search(post.kept[-1][1])
    if found is None:
        raise AssertionError("no code")
    return (found[1] + found[2]).decode()
