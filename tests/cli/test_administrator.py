"""The administrator's verbs against a daemon's local endpoint."""

import json
import os

from typing_extensions import override

from rrsd.cli.exits import EXITS
from rrsd.cli.main import run, verb_of
from rrsd.core.refusals import Conflict, NoSpace
from tests.cli.administrators import ROW, Case
from tests.cli.doubles import Asked, Reply, bench, refusal, reply
from tests.support.forgery import b64


class Users(Case):
    """rrsctl users."""

    def test_list(self) -> None:
        """Everyone is listed with their state."""
        person = {"address": "alice@foo.test", "suspended": True, "created": "2026-11-20T12:00:00+00:00"}
        self.table.on("GET", "/users", reply({"users": [person]}))
        status, made = self.rrsctl("users", "list")
        self.assertEqual(status, 0)
        self.assertIn("alice@foo.test  suspended  2026-11-20 12:00:00", made.out.getvalue())

    def person(self, **changes: object) -> dict[str, object]:
        """Alice, with what she holds."""
        holding = {"held": 3 << 30, "reserved": 1 << 30, "quota": None, "limit": 5 << 30}
        return {"address": "alice@foo.test", "suspended": False, "created": ROW["at"], **holding, **changes}

    def test_what_users_hold(self) -> None:
        """Beside what they may, and whose word that is."""
        cases: tuple[tuple[dict[str, object], str], ...] = (
            ({}, "3.0 GiB  5.0 GiB"), ({"limit": 0}, "3.0 GiB  none"),
            ({"quota": 7 << 30, "limit": 7 << 30}, "3.0 GiB  7.0 GiB (own)"), ({"quota": 0, "limit": 0}, "none (own)"),
        )  # fmt: skip
        for changes, said in cases:
            self.table.on("GET", "/users", reply({"users": [self.person(**changes)]}))
            self.assertIn(said, self.rrsctl("users", "list")[1].out.getvalue())
            self.assertIn(said.split("  ")[-1], self.rrsctl("users", "show", "Alice@foo.test")[1].out.getvalue())
        self.assertIn("1.0 GiB of it still to come", self.rrsctl("users", "show", "alice@foo.test")[1].out.getvalue())
        status, made = self.rrsctl("users", "show", "alice@foo.test", is_json=True)
        self.assertEqual((status, json.loads(made.out.getvalue())["held"]), (0, 3 << 30))
        status, made = self.rrsctl("users", "show", "nobody@foo.test")
        self.assertEqual((status, "rrsctl users list" in made.err.getvalue()), (os.EX_NOUSER, True))

    def test_set_quota(self) -> None:
        """Sizes as people write them, none, or what holds for everybody."""
        self.table.on("POST", "/users/alice@foo.test/quota", reply({"address": "alice@foo.test", "quota": None}))
        for word, given, said in (
            ("50GiB", 50 << 30, "50.0 GiB"), ("0", 0, "no limit"), ("default", None, "what holds for everybody"),
        ):  # fmt: skip
            status, made = self.rrsctl("users", "set-quota", "alice@foo.test", word)
            self.assertEqual((status, json.loads(self.table.asked[-1].body)), (0, {"quota": given}))
            self.assertIn(said, made.out.getvalue())
        self.table.on("POST", "/users/alice@foo.test/quota", refusal("unknown", 404))
        _, made = self.rrsctl("users", "set-quota", "alice@foo.test", "1GiB")
        self.assertIn("will not set the quota of alice@foo.test", made.err.getvalue())
        status, made = self.rrsctl("users", "set-quota", "alice@foo.test", "much")
        self.assertEqual((status, "64MiB" in made.err.getvalue()), (os.EX_DATAERR, True))

    def test_add(self) -> None:
        """The password comes from standard input and goes into the body, not into the address."""
        self.table.on("POST", "/users", reply({"address": "alice@foo.test"}, 201))
        status, made = self.rrsctl("users", "add", "alice@foo.test", "--password-stdin", given=b"correct horse\n")
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual(
            json.loads(self.table.asked[0].body), {"address": "alice@foo.test", "password": "correct horse"}
        )

    def test_weak_password(self) -> None:
        """A short password and none at all are refused before anybody is asked."""
        for given in (b"short\n", b""):
            status, made = self.rrsctl("users", "add", "alice@foo.test", "--password-stdin", given=given)
            self.assertEqual(status, os.EX_DATAERR)
            self.assertIn("password", made.err.getvalue())
        self.assertEqual(self.table.asked, [])

    def test_no_address(self) -> None:
        """What is no address is refused with an example."""
        status, made = self.rrsctl("users", "suspend", "alice")
        self.assertEqual((status, "local@domain" in made.err.getvalue()), (os.EX_DATAERR, True))

    def test_changes(self) -> None:
        """Suspend, resume, password and remove go to the user's own path."""
        for method, act in (("POST", "/suspend"), ("POST", "/resume"), ("POST", "/password"), ("DELETE", "")):
            self.table.on(method, f"/users/alice@foo.test{act}", reply({"address": "alice@foo.test"}))
        for words in (["suspend"], ["resume"], ["password", "--password-stdin"], ["remove", "--yes"]):
            status, made = self.rrsctl("users", *words, "alice@foo.test", given=b"long enough\n")
            self.assertEqual(status, 0, made.err.getvalue())
        self.assertEqual([asked.method for asked in self.table.asked], ["POST", "POST", "POST", "DELETE"])

    def test_unknown(self) -> None:
        """A refusal of the daemon is one line with advice and its own status."""
        status, made = self.rrsctl("users", "suspend", "nobody@foo.test")
        self.assertEqual(status, os.EX_NOUSER)
        self.assertEqual(made.err.getvalue().count("\n"), 1)


