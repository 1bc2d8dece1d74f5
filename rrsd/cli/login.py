"""`rrsctl login` and `logout`: authorization code with PKCE, by browser, pasted code, or password for scripts."""

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

import click
from attrs import evolve
from typing_extensions import override

from rrsd.cli.forms import Visitor
from rrsd.cli.issuer import Asked, IssuerClient, find_issuer
from rrsd.cli.profile import Profile
from rrsd.cli.session import Session, pass_session
from rrsd.cli.users import read_address, read_password
from rrsd.core.refusals import Malformed, Refusal, Unavailable

_WITHIN = 300  # seconds for a person to log in
_PAGE = b"<!doctype html><meta charset=utf-8><title>rrsctl</title><p>Logged in. You can close this page.</p>"


@click.command(short_help="Log in as a user of a domain.")
@click.argument("address", required=False)
@click.option("--user", "user", metavar="ADDRESS", default="", help="Another way to write ADDRESS.")
@click.option("--issuer", default="", help="The issuer, when the domain's WebFinger shall not be asked.")
@click.option("--api", default="", help="The origin of the user's API [the issuer's].")
@click.option(
    "--ca", "roots", metavar="FILE", default="", help="More trusted roots, for a domain with its own authority."
)
@click.option("--host", "hosts", metavar="NAME:PORT=ADDRESS:PORT", multiple=True, help="Where a name is, without DNS.")
@click.option("--browser/--no-browser", default=True, help="Open a browser, or print the address and ask for the code.")
@click.option("--password-stdin", is_flag=True, help="Fill the login page in with a password from standard input.")
@pass_session
def login(session: Session, /, address: str | None, user: str, password_stdin: bool, **given: object) -> None:
    """Log in; the tokens are kept in the profile, readable by you only, and renewed when they end.

    \b
      rrsctl login alice@foo.test                    in a browser
      rrsctl login alice@foo.test --no-browser       on a machine without one: the code is pasted
      rrsctl login --user alice@foo.test --password-stdin < password
      rrsctl --profile work login alice@corp.example
    """
    name = read_address(address or user or click.prompt("Address", err=True))
    hosts, roots = read_hosts(_words(given["hosts"])), str(given["roots"] or "")
    issuer = str(given["issuer"] or "") or find_issuer(name, hosts, roots)
    api = str(given["api"] or "") or _origin(issuer)
    profile = Profile(user=str(name), issuer=issuer, api=api, roots=roots, hosts=hosts)
    password = read_password(session, True) if password_stdin else None
    log_in(session, profile, password, is_browser=bool(given["browser"]))
    session.console.result(
        {"user": str(name), "issuer": issuer, "api": api, "profile": str(session.keeper.path)},
        f"logged in as {name} at {issuer}",
    )


def log_in(session: Session, profile: Profile, password: str | None, is_browser: bool = False) -> None:
    """Get tokens for the profile's user and save both."""
    issuer = IssuerClient(profile.issuer, profile.hosts, profile.roots)
    if password is not None:
        asked = issuer.ask(f"{profile.issuer}/rrs/code", profile.user, session.random)
        answer: Mapping[str, str] = Visitor(issuer).log_in(asked, profile.user, password)
    elif is_browser:
        asked, answer = _by_browser(session, issuer, profile.user)
    else:
        asked, answer = _by_paste(session, issuer, profile.user)
    tokens = issuer.redeem(asked, issuer.code_in(asked, answer), session.now())
    with session.keeper.alone():
        session.keeper.save(evolve(profile, tokens=tokens))


@click.command(short_help="Forget the tokens.")
@pass_session
def logout(session: Session) -> None:
    """End the login: the issuer is told, and the tokens are forgotten."""
    keeper = session.keeper
    with keeper.alone():
        profile = keeper.load()
        keeper.save(evolve(profile, tokens=None))
    if profile.tokens is not None:
        try:
            IssuerClient(profile.issuer, profile.hosts, profile.roots).revoke(profile.tokens.refresh)
        except Refusal as refusal:
            session.console.note(f"the issuer could not be told: {refusal.detail}")
    session.console.result({"user": profile.user}, f"logged out {profile.user}")


def read_hosts(words: tuple[str, ...]) -> dict[str, str]:
    """The host table that "name:port=address:port" words make; a name without port means 443.

    Raises:
        Malformed: a word is not of that form.
    """
    table = {}
    for word in words:
        name, _, address = word.partition("=")
        name = name if ":" in name else f"{name}:443"
        if not address.rpartition(":")[2].isdigit() or not name.rpartition(":")[2].isdigit():
            raise Malformed(f"{word!r} is no line of a host table: write foo.test:443=127.0.0.1:18443")
        table[name] = address
    return table


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, (tuple, list)) else ()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _by_paste(session: Session, issuer: IssuerClient, user: str) -> tuple[Asked, Mapping[str, str]]:
    asked = issuer.ask(f"{issuer.issuer}/rrs/code", user, session.random)
    session.console.err.write(
        f"Open this address in a browser, log in, and paste the code here:\n\n  {asked.url}\n\nCode: "
    )
    session.console.err.flush()
    text = session.input.readline().decode("utf-8", "replace").strip()
    # The page shows the code; the whole address of the page is fine too, and carries state and issuer with it.
    pasted = dict(parse_qsl(urlsplit(text).query)) if text.startswith("https://") else {"code": text}
    return asked, {"state": asked.state, **pasted}


def _by_browser(session: Session, issuer: IssuerClient, user: str) -> tuple[Asked, Mapping[str, str]]:
    with _Callback() as callback:
        asked = issuer.ask(f"http://127.0.0.1:{callback.server_port}/callback", user, session.random)
        session.console.note(f"Log in in the browser. If none opens, open:\n\n  {asked.url}\n")
        session.browse(asked.url)
        return asked, callback.wait(session)


class _Callback(HTTPServer):
    """The redirect URI on loopback (RFC 8252 7.3): answers once with a page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Once)
        self.answer: dict[str, str] = {}
        self.timeout = 1

    def wait(self, session: Session) -> dict[str, str]:
        """What came back.

        Raises:
            Unavailable: nothing did.
        """
        end = session.monotonic() + _WITHIN
        while not self.answer and session.monotonic() < end:
            self.handle_request()
        if not self.answer:
            raise Unavailable("nobody logged in: run it again, or with --no-browser")
        return self.answer


class _Once(BaseHTTPRequestHandler):
    server: _Callback

    def do_GET(self) -> None:
        """Take the answer, show a page."""
        parts = urlsplit(self.path)
        is_answer = parts.path == "/callback" and bool(parts.query)
        if is_answer:
            self.server.answer = dict(parse_qsl(parts.query))
        self.send_response(200 if is_answer else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if is_answer:
            self.wfile.write(_PAGE)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """The address holds the code: it is not logged."""
