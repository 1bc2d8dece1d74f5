"""The user's commands: logging in and out, whose address it is, and what is remembered."""

import hashlib
import http.client
import os
import stat
import threading
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.forms import cookies_in, form_in
from rrsd.cli.login import read_hosts
from rrsd.cli.main import run
from rrsd.cli.profile import Keeper, Profile, profile_path
from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import digest_of
from tests.cli.doubles import NOW, Asked, Bench, Reply, bench, log_in, refusal, reply, secure_daemon
from tests.cli.users import ISSUER, Case

METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "scopes_supported": ["openid", "mail"],
}
LINK = {"rel": "http://openid.net/specs/connect/1.0/issuer", "href": ISSUER}
PAGE = """<form method="post" action="/authorize"><input type="hidden" name="request" value="sealed">
<input name="username" type="email"><input name="password" type="password"><button>Log in</button></form>"""


class Login(Case):
    """rrsctl login and logout."""

    def setUp(self) -> None:
        """An issuer that logs alice in."""
        super().setUp()
        self.table.on("GET", "/.well-known/webfinger", reply({"subject": "acct:alice@foo.test", "links": [LINK]}))
        self.table.on("GET", "/.well-known/openid-configuration", reply(METADATA))
        self.table.on("GET", "/authorize", Reply(200, PAGE.encode(), {"Content-Type": "text/html"}))
        self.table.on("POST", "/authorize", self._entered)
        tokens = {"access_token": "at", "refresh_token": "rt", "expires_in": 600, "token_type": "Bearer"}
        self.table.on("POST", "/token", reply(tokens))
        self.password = b"correct horse\n"

    def _entered(self, asked: Asked) -> Reply:
        form = parse_qs(asked.body.decode())
        if form["password"] != ["correct horse"] or form["request"] != ["sealed"]:
            return Reply(403, PAGE.encode(), {"Content-Type": "text/html"})
        wanted = parse_qs(urlsplit(self.asked("GET", "/authorize")[0].target).query)
        answer = f"{wanted['redirect_uri'][0]}?code=c0de&state={wanted['state'][0]}&iss={ISSUER}"
        return Reply(303, b"", {"Location": answer})

    def login(self, *more: str) -> tuple[int, Bench]:
        """Log in with the password on standard input."""
        self.bench = bench(self.folder, self.password)
        words = ("--host", "foo.test=PORT", "--ca", str(self.folder / "ca.pem"), "--password-stdin", *more)
        return self.rrsctl("login", "alice@foo.test", *words, is_logged_in=False)

    def test_password(self) -> None:
        """The form is filled in, the code redeemed with the verifier, the tokens kept for their owner only."""
        status, made = self.login()
        self.assertEqual(status, 0, made.err.getvalue())
        profile = Keeper(self.folder / "client.json").load()
        assert profile.tokens is not None
        self.assertEqual((profile.tokens.access, profile.tokens.refresh), ("at", "rt"))
        self.assertEqual(profile.tokens.expires, NOW + 600)
        self.assertEqual(stat.S_IMODE((self.folder / "client.json").stat().st_mode), 0o600)
        wanted = parse_qs(urlsplit(self.asked("GET", "/authorize")[0].target).query)
        redeemed = parse_qs(self.asked("POST", "/token")[0].body.decode())
        self.assertEqual(wanted["redirect_uri"], redeemed["redirect_uri"])
        challenge = hashlib.sha256(redeemed["code_verifier"][0].encode()).digest()
        self.assertEqual(digest_of(redeemed["code_verifier"][0].encode()).raw, challenge)
        self.assertEqual(wanted["code_challenge"], [digest_of(redeemed["code_verifier"][0].encode()).b64])
        self.assertEqual(wanted["scope"], ["openid mail"])

    def test_wrong_password(self) -> None:
        """The same page again means that the password is wrong."""
        self.password = b"wrong\n"
        status, made = self.login()
        self.assertEqual((status, "password" in made.err.getvalue()), (os.EX_NOPERM, True))
        self.assertFalse((self.folder / "client.json").exists())

    def paste(self, text: str) -> tuple[int, Bench]:
        """Log in without a browser, pasting `text`."""
        self.bench = bench(self.folder, text.encode() + b"\n")
        words = ("--host", "foo.test=PORT", "--ca", str(self.folder / "ca.pem"), "--no-browser")
        return self.rrsctl("login", "alice@foo.test", *words, is_logged_in=False)

    def test_pasted(self) -> None:
        """The code is pasted, alone or with the address of the page that shows it."""
        state = "BwcHBwcHBwcHBwcHBwcHBw"
        for text in ("c0de", f"{ISSUER}/rrs/code?code=c0de&state={state}&iss={ISSUER}"):
            status, made = self.paste(text)
            self.assertEqual(status, 0, made.err.getvalue())
            self.assertIn(f"{ISSUER}/authorize?", made.err.getvalue())
            self.assertIn(b"code=c0de", self.table.asked[-1].body)

    def test_pasted_from_elsewhere(self) -> None:
        """A pasted address of another login is refused."""
        self.assertEqual(self.paste(f"{ISSUER}/rrs/code?code=c0de&state=other")[0], os.EX_NOPERM)

    def browser(self, **answer: str) -> tuple[int, Bench]:
        """Log in with a browser that comes back with `answer`."""
        self.bench = bench(self.folder)
        threads = []

        def browse(url: str) -> None:
            asked = dict(parse_qsl(urlsplit(url).query))
            there = urlsplit(asked["redirect_uri"])

            def come_back() -> None:
                for target in ("/favicon.ico", f"{there.path}?{urlencode({'state': asked['state'], **answer})}"):
                    connection = http.client.HTTPConnection("127.0.0.1", there.port or 0)
                    connection.request("GET", target)
                    connection.getresponse().read()

            threads.append(threading.Thread(target=come_back))
            threads[0].start()

        self.bench.session.browse = browse
        words = ("--host", "foo.test=PORT", "--ca", str(self.folder / "ca.pem"))
        found = self.rrsctl("login", "alice@foo.test", *words, is_logged_in=False)
        threads[0].join()
        return found

    def test_browser(self) -> None:
        """The browser comes back to a port of its own on loopback; other requests there are not the answer."""
        status, made = self.browser(code="c0de", iss=ISSUER)
        self.assertEqual(status, 0, made.err.getvalue())
        redeemed = parse_qs(self.table.asked[-1].body.decode())
        self.assertEqual(redeemed["code"], ["c0de"])
        self.assertRegex(redeemed["redirect_uri"][0], r"^http://127\.0\.0\.1:\d+/callback$")

    def test_browser_refused(self) -> None:
        """A login that the user or the issuer refused says so."""
        status, made = self.browser(error="access_denied")
        self.assertEqual((status, "access_denied" in made.err.getvalue()), (os.EX_NOPERM, True))

    def test_mix_up(self) -> None:
        """An answer of another issuer or to another request is refused (RFC 9207)."""
        for answer in ("code=c&state=other", "code=c&state=BwcHBwcHBwcHBwcHBwcHBw&iss=https://evil.test"):
            there = f"{ISSUER}/rrs/code?{answer}"
            self.table.on("POST", "/authorize", Reply(303, b"", {"Location": there}))
            self.assertEqual(self.login()[0], os.EX_NOPERM, answer)
        self.assertEqual(self.asked("POST", "/token"), [])

    def test_login_page_leads_away(self) -> None:
        """The password is never sent to another host than the issuer's."""
        page = PAGE.replace('action="/authorize"', 'action="https://evil.test/steal"').encode()
        self.table.on("GET", "/authorize", Reply(200, page, {"Content-Type": "text/html"}))
        self.assertEqual(self.login()[0], os.EX_NOPERM)

    def test_impostor(self) -> None:
        """An issuer that says it is another one is not logged in at."""
        self.table.on("GET", "/.well-known/openid-configuration", reply(METADATA | {"issuer": "https://evil.test"}))
        self.assertEqual(self.login()[0], os.EX_NOPERM)

    def test_two_issuers(self) -> None:
        """A domain that names two issuers names none."""
        links = [LINK, LINK | {"href": "https://other.test"}]
        self.table.on("GET", "/.well-known/webfinger", reply({"links": links}))
        self.assertEqual(self.login()[0], os.EX_DATAERR)
        self.assertEqual(self.login("--issuer", ISSUER)[0], 0)

    def test_untrusted_certificate(self) -> None:
        """A server whose certificate nobody trusts is not talked to, and --ca is mentioned."""
        self.bench = bench(self.folder, self.password)
        words = ("login", "alice@foo.test", "--host", "foo.test=PORT", "--password-stdin")
        status, made = self.rrsctl(*words, is_logged_in=False)
        self.assertEqual((status, "--ca" in made.err.getvalue()), (os.EX_NOPERM, True))
        self.assertEqual(self.table.asked, [])

    def test_wrong_name(self) -> None:
        """A trusted certificate of another name is not enough."""
        with secure_daemon(self.folder, self.table, "bar.test") as profile:
            log_in(self.folder, profile)
            status = run(["--profile", str(self.folder / "client.json"), "inbox"], self.bench.session)
        self.assertEqual((status, self.table.asked), (os.EX_NOPERM, []))

    def test_logout(self) -> None:
        """The issuer is told, and the tokens are gone whether it hears or not."""
        self.table.on("POST", "/revoke", [reply({}), refusal("unavailable", 503)])
        for _ in range(2):
            self.assertEqual(self.rrsctl("logout")[0], 0)
            self.assertIsNone(Keeper(self.folder / "client.json").load().tokens)
        self.assertIn(b"refresh-1", self.asked("POST", "/revoke")[0].body)

    def test_refresh(self) -> None:
        """An access token that has ended is renewed once, and the new refresh token is kept."""
        self.table.on("GET", "/api/messages", reply({"messages": []}))
        self.assertEqual(self.rrsctl("inbox", expires=NOW - 1)[0], 0)
        self.assertEqual(self.asked("GET", "/api/messages")[0].headers["authorization"], "Bearer at")
        tokens = Keeper(self.folder / "client.json").load().tokens
        self.assertEqual(tokens.refresh if tokens else "", "rt")

    def test_refresh_refused(self) -> None:
        """A login that has ended says how to log in again."""
        self.table.on("POST", "/token", refusal("not_granted", 400))
        status, made = self.rrsctl("inbox", expires=NOW - 1)
        self.assertEqual((status, "rrsctl login alice@foo.test" in made.err.getvalue()), (os.EX_NOPERM, True))

    def test_nobody(self) -> None:
        """Without a login there is advice; with a broken profile too."""
        self.assertEqual(self.rrsctl("inbox", is_logged_in=False)[0], os.EX_NOPERM)
        (self.folder / "client.json").write_text("[]")
        self.assertEqual(self.rrsctl("inbox", is_logged_in=False)[0], os.EX_IOERR)