class Delegate(Case):
    """rrsctl delegate."""

    WORDS = ("delegate", "--user", "bob@bar.test", "--resource", "https://api.baz.test")

    @override
    def setUp(self) -> None:
        super().setUp()
        claims = {
            "iss": "https://bar.test", "aud": "https://api.baz.test", "sub": "bob@bar.test", "jti": "1",
            "client_id": "_rra.bar.test", "act": {"sub": "_rra.bar.test"}, "cnf": {"x5t#S256": "A" * 43},
            "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_300,
        }  # fmt: skip
        header = {"alg": "ES256", "typ": "rrs-delegation+jwt", "kid": "k"}
        self.token = ".".join([*(b64(json.dumps(part)) for part in (header, claims)), "A" * 86])
        answer = {"user": "bob@bar.test", "resource": "https://api.baz.test", "delegation": self.token}
        self.table.on("POST", "/delegations", reply(answer))

    def test_into_a_file(self) -> None:
        """The field for curl goes into a file for the caller alone; the screen never has the token."""
        place = self.folder / "bob.header"
        status, made = self.rrsctl(*self.WORDS, "--header", str(place))
        self.assertEqual(status, 0)
        self.assertEqual(place.read_text(), f"Authorization: Bearer {self.token}\n")
        self.assertEqual(place.stat().st_mode & 0o777, 0o600)
        text = made.out.getvalue()
        self.assertIn("until 2027-01-15 08:05:00 UTC", text)
        self.assertIn("clients.json", text)
        self.assertNotIn(self.token.split(".")[1], text)
        status, made = self.rrsctl(*self.WORDS, "--header", str(place))
        self.assertEqual((status, "remove it" in made.err.getvalue()), (EXITS[Conflict], True))

    def test_the_line_for_curl(self) -> None:
        """It names the agent's certificate and key where they are files."""
        keys = self.folder / "keys"
        keys.mkdir()
        (keys / "client.pem").touch()
        self.config.write_text(f"{self.config.read_text()}[keys]\npath = {keys}\n")
        made = self.rrsctl(*self.WORDS, "--header", str(self.folder / "h"), is_json=True)[1]
        line = f"curl --cert {keys}/client.pem --key {keys}/client.key -H @{self.folder}/h https://api.baz.test/"
        self.assertEqual(json.loads(made.out.getvalue())["curl"], line)

    def test_printed_on_request(self) -> None:
        """And only then."""
        self.assertEqual(self.rrsctl(*self.WORDS, "--print")[1].out.getvalue().strip(), self.token)

    def test_unknown_user_said_400_and_no_more(self) -> None:
        """The daemon's words reach the terminal: who is unknown, and what to do."""
        detail = "bob@bar.test is no user of this domain; rrsctl users list shows who is"
        self.table.on("POST", "/delegations", reply({"error": "x", "reason": "unknown", "detail": detail}, 404))
        status, made = self.rrsctl(*self.WORDS, "--print")
        self.assertEqual((status, detail in made.err.getvalue()), (os.EX_NOUSER, True), made.err.getvalue())

    def test_mistakes(self) -> None:
        """Nowhere to put it, no origin, no such folder."""
        for words, status, said in (
            (self.WORDS, os.EX_USAGE, "--header FILE, or --print"),
            ((*self.WORDS, "--print", "--header", "x"), os.EX_USAGE, "--header FILE, or --print"),
            ((*self.WORDS[:4], "https://api.baz.test/orders", "--print"), os.EX_DATAERR, "without a path"),
            ((*self.WORDS, "--header", "/nowhere/x"), EXITS[NoSpace], "cannot be written"),
        ):
            found, made = self.rrsctl(*words)
            self.assertEqual((found, said in made.err.getvalue()), (status, True), made.err.getvalue())


