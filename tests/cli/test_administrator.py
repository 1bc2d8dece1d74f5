"""The administrator's verbs against a daemon's local endpoint."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from rrsd.cli.exits import EXITS
from rrsd.cli.main import run, verb_of
from rrsd.core.refusals import Conflict, NoSpace
from rrsd.roles.rra.moving import HEADER
from rrsd.roles.rra.verbs import OF_A_JOB
from tests.cli.doubles import Asked, Bench, Reply, Table, bench, refusal, reply, unix_daemon
from tests.support.forgery import b64

JOB: dict[str, Any] = {
    "job": 17, "message": "m1", "index": 0, "recipient": "bob@bar.test", "sender": "foo.test",
    "message_id": "<1@foo.test>",
    "origin": "https://foo.test", "digest": "ni:///sha-256;" + "A" * 43, "size": 1000, "state": "deferred", "due": None,
    "condition": "space", "attempts": 2, "blame": "ourselves", "evidence": "disk full", "done": 250,
    "deadline": "2026-11-27T12:00:00+00:00",
}  # fmt: skip
ROW = {"at": "2026-11-20T12:00:00+00:00", "before": "new", "after": "leased", "event": "leased", "evidence": ""}


class Case(SynchronousTestCase):
    """A daemon on a unix socket, and an INI file that names it."""

    def setUp(self) -> None:
        """Start it."""
        found = tempfile.TemporaryDirectory(prefix="rrsd-")  # a trial folder's path is too long for a socket
        self.addCleanup(found.cleanup)
        self.folder = Path(found.name)
        self.config = self.folder / "rrsd.ini"
        self.config.write_text(f"[admin]\nsocket = {self.folder}/admin.sock\n")
        self.table = Table()

    def rrsctl(self, *words: str, given: bytes = b"", is_json: bool = False) -> tuple[int, Bench]:
        """Run one command line against the daemon."""
        made = bench(self.folder, given)
        options = ["--json"] if is_json else []
        with unix_daemon(f"{self.folder}/admin.sock", self.table):
            status = run(["--config", str(self.config), *options, *words], made.session)
        return status, made

    def query(self) -> list[tuple[str, str]]:
        """The query of the last request."""
        return parse_qsl(urlsplit(self.table.asked[-1].target).query, keep_blank_values=True)


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


class Pulls(Case):
    """rrsctl pulls."""

    def test_list(self) -> None:
        """Pages are put together; share and next condition are shown."""
        second = JOB | {"job": 18, "state": "stored", "done": 1000, "size": 0, "condition": ""}
        pages = [reply({"pulls": [JOB], "next": 17}), reply({"pulls": [second], "next": None})]
        self.table.on("GET", "/pulls", pages)
        status, made = self.rrsctl("pulls", "list", "--state", "deferred", "--origin", "https://foo.test")
        self.assertEqual(status, 0, made.err.getvalue())
        self.assertIn("17  deferred  https://foo.test  bob@bar.test  1000 B  25%   space", made.out.getvalue())
        self.assertIn(("after", "17"), self.query())
        self.assertIn(("state", "deferred"), self.query())

    def test_json(self) -> None:
        """Programs get the jobs as the daemon has them."""
        self.table.on("GET", "/pulls", reply({"pulls": [JOB], "next": None}))
        _, made = self.rrsctl("pulls", "list", is_json=True)
        self.assertEqual(made.document, {"pulls": [JOB], "next": None, "rulings": []})

    def test_empty(self) -> None:
        """An empty queue is a sentence."""
        self.table.on("GET", "/pulls", reply({"pulls": [], "next": None}))
        self.assertEqual(self.rrsctl("pulls", "list")[1].out.getvalue(), "nothing to pull\n")

    def test_destinations(self) -> None:
        """How many at once and why; the changes of one that is named."""
        known = {"name": "https://foo.test", "limit": 3, "opened": None, "until": None, "reason": "connect: refused"}
        change = {"at": "2026-01-01T00:00:00+00:00", "event": "lowered", "before": 4, "after": 3, "reason": "refused"}
        document = {"destinations": [known], "changes": [change]}
        self.table.on("GET", "/destinations", reply(document))
        text = self.rrsctl("pulls", "destinations", "https://foo.test")[1].out.getvalue()
        self.assertIn("https://foo.test  closed        3", text)
        self.assertIn("lowered  4 to 3", text)
        self.assertIn(("name", "https://foo.test"), self.query())
        self.assertEqual(self.rrsctl("pulls", "destinations", is_json=True)[1].document, document)

    def test_no_destination(self) -> None:
        """Those that are well are not listed, and that is a sentence."""
        self.table.on("GET", "/destinations", reply({"destinations": [], "changes": []}))
        self.assertEqual(self.rrsctl("pulls", "destinations")[1].out.getvalue(), "nothing is known\n")

    def test_show(self) -> None:
        """A pull is shown with its durable bytes and its history."""
        fetch = {"origin": "https://foo.test", "digest": "x", "epoch": 2, "validator": "", "offset": 500}
        self.table.on("GET", "/pulls/17", reply({"job": JOB, "history": [ROW], "fetch": fetch}))
        text = self.rrsctl("pulls", "show", "17")[1].out.getvalue()
        self.assertIn("500 B of 1000 B", text)
        self.assertIn("leased", text)

    def test_explain(self) -> None:
        """The daemon's own sentence is what a person reads."""
        self.table.on("GET", "/pulls/17/explain", reply({"text": "It waits for space.", "facts": {}}))
        self.assertEqual(self.rrsctl("pulls", "explain", "17")[1].out.getvalue(), "It waits for space.\n")

    def test_one(self) -> None:
        """A verb about one pull goes to that pull."""
        needed = {"extend": ["--for", "3d"], "set-priority": ["--to", "bulk"]}
        for act in OF_A_JOB:
            self.table.on("POST", f"/pulls/17/{act}", reply({"job": JOB}))
            self.assertEqual(self.rrsctl("pulls", act, "17", *needed.get(act, []))[0], 0)
        said = [json.loads(asked.body) for asked in self.table.asked]
        self.assertEqual([each for each in said if each], [{"for": 3 * 86400}, {"priority": "bulk"}])

    def test_many(self) -> None:
        """A bulk verb says which and that all are meant."""
        counted = reply({"jobs": 3, "token": "t", "seconds": 300})
        steps = [reply({"changed": 2, "unchanged": 1, "next": 9}), reply({"changed": 1, "unchanged": 0, "next": None})]
        self.table.on("POST", "/pulls/hold", [counted, *steps])
        status, made = self.rrsctl("pulls", "hold", "--all", "--origin", "https://foo.test", given=b"y\n")
        self.assertEqual((status, made.out.getvalue()), (0, "3 pulls held, 1 did not allow it\n"))
        self.assertIn("about 3 pulls", made.err.getvalue())
        wanted = {"origin": "https://foo.test", "all": True}
        bodies = [json.loads(asked.body) for asked in self.table.asked]
        self.assertEqual(bodies, [wanted, {**wanted, "token": "t", "after": 0}, {**wanted, "token": "t", "after": 9}])

    def test_many_were_changed_before_anybody_said_yes(self) -> None:
        """No, silence, and --json ask only; --yes TOKEN says it without a question."""
        for given in (b"n\n", b""):
            self.table.on("POST", "/pulls/hold", reply({"jobs": 3, "token": "t", "seconds": 300}))
            self.assertEqual(self.rrsctl("pulls", "hold", "--all", given=given)[0], 130)
        _, made = self.rrsctl("pulls", "hold", "--all", is_json=True)
        self.assertEqual(made.document, {"jobs": 3, "token": "t", "seconds": 300})
        self.assertTrue(all(b"token" not in asked.body for asked in self.table.asked))
        self.table.on("POST", "/pulls/hold", reply({"changed": 3, "unchanged": 0, "next": None}))
        status, made = self.rrsctl("pulls", "hold", "--all", "--yes", "t")
        self.assertEqual((status, made.out.getvalue()), (0, "3 pulls held\n"))

    def test_nobody_is_meant(self) -> None:
        """A sentence, and no question."""
        self.table.on("POST", "/pulls/cancel", reply({"jobs": 0, "token": "t", "seconds": 300}))
        self.assertEqual(self.rrsctl("pulls", "cancel", "--all")[1].out.getvalue(), "no pull is meant\n")

    def test_filters(self) -> None:
        """All go into the query, an age in seconds; what is no span is refused with an example."""
        self.table.on("GET", "/pulls", reply({"pulls": [JOB], "next": 17}))
        words = ["--recipient", "bob@bar.test", "--sender", "foo.test", "--condition", "space", "--age", "4h"]
        _, made = self.rrsctl("pulls", "list", *words, "--at-risk", "--most", "1")
        self.assertEqual(
            dict(self.query()),
            {"recipient": "bob@bar.test", "sender": "foo.test", "condition": "space", "age": "14400", "at_risk": "1",
             "most": "1"},
        )  # fmt: skip
        self.assertIn("rrsctl pulls list --after 17", made.err.getvalue())
        status, made = self.rrsctl("pulls", "list", "--age", "soon")
        self.assertEqual((status, "4h" in made.err.getvalue()), (os.EX_DATAERR, True))

    def test_what_operators_laid_down_is_said(self) -> None:
        """`list` says that the daemon is drained, and `destinations` who paused what and why."""
        drained = {"kind": "drain", "name": "", "at": ROW["at"], "who": "operator uid 0", "reason": "disk"}
        paused = {**drained, "kind": "pause", "name": "https://foo.test"}
        limited = {**drained, "kind": "limit", "name": "https://foo.test", "most": 2}
        self.table.on("GET", "/pulls", reply({"pulls": [], "next": None, "rulings": [drained]}))
        said = self.rrsctl("pulls", "list")[1].err.getvalue()
        self.assertIn("drained: nothing new starts (rrsctl pulls undrain), since 2026-11-20 12:00:00 UTC by", said)
        self.table.on("GET", "/destinations", reply({"destinations": [], "changes": [], "rulings": [paused, limited]}))
        said = self.rrsctl("pulls", "destinations")[1].err.getvalue()
        self.assertIn("paused: https://foo.test (rrsctl pulls resume https://foo.test)", said)
        self.assertIn("to 2 at once, since 2026-11-20 12:00:00 UTC by operator uid 0: disk", said)

    def test_governing(self) -> None:
        """Each goes to its own address, with its reason."""
        for verb in ("pause", "resume", "limit", "retry", "retry-issuer"):
            self.table.on("POST", f"/destinations/{verb}", reply({"rulings": [], "woken": 4, "asked": True}))
        for verb in ("drain", "undrain"):
            self.table.on("POST", f"/queue/{verb}", reply({"rulings": []}))
        foo = "https://foo.test"
        said = {
            ("pause", foo, "--reason", "asked"): f"nothing more starts from {foo}",
            ("resume", foo): f"{foo} is asked again",
            ("limit", foo, "2"): f"at most 2 at once from {foo}",
            ("limit", foo, "0"): f"{foo} has no limit of its own",
            ("retry-now", "--destination", foo): "4 pulls run now; a closed one is probed",
            ("retry-now", "--issuer"): "our token service is asked now",
            ("drain", "--reason", "noon"): "nothing new starts",
            ("undrain",): "pulls start again",
        }
        for words, text in said.items():
            self.assertEqual(self.rrsctl("pulls", *words)[1].out.getvalue(), f"{text}\n", words)
        bodies = [json.loads(asked.body) for asked in self.table.asked]
        self.assertEqual(bodies[0], {"name": foo, "reason": "asked"})
        self.assertEqual(bodies[2], {"name": foo, "most": 2, "reason": ""})
        for wrong in (("--issuer", "--all"), ("--issuer", "17"), ("--issuer", "--destination", foo)):
            self.assertEqual(self.rrsctl("pulls", "retry-now", *wrong)[0], os.EX_DATAERR, wrong)
        self.table.on("POST", "/destinations/retry", reply({"woken": 0, "wait": 7}))
        shown = self.rrsctl("pulls", "retry-now", "--destination", foo)[1].out.getvalue()
        self.assertEqual(shown, "it was asked a moment ago: say it again in 7 s\n")

    def test_verify_store(self) -> None:
        """The rate goes as bytes; how far it is, and what it found."""
        run: dict[str, Any] = {
            "started": ROW["at"], "ended": None, "share": 0.5, "looked": 7, "bytes": 2048, "rate": 1 << 20,
            "failed": "", "damaged": [], "unreadable": [],
        }  # fmt: skip
        self.table.on("POST", "/store/verify", reply(run, 202))
        text = self.rrsctl("pulls", "verify-store", "--rate", "1MiB")[1].out.getvalue()
        self.assertEqual(json.loads(self.table.asked[0].body), {"rate": 1 << 20})
        self.assertIn("50%  7 resources, 2.0 KiB, at most 1.0 MiB/s", text)
        done = {**run, "ended": ROW["at"], "share": 1.0}
        self.table.on("GET", "/store/verify", reply(done))
        text = self.rrsctl("pulls", "verify-store", "--progress")[1].out.getvalue()
        self.assertIn("all of it is what its name says", text)
        found = {"digest": "ni:x", "pulls": [1, 2], "again": [9]}
        self.table.on(
            "GET",
            "/store/verify",
            reply({**done, "failed": "disk", "damaged": [found, {**found, "again": []}], "unreadable": ["ni:y"]}),
        )
        text = self.rrsctl("pulls", "verify-store", "--progress")[1].out.getvalue()
        for part in ("ended early: disk", "again by: 9", "again by: nothing", "cannot be read: ni:y"):
            self.assertIn(part, text)

    def test_export_and_import(self) -> None:
        """Pages into a new file for nobody else; each line out of it, what is refused is named and the rest goes on."""
        place = self.folder / "queue.jsonl"
        lines = [{"recipient": f"{name}@bar.test", "raw": "", "pulls": []} for name in ("bob", "carol", "dave")]
        pages = [reply({"header": HEADER, "lines": lines[:2], "next": 7}),
                 reply({"header": HEADER, "lines": lines[2:], "next": None})]  # fmt: skip
        self.table.on("POST", "/queue/export", pages)
        _, made = self.rrsctl("pulls", "export", "-o", str(place))
        self.assertIn("3 messages in", made.out.getvalue())
        self.assertEqual([json.loads(line) for line in place.read_text().splitlines()], [HEADER, *lines])
        self.assertEqual(place.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.rrsctl("pulls", "export", "-o", str(place))[0], EXITS[Conflict])
        self.table.on("POST", "/queue/export", reply({"header": HEADER, "lines": [], "left_out": [9], "next": None}))
        status, made = self.rrsctl("pulls", "export", "-o", str(self.folder / "other.jsonl"))
        self.assertEqual((status, "cannot be read: pull 9" in made.out.getvalue()), (os.EX_IOERR, True))
        first = reply({"header": HEADER, "lines": lines, "next": 7})
        self.table.on("POST", "/queue/export", [first, refusal("unavailable", 503)])
        half = self.folder / "half.jsonl"
        self.assertEqual((self.rrsctl("pulls", "export", "-o", str(half))[0], half.exists()), (os.EX_TEMPFAIL, False))
        self.table.asked.clear()
        self.table.on("POST", "/queue/import", [reply({"pulls": 2}), refusal("unknown", 404), reply({"pulls": 0})])
        status, made = self.rrsctl("pulls", "import", str(place))
        self.assertEqual(status, os.EX_NOUSER)
        self.assertIn("1 messages taken up, 1 were here already, 1 refused", made.out.getvalue())
        self.assertIn("line 3, for carol@bar.test", made.out.getvalue())
        self.assertEqual([json.loads(asked.body) for asked in self.table.asked], lines)
        for text in ("", "{}\n", json.dumps(HEADER) + "\n{", json.dumps(HEADER) + "\n7\n"):
            place.write_text(text)
            self.assertEqual(self.rrsctl("pulls", "import", str(place))[0], os.EX_DATAERR, text)

    def test_gc(self) -> None:
        """Only a look; each with its reason."""
        self.assertEqual(self.rrsctl("pulls", "gc")[0], os.EX_DATAERR)
        row = {"size": 2048, "why": "no pull continues it"}
        document = {"partials": [{"name": "x.1", **row}], "resources": [{"digest": "ni:y", **row}], "count": 2,
                    "bytes": 4096}  # fmt: skip
        self.table.on("GET", "/store/gc", reply(document))
        text = self.rrsctl("pulls", "gc", "--dry-run")[1].out.getvalue()
        self.assertIn("x.1   2.0 KiB  no pull continues it", text)
        self.assertIn("2 in all, 4.0 KiB", text)
        self.table.on("GET", "/store/gc", reply({"partials": [], "resources": [], "count": 0, "bytes": 0}))
        self.assertEqual(self.rrsctl("pulls", "gc", "--dry-run")[1].out.getvalue(), "nothing would go\n")

    def test_shape(self) -> None:
        """A matrix with its total first; the rest has a row."""
        row = {"name": "https://foo.test", "destinations": 1, "total": 3, "counts": [1, 0, 2]}
        rest = {"name": "", "destinations": 7, "total": 9, "counts": [9, 0, 0]}
        document = {"ages": [300, 14400], "rows": [row, rest], "total": 12}
        self.table.on("GET", "/shape", reply(document))
        lines = self.rrsctl("pulls", "shape")[1].out.getvalue().splitlines()
        self.assertEqual(lines[0].split(), ["FROM", "T", "5m", "4h", "4h+"])
        self.assertEqual(lines[1].split(), ["TOTAL", "12", "10", "0", "2"])
        self.assertEqual(lines[3].split()[:2], ["(7", "others)"])
        self.assertEqual(self.rrsctl("pulls", "shape", is_json=True)[1].document, document)
        self.table.on("GET", "/shape", reply({"ages": [300], "rows": [], "total": 0}))
        self.assertEqual(self.rrsctl("pulls", "shape")[1].out.getvalue(), "nothing waits\n")

    def test_explain_has_the_facts_too(self) -> None:
        """What it waits for, when it moves, and how the last attempts ended."""
        found = {"state": "deferred", "blame": "this host", "next": ROW["at"], "waits_for": ["drained", "time"],
                 "ahead": 4, "eta": None, "successor": None, "attempts": [{**ROW, "event": "deferred"}]}  # fmt: skip
        self.table.on("GET", "/pulls/17/explain", reply({"text": "It waits.\x1b[2J", "facts": found}))
        text = self.rrsctl("pulls", "explain", "17")[1].out.getvalue()
        self.assertNotIn("\x1b", text)
        for part in ("It waits.", "drained, time", "2026-11-20 12:00:00", "deferred", "ahead"):
            self.assertIn(part, text)

    def test_many_by_mistake(self) -> None:
        """Without --all nothing is changed, and a number does not go with a filter."""
        for words in ([], ["--origin", "https://foo.test"], ["17", "--all"], ["17", "--state", "held"]):
            status, made = self.rrsctl("pulls", "cancel", *words)
            self.assertEqual((status, "--all" in made.err.getvalue()), (os.EX_DATAERR, True))
        self.assertEqual(self.table.asked, [])


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
