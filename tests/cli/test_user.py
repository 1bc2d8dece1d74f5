"""The user's verbs against a domain's issuer and API, over real TLS."""

import hashlib
import http.client
import json
import os
import stat
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.client import parse_events
from rrsd.cli.forms import cookies_in, form_in
from rrsd.cli.login import read_hosts
from rrsd.cli.mailbox import news_text, safe_name
from rrsd.cli.main import run
from rrsd.cli.profile import Keeper, Profile, profile_path
from rrsd.cli.uploads import MOST_TRIES, PIECE
from rrsd.core.refusals import Damaged, Malformed
from rrsd.core.values.digests import digest_of
from tests.cli.doubles import NOW, Asked, Bench, Reply, Table, bench, log_in, refusal, reply, secure_daemon

ISSUER = "https://foo.test"
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "scopes_supported": ["openid", "mail"],
}
LINK = {"rel": "http://openid.net/specs/connect/1.0/issuer", "href": ISSUER}
FILM = bytes(range(256)) * 1024
DIGEST = digest_of(FILM)
PAGE = """<form method="post" action="/authorize"><input type="hidden" name="request" value="sealed">
<input name="username" type="email"><input name="password" type="password"><button>Log in</button></form>"""
PART = {
    "index": 0, "digest": DIGEST.b64, "size": len(FILM), "media_type": "video/mp4", "filename": "film.mp4",
    "arrival": "arriving", "done": len(FILM) // 2, "explanation": "",
}  # fmt: skip
MESSAGE = {
    "message": "8f3c01", "message_id": "<1@bar.test>", "sender": "bob@bar.test", "recipient": "alice@foo.test",
    "subject": "Holiday\x1b[31m", "date": "", "received": "2026-11-20T12:00:00+00:00", "parts": [PART],
}  # fmt: skip