class Keys(Case):
    """rrsctl keys."""

    def test_list(self) -> None:
        """Keys, their states and the client certificate are shown."""
        client = {"name": "_rra.foo.test", "spki": "aa", "x5t": "bb", "not_after": "2036-11-20T12:00:00+00:00"}
        keys = [{"kid": "k1", "state": "active", "since": "2026-11-20T12:00:00+00:00"}]
        clients = [{**client, "state": "current", "since": "2026-11-20T12:00:00+00:00"}]
        self.table.on("GET", "/keys", reply({"keys": keys, "client": client, "clients": clients}))
        text = self.rrsctl("keys", "list")[1].out.getvalue()
        self.assertIn("k1           active  2026-11-20 12:00:00", text)
        self.assertIn("_rra.foo.test", text)
        self.assertIn("current since 2026-11-20 12:00:00", text)
        self.assertNotIn("to do", text)

    def test_rotate_twice(self) -> None:
        """A second rotation in a row says that it changed nothing."""
        answers = [reply({"keys": [], "rotated": True}), reply({"keys": [], "rotated": False})]
        self.table.on("POST", "/keys/rotate", answers)
        self.assertTrue(self.rrsctl("keys", "rotate")[1].out.getvalue().startswith("rotated\n"))
        self.assertIn("nothing changed", self.rrsctl("keys", "rotate")[1].out.getvalue())

    def test_steps_of_the_client_key(self) -> None:
        """Each step says what it did, what the zone must say, and which command comes next and when."""
        following = {"step": "use", "due": "2026-11-20T13:00:00+00:00"}
        document = {"clients": [], "following": following, "records": ["_rra.foo.test. 3600 IN TLSA 3 1 1 aa"]}
        answers = [reply({**document, "changed": True}), reply({**document, "changed": False})]
        self.table.on("POST", "/keys/client/publish", answers)
        said = self.rrsctl("keys", "client", "publish")[1].out.getvalue()
        self.assertTrue(said.startswith("the next client key is published\n"), said)
        self.assertIn("  _rra.foo.test. 3600 IN TLSA 3 1 1 aa\n", said)
        self.assertIn("to do: rrsctl keys client use after 2026-11-20 13:00:00 UTC", said)
        self.assertIn("already: nothing changed", self.rrsctl("keys", "client", "publish")[1].out.getvalue())

    def test_force(self) -> None:
        """A step is only forced when that is said; what is refused says until when to wait."""
        early = {"error": "conflict", "reason": "conflict", "detail": "wait until 2026-11-20 13:00:00 UTC"}
        for step in ("use", "withdraw"):
            self.table.on("POST", f"/keys/client/{step}", [reply(early, 409), reply({"changed": True})])
            status, made = self.rrsctl("keys", "client", step)
            self.assertNotEqual(status, 0)
            self.assertIn("wait until 2026-11-20 13:00:00 UTC", made.err.getvalue())
            self.assertEqual(self.rrsctl("keys", "client", step, "--force")[0], 0)
        self.assertEqual([json.loads(asked.body)["force"] for asked in self.table.asked], [False, True] * 2)