class Forms(SynchronousTestCase):
    """Login pages and host tables."""

    def test_fields(self) -> None:
        """Hidden fields are kept, the first text field takes the user."""
        form = form_in(PAGE)
        self.assertEqual(
            parse_qs(form.filled("a", "b").decode()), {"request": ["sealed"], "username": ["a"], "password": ["b"]}
        )

    def test_several_cookies(self) -> None:
        """Every cookie of an answer is kept, whatever commas stand in their dates: providers set three at once."""
        joined = (
            "_interaction=a1; path=/interaction/a1; expires=Sat, 21 Nov 2026 13:00:00 GMT; secure; httponly, "
            "_interaction.sig=b=2; path=/; expires=Sat, 21 Nov 2026 13:00:00 GMT, gone=; path=/, nameless"
        )
        self.assertEqual(cookies_in(joined), {"_interaction": "a1", "_interaction.sig": "b=2", "gone": ""})
        self.assertEqual(cookies_in(""), {})

    def test_no_form(self) -> None:
        """A page without a form cannot be filled in."""
        self.assertRaises(Malformed, form_in, "<p>closed")

    def test_hosts(self) -> None:
        """A name without a port means 443; anything else is refused with an example."""
        self.assertEqual(read_hosts(("a.test=127.0.0.1:1",)), {"a.test:443": "127.0.0.1:1"})
        for word in ("a.test", "a.test=127.0.0.1", "a.test:x=127.0.0.1:1"):
            self.assertRaises(Malformed, read_hosts, (word,))

    def test_profiles(self) -> None:
        """A profile is a name in the user's folder, or a path."""
        home = {"HOME": "/h"}
        self.assertEqual(str(profile_path("", home)), "/h/.config/rrsd/client.json")
        self.assertEqual(str(profile_path("work", home | {"XDG_CONFIG_HOME": "/x"})), "/x/rrsd/work.json")
        self.assertEqual(str(profile_path("", home | {"RRSD_CLIENT": "/y/z.json"})), "/y/z.json")


class Profiles(Case):
    """The file with the tokens."""

    def test_refreshed_by_another(self) -> None:
        """A process that waited for the lock uses what the other one saved, and refreshes nothing."""
        keeper = Keeper(self.folder / "client.json")
        stale = Profile("alice@foo.test", ISSUER, ISSUER)
        log_in(self.folder, stale, NOW - 1)
        calls = []

        def refresh(profile: Profile) -> object:
            calls.append(profile)
            assert profile.tokens is not None
            return evolve(profile.tokens, expires=NOW + 600)

        keeper.fresh(NOW, refresh)  # type: ignore[arg-type]
        keeper.fresh(NOW, refresh)  # type: ignore[arg-type]
        self.assertEqual(len(calls), 1)