class Case(SynchronousTestCase):
    """A domain with TLS, and alice's profile."""

    def setUp(self) -> None:
        """Make room for the profile and the certificates."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.table = Table()
        self.bench = bench(self.folder)

    def rrsctl(self, *words: str, is_logged_in: bool = True, expires: float = NOW + 600) -> tuple[int, Bench]:
        """Run one command line; alice is logged in."""
        with secure_daemon(self.folder, self.table) as profile:
            if is_logged_in:
                log_in(self.folder, profile, expires)
            self.profile = profile
            words = tuple(word.replace("PORT", profile.hosts["foo.test:443"]) for word in words)
            return run(["--profile", str(self.folder / "client.json"), *words], self.bench.session), self.bench

    def asked(self, method: str, path: str) -> list[Asked]:
        """The requests that came there."""
        return [each for each in self.table.asked if (each.method, each.path) == (method, path)]


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


class Storing:
    """The upload side of a daemon, which loses connections when told to."""

    def __init__(self, table: Table) -> None:
        self.kept = bytearray()
        self.size = 0
        self.failures: list[Reply | None] = []
        table.on("POST", "/api/uploads", self.begin)
        table.on("PATCH", "/api/uploads/u1", self.append)
        table.on("HEAD", "/api/uploads/u1", self.look)

    def begin(self, asked: Asked) -> Reply:
        """A new upload."""
        self.kept, self.size = bytearray(), json.loads(asked.body)["size"]
        digest = None if self.size else digest_of(b"").b64
        return reply({"offset": 0, "digest": digest}, 201, Location="/api/uploads/u1")

    def look(self, _: Asked) -> Reply:
        """How far it is."""
        return Reply(200, b"", {"Upload-Offset": str(len(self.kept))})

    def append(self, asked: Asked) -> Reply:
        """The next piece; a failure that is listed happens after half of it was kept."""
        if int(asked.headers["upload-offset"]) != len(self.kept):
            return refusal("conflict", 409)
        failure = self.failures.pop(0) if self.failures else None
        self.kept += asked.body if failure is None else asked.body[: len(asked.body) // 2]
        if failure is not None:
            return failure
        if len(self.kept) < self.size:
            return Reply(204, b"", {"Upload-Offset": str(len(self.kept))})
        return reply({"digest": digest_of(bytes(self.kept)).b64})


class Send(Case):
    """rrsctl send."""

    def setUp(self) -> None:
        """A daemon that takes uploads and makes messages."""
        super().setUp()
        self.storing = Storing(self.table)
        self.message = b"From: Alice <alice@foo.test>\r\nMessage-ID: <1@foo.test>\r\n\r\nhello\r\n"
        self.table.on("POST", "/api/outgoing", Reply(201, self.message, {"Content-Type": "message/rfc822"}))
        self.film = self.folder / "film.mp4"
        self.film.write_bytes(FILM * 64)  # two pieces

    def send(self, *more: str) -> tuple[int, Bench]:
        """Send the film to bob."""
        return self.rrsctl("send", "--to", "bob@bar.test", "--subject", "Hi", "--attach", str(self.film), *more)

    def test_printed(self) -> None:
        """The file is stored in pieces, and the message printed as it came."""
        status, made = self.send()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(made.out.getvalue().encode(), self.message)
        self.assertEqual(bytes(self.storing.kept), FILM * 64)
        self.assertEqual([len(each.body) for each in self.asked("PATCH", "/api/uploads/u1")], [PIECE, PIECE])
        draft = json.loads(self.asked("POST", "/api/outgoing")[0].body)
        attachment = {"digest": digest_of(FILM * 64).b64, "media_type": "video/mp4", "filename": "film.mp4"}
        self.assertEqual(draft["attachments"], [attachment])
        self.assertEqual((draft["to"], draft["subject"]), (["bob@bar.test"], "Hi"))

    def test_resumed(self) -> None:
        """After a broken connection and a refusal the upload goes on where the server has it."""
        self.storing.failures = [Reply(204, b"x", {"Content-Length": "5"}, cut=0), refusal("unavailable", 503), None]
        self.storing.failures[0] = Reply(200, b"cut off", cut=2)
        status, made = self.send()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(bytes(self.storing.kept), FILM * 64)
        self.assertTrue(made.slept)

    def test_given_up(self) -> None:
        """A server that stays away is given up with EX_TEMPFAIL, not asked for ever."""
        self.table.on("PATCH", "/api/uploads/u1", refusal("unavailable", 503))
        self.assertEqual(self.send()[0], os.EX_TEMPFAIL)
        self.assertEqual(len(self.asked("PATCH", "/api/uploads/u1")), MOST_TRIES)

    def test_server_lost_bytes(self) -> None:
        """A server that has less than it had said is not believed."""
        self.table.on("PATCH", "/api/uploads/u1", [Reply(204), refusal("conflict", 409)])
        self.table.on("HEAD", "/api/uploads/u1", Reply(200, b"", {"Upload-Offset": "17"}))
        self.assertEqual(self.send()[0], os.EX_IOERR)

    def test_other_bytes(self) -> None:
        """A server with another digest than ours ends it."""
        self.table.on("PATCH", "/api/uploads/u1", [Reply(204), reply({"digest": DIGEST.b64})])
        self.assertEqual(self.send()[0], os.EX_IOERR)

    def test_empty_file(self) -> None:
        """A file of nothing is complete at once."""
        self.film.write_bytes(b"")
        self.assertEqual(self.send()[0], 0)
        self.assertEqual(self.asked("PATCH", "/api/uploads/u1"), [])

    def test_no_file(self) -> None:
        """A file that is not there is named."""
        self.film.unlink()
        status, made = self.send()
        self.assertEqual((status, "film.mp4" in made.err.getvalue()), (os.EX_DATAERR, True))

    def test_submitted(self) -> None:
        """The command gets the message on standard input, sender and recipients as words of their own."""
        there = self.folder / "sent"
        code = (
            f"import sys; open({str(there)!r}, 'wb').write(sys.stdin.buffer.read() + ' '.join(sys.argv[1:]).encode())"
        )
        script = self.folder / "mail.py"
        script.write_text(code)
        words = ("--bcc", "carol@bar.test", "--submit", f"{sys.executable} {script} -f {{sender}} -- {{}}")
        status, made = self.send(*words)
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(there.read_bytes(), self.message + b"-f alice@foo.test -- bob@bar.test carol@bar.test")
        self.assertIn("sent to bob@bar.test, carol@bar.test", made.out.getvalue())

    def test_submit_fails(self) -> None:
        """A command that fails, is not there or is none leaves a line and a status."""
        for command, status in (("false", os.EX_TEMPFAIL), ("/no/such", os.EX_DATAERR), ("'", os.EX_DATAERR)):
            self.assertEqual(self.send("--submit", command)[0], status, command)

    def test_nobody_tells_bcc(self) -> None:
        """Bcc needs a command that is told its recipients; nothing is stored before that is clear."""
        self.assertEqual(self.send("--bcc", "carol@bar.test", "--submit", "sendmail -t")[0], os.EX_DATAERR)
        self.assertEqual(self.table.asked, [])

    def test_json(self) -> None:
        """Programs get the sums."""
        self.bench = bench(self.folder, is_json=True)
        _, made = self.rrsctl("--json", "send", "--to", "bob@bar.test", "--attach", str(self.film))
        self.assertEqual(made.document["files"][0]["sha256"], digest_of(FILM * 64).hex)
        self.assertEqual(made.document["message_id"], "<1@foo.test>")


class Get(Case):
    """rrsctl inbox and get."""

    def setUp(self) -> None:
        """A mailbox with one message."""
        super().setUp()
        self.table.on("GET", "/api/messages", reply({"messages": [MESSAGE]}))
        self.where = "/api/messages/8f3c01/parts/0"
        self.table.on("GET", self.where, self.part)
        self.file = self.folder / "film.mp4"

    def part(self, asked: Asked) -> Reply:
        """The part, or the range of it that is asked for."""
        given = asked.headers.get("range")
        if given is None or asked.headers.get("if-range") != f'"sha-256:{DIGEST.b64}"':
            return Reply(200, FILM)
        start = int(given.removeprefix("bytes=").removesuffix("-"))
        return Reply(206, FILM[start:], {"Content-Range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"})

    def get(self, *more: str) -> tuple[int, Bench]:
        """Get the film."""
        return self.rrsctl("get", "last", "0", "-o", str(self.file), *more)

    def test_inbox(self) -> None:
        """Messages and parts are listed; a stranger's subject cannot drive the terminal."""
        text = self.rrsctl("inbox")[1].out.getvalue()
        self.assertIn("film.mp4", text)
        self.assertIn("arriving 50%", text)
        self.assertNotIn("\x1b", text)

    def test_part(self) -> None:
        """A part is verified and gets its name; the sum is said."""
        status, made = self.get()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(self.file.read_bytes(), FILM)
        self.assertIn(DIGEST.hex, made.out.getvalue())
        self.assertFalse((self.folder / "film.mp4.part").exists())

    def test_by_name_and_prefix(self) -> None:
        """A part is found by its file name, a message by the beginning of its id."""
        status, made = self.rrsctl("get", "8f", "film.mp4", "-o", str(self.file))
        self.assertEqual(status, 0, made.err.getvalue())

    def test_resumed(self) -> None:
        """What an earlier call left is continued with a range, not fetched again."""
        (self.folder / "film.mp4.part").write_bytes(FILM[:1000])
        self.assertEqual(self.get()[0], 0)
        self.assertEqual(self.table.asked[-1].headers["range"], "bytes=1000-")
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_broken_and_resumed(self) -> None:
        """A connection that breaks in the middle is taken up again by itself."""
        whole = self.part
        answers = [Reply(200, FILM, cut=5000)]
        self.table.on("GET", self.where, lambda asked: answers.pop() if answers else whole(asked))
        status, made = self.get()
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(self.table.asked[-1].headers["range"], "bytes=5000-")
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_range_ignored(self) -> None:
        """A server that sends the whole again is believed from byte 0."""
        (self.folder / "film.mp4.part").write_bytes(b"old" * 10)
        self.table.on("GET", self.where, Reply(200, FILM))
        self.assertEqual(self.get()[0], 0)
        self.assertEqual(self.file.read_bytes(), FILM)

    def test_damaged(self) -> None:
        """Wrong bytes never get the name, and are thrown away."""
        self.table.on("GET", self.where, Reply(200, FILM[:-1] + b"x"))
        self.assertEqual(self.get()[0], os.EX_IOERR)
        self.assertEqual([self.file.exists(), (self.folder / "film.mp4.part").exists()], [False, False])

    def test_stale_rest(self) -> None:
        """A .part file of something else is found out by the sum, and the next call begins anew."""
        (self.folder / "film.mp4.part").write_bytes(b"x" * 1000)
        self.assertEqual(self.get()[0], os.EX_IOERR)
        self.assertEqual(self.get()[0], 0)

    def test_too_long(self) -> None:
        """A server that sends more than the size ends it."""
        self.table.on("GET", self.where, Reply(200, FILM + b"more"))
        self.assertEqual(self.get()[0], os.EX_IOERR)

    def test_waits(self) -> None:
        """A part that has not arrived is asked for again, and what is going on is said once."""
        waiting = reply(PART | {"arrival": "waiting", "explanation": "It waits for a free slot."}, 202)
        self.table.on("GET", self.where, [waiting, waiting, Reply(200, FILM)])
        status, made = self.get()
        self.assertEqual((status, made.err.getvalue()), (0, "It waits for a free slot.\n"))
        self.assertEqual(self.table.asked[-1].headers["prefer"], "wait=60")

    def test_given_up(self) -> None:
        """A part that cannot be had is refused with the daemon's reason; an outage is tried a few times."""
        self.table.on("GET", self.where, refusal("withdrawn", 410))
        self.assertEqual(self.get()[0], os.EX_UNAVAILABLE)
        self.table.on("GET", self.where, refusal("unavailable", 503))
        self.assertEqual(self.get()[0], os.EX_TEMPFAIL)

    def test_nothing_is_replaced(self) -> None:
        """A file that is there is replaced only when that was said."""
        self.file.write_bytes(b"mine")
        self.assertEqual(self.get()[0], os.EX_CANTCREAT)
        self.assertEqual(self.file.read_bytes(), b"mine")
        self.assertEqual(self.get("--force")[0], 0)

    def test_whole_message(self) -> None:
        """Without a part the complete message comes, of which no size is known before."""
        self.table.on(
            "GET", "/api/messages/8f3c01/raw", [Reply(200, b"a: b\r\n\r\n", cut=4), Reply(200, b"a: b\r\n\r\n")]
        )
        status, made = self.rrsctl("get", "last", "-o", str(self.folder))
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual((self.folder / "8f3c01.eml").read_bytes(), b"a: b\r\n\r\n")

    def test_no_such(self) -> None:
        """Messages and parts that are not there are said to be so, and two that fit too."""
        self.assertEqual(self.rrsctl("get", "zz", "0")[0], os.EX_NOUSER)
        self.assertEqual(self.rrsctl("get", "last", "7")[0], os.EX_NOUSER)
        self.table.on("GET", "/api/messages", reply({"messages": [MESSAGE, MESSAGE | {"message": "8f3d"}]}))
        self.assertEqual(self.rrsctl("get", "8f", "0")[0], os.EX_DATAERR)

    def test_file_names_of_strangers(self) -> None:
        """No file name leads out of the folder, hides itself or looks like an option."""
        said = [safe_name(name) for name in ("../../etc/passwd", ".bashrc", "-rf", "a\x00b\n", "", "C:\\x", "ok.png")]
        self.assertEqual(said, ["_.._etc_passwd", "bashrc", "rf", "a·b·", "part", "C__x", "ok.png"])

    def test_watch(self) -> None:
        """News are told as they come; when the stream ends it is opened again, until the login ends."""
        news = b': hello\n\nevent: progress\ndata: {"message": "m", "part": 0, "state": "stored", "done": 1}\n\n'
        self.table.on("GET", "/api/events", [Reply(200, news), refusal("unavailable", 503), refusal("expired", 401)])
        status, made = self.rrsctl("inbox", "--watch")
        self.assertEqual(status, os.EX_NOPERM)
        self.assertIn("m  part 0  stored", made.out.getvalue())
        self.assertEqual(made.slept, [5.0])


class Events(SynchronousTestCase):
    """Server-sent events."""

    def test_grammar(self) -> None:
        """Data of several lines is joined, other fields and what is no object are passed over."""
        lines = [b"id: 1\r\n", b'data: {"a":\r\n', b"data: 1}\r\n", b"\r\n", b"data: 5\n", b"\n", b"\n", b"data: cut"]
        self.assertEqual(list(parse_events(iter(lines))), [{"a": 1}])

    def test_damaged(self) -> None:
        """Data that is not JSON is refused."""
        self.assertRaises(Damaged, list, parse_events(iter([b"data: {\n", b"\n"])))

    def test_text(self) -> None:
        """News without sizes are short."""
        self.assertEqual(news_text({"message": "m", "part": 1, "state": "held"}), "m  part 1  held")


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