class Deliver(Case):
    """rrsctl deliver, as a mail server pipes to it."""

    def test_delivered(self) -> None:
        """The message goes through with CRLF line ends and its envelope; nothing is printed."""
        accepted = {"recipient": "bob@bar.test", "message": "m1", "pulls": [1]}
        self.table.on("POST", "/deliver", reply({"accepted": [accepted]}))
        words = ("deliver", "-f", "alice@foo.test", "--", "bob@bar.test", "<carol@bar.test>")
        status, made = self.rrsctl(*words, given=b"Subject: x\n\nhello\n")
        self.assertEqual((status, made.out.getvalue()), (0, ""))
        self.assertEqual(self.table.asked[0].body, b"Subject: x\r\n\r\nhello\r\n")
        envelope = [("sender", "alice@foo.test"), ("recipient", "bob@bar.test"), ("recipient", "carol@bar.test")]
        self.assertEqual(self.query(), envelope)

    def test_bounce(self) -> None:
        """The empty sender of a bounce is delivered as empty."""
        self.table.on("POST", "/deliver", reply({"accepted": []}))
        for sender in ("", "<>"):
            self.assertEqual(self.rrsctl("deliver", "-f", sender, "bob@bar.test", given=b"a: b\r\n\r\n")[0], 0)
            self.assertEqual(self.query()[0], ("sender", ""))

    def test_refused(self) -> None:
        """The daemon's reason decides between a bounce and another try."""
        for reason, http, status in (
            ("malformed", 400, os.EX_DATAERR),
            ("too_large", 413, os.EX_DATAERR),
            ("unknown", 404, os.EX_NOUSER),
            ("forbidden", 403, os.EX_NOPERM),
            ("no_space", 507, os.EX_TEMPFAIL),
            ("unavailable", 503, os.EX_TEMPFAIL),
            ("unproven", 401, os.EX_TEMPFAIL),
        ):
            self.table.on("POST", "/deliver", refusal(reason, http))
            self.assertEqual(self.rrsctl("deliver", "bob@bar.test", given=b"a: b\n\n")[0], status, reason)

    def test_daemon_breaks(self) -> None:
        """A bug of the daemon, a cut answer or none keep the message at the mail server."""
        for answer in (Reply(500, b"<html>"), Reply(200, b'{"accepted": []}', cut=3), Reply(200, b"not JSON")):
            self.table.on("POST", "/deliver", answer)
            status = self.rrsctl("deliver", "bob@bar.test", given=b"a: b\n\n")[0]
            self.assertEqual(status, os.EX_TEMPFAIL, answer)

    def test_daemon_is_down(self) -> None:
        """No daemon, no INI file, a broken command line: the message stays at the mail server."""
        for words in (
            ["--config", str(self.config), "deliver", "bob@bar.test"],
            ["--config", str(self.folder / "missing.ini"), "deliver", "bob@bar.test"],
            ["--config", str(self.config), "deliver", "--nonsense"],
        ):
            made = bench(self.folder, b"a: b\n\n")
            self.assertEqual(run(words, made.session), os.EX_TEMPFAIL, words)
            self.assertEqual(made.err.getvalue().count("\n"), 1)

    def test_nothing(self) -> None:
        """No message on standard input is an error of the data."""
        self.assertEqual(self.rrsctl("deliver", "bob@bar.test")[0], os.EX_DATAERR)

    def test_a_bug_of_ours(self) -> None:
        """An unexpected failure is one line and another try, never a traceback."""

        def broken(_: Asked) -> Reply:
            return reply({"accepted": 5})

        self.table.on("POST", "/deliver", broken)
        status, made = self.rrsctl("deliver", "bob@bar.test", given=b"a: b\n\n", is_json=True)
        self.assertEqual(status, os.EX_TEMPFAIL)
        self.assertNotIn("Traceback", made.err.getvalue())


class CommandLine(Case):
    """The edge of the program."""

    def test_verb(self) -> None:
        """The verb is found behind the global options."""
        self.assertEqual(verb_of(["--config", "deliver", "--json", "send", "deliver"]), "send")
        self.assertEqual(verb_of(["--config=x", "deliver"]), "deliver")
        self.assertEqual(verb_of(["--profile"]), "")

    def test_usage(self) -> None:
        """A wrong command line says where help is."""
        status, made = self.rrsctl("nonsense")
        self.assertEqual((status, "--help" in made.err.getvalue()), (os.EX_USAGE, True))

    def test_help_of_every_verb(self) -> None:
        """Every verb has help that shows an example of itself."""
        from click.testing import CliRunner

        from rrsd.cli.main import VERBS, rrsctl

        for verb in VERBS:
            shown = CliRunner().invoke(rrsctl, [verb, "--help"])
            self.assertEqual(shown.exit_code, 0, shown.output)
            if verb not in ("logout",):
                self.assertIn("rrsctl " + verb, shown.output)

    def test_errors_for_programs(self) -> None:
        """With --json an error is a document too."""
        status, made = self.rrsctl("pulls", "explain", "9", is_json=True)
        self.assertEqual(made.document["status"], status)
