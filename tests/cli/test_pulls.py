"""`rrsctl pulls`: what is said to the daemon, and what people read."""

import json
import os
import shlex
from collections.abc import Iterator
from typing import Any

import click
from click.testing import CliRunner

from rrsd.cli.exits import EXITS
from rrsd.cli.main import rrsctl
from rrsd.core.refusals import Conflict
from rrsd.roles.rra.moving import HEADER
from rrsd.roles.rra.verbs import OF_A_JOB
from tests.cli.administrators import JOB, ROW, Case
from tests.cli.doubles import refusal, reply


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
        self.assertIn("nothing speaks against any", self.rrsctl("pulls", "destinations")[1].out.getvalue())
        change = {"at": ROW["at"], "event": "recovered", "before": 1, "after": 2, "reason": "answers again"}
        self.table.on("GET", "/destinations", reply({"destinations": [], "changes": [change]}))
        text = self.rrsctl("pulls", "destinations", "https://foo.test")[1].out.getvalue()
        self.assertIn("nothing speaks against https://foo.test\n", text)
        self.assertIn("recovered", text)

    def test_a_time_that_is_over_was_called_the_next_one(self) -> None:
        """Of a pull that is due and may not run it is said why, of another that it is due; of one to come, when."""
        due = JOB | {"state": "ready", "due": ROW["at"], "condition": ""}
        pause = {"kind": "pause", "name": "https://foo.test", "at": ROW["at"], "who": "operator"}
        drain = pause | {"kind": "drain", "name": ""}
        for rulings, said in (([], "due"), ([pause], "paused"), ([pause, drain], "drained")):
            self.table.on("GET", "/pulls", reply({"pulls": [due], "next": None, "rulings": rulings}))
            row = self.rrsctl("pulls", "list")[1].out.getvalue().splitlines()[1]
            self.assertEqual(row.split()[-1], said)
        later = due | {"due": "2999-01-01T00:00:00+00:00"}
        self.table.on(
            "GET", "/pulls", reply({"pulls": [later, due | {"due": "soon"}], "next": None, "rulings": [pause]})
        )
        self.assertIn("2999-01-01 00:00:00", self.rrsctl("pulls", "list")[1].out.getvalue())

    def test_a_paused_server_is_no_closed_breaker(self) -> None:
        """Its state is the operator's."""
        known = {"name": "https://foo.test", "limit": 1, "opened": None, "until": None, "reason": ""}
        pause = {"kind": "pause", "name": "https://foo.test", "at": ROW["at"], "who": "operator"}
        self.table.on("GET", "/destinations", reply({"destinations": [known], "changes": [], "rulings": [pause]}))
        self.assertIn("https://foo.test  paused", self.rrsctl("pulls", "destinations")[1].out.getvalue())

    def test_an_expired_pull_showed_the_bytes_of_its_successor(self) -> None:
        """What is durable of the resource is none of its own."""
        fetch = {"origin": "https://foo.test", "digest": "x", "epoch": 2, "validator": "", "offset": 500}
        over = JOB | {"state": "expired", "done": 0}
        self.table.on("GET", "/pulls/17", reply({"job": over, "history": [], "fetch": fetch}))
        self.assertIn(" 0 B of 1000 B", self.rrsctl("pulls", "show", "17")[1].out.getvalue())

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

    def test_what_changed_nothing_is_not_called_done(self) -> None:
        """It is no error either."""
        needed = {"extend": ["--for", "3d"], "set-priority": ["--to", "bulk"]}
        said = {
            "hold": "is held already", "release": "is not held", "cancel": "was cancelled already",
            "expire-now": "has expired already", "extend": "has more time than that already, and keeps it",
            "set-priority": "has that class already", "requeue-fresh": "went on already as pull 18",
            "quarantine-release": "went on already as pull 18", "retry-now": "will be tried now",
        }  # fmt: skip
        self.assertEqual(said.keys(), OF_A_JOB.keys())
        for verb, text in said.items():
            job = JOB | {"job": 18} if "18" in text else JOB
            self.table.on("POST", f"/pulls/17/{verb}", reply({"job": job, "changed": False, "waits_for": []}))
            status, made = self.rrsctl("pulls", verb, "17", *needed.get(verb, []))
            self.assertEqual((status, made.out.getvalue()), (0, f"pull 17 {text}\n"))

    def test_what_cannot_be_tried_is_not_called_tried(self) -> None:
        """Paused or drained: it says what has to be taken back, to a program as well."""
        foo = "https://foo.test"
        waits = {"waits_for": ["drained", "paused"]}
        why = (
            "the daemon is drained (rrsctl pulls undrain) and https://foo.test is paused"
            " (rrsctl pulls resume https://foo.test)\n"
        )
        self.table.on("POST", "/pulls/17/retry-now", reply({"job": JOB, "changed": True, **waits}))
        self.table.on("POST", "/destinations/retry", reply({"woken": 0, "wait": 0, **waits}))
        self.table.on("POST", "/pulls/retry-now", reply({"changed": 3, "unchanged": 1, "next": None, **waits}))
        many = ("--all", "--yes", "t", "--destination", foo)
        for words, text in ((("17",), f"pull 17 waits: {why}"), (("--destination", foo), f"nothing is tried: {why}"),
                            (many, f"3 pulls wait: {why[:-1]}, 1 did not allow or need it\n")):  # fmt: skip
            status, made = self.rrsctl("pulls", "retry-now", *words)
            self.assertEqual((status, made.out.getvalue()), (os.EX_TEMPFAIL, text))
        status, made = self.rrsctl("pulls", "retry-now", *many, is_json=True)
        self.assertEqual((status, made.document), (os.EX_TEMPFAIL, {"changed": 3, "unchanged": 1, **waits}))

    def test_many(self) -> None:
        """A bulk verb says which and that all are meant."""
        counted = reply({"jobs": 3, "token": "t", "seconds": 300})
        steps = [reply({"changed": 2, "unchanged": 1, "next": 9}), reply({"changed": 1, "unchanged": 0, "next": None})]
        self.table.on("POST", "/pulls/hold", [counted, *steps])
        status, made = self.rrsctl("pulls", "hold", "--all", "--origin", "https://foo.test", given=b"y\n")
        self.assertEqual((status, made.out.getvalue()), (0, "3 pulls held, 1 did not allow or need it\n"))
        self.assertIn("would change 3 pulls", made.err.getvalue())
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

    def test_the_command_that_is_printed_had_no_filters(self) -> None:
        """It can be pasted: every option is in it, quoted, and it is the same order once more."""
        self.table.on("POST", "/pulls/extend", reply({"jobs": 3, "token": "t", "seconds": 300}))
        words = ["--all", "--for", "3d", "--age", "4h", "--recipient", "o'neill@bar.test", "--condition", "space",
                 "--at-risk", "--state", "deferred", "--sender", "foo.test"]  # fmt: skip
        _, made = self.rrsctl("pulls", "extend", *words, given=b"n\n")
        printed = shlex.split(made.err.getvalue().partition("minutes also: ")[2].splitlines()[0])
        self.assertEqual(printed[:4], ["rrsctl", "--config", str(self.config), "pulls"])
        self.assertEqual(printed[-2:], ["--yes", "t"])
        first = json.loads(self.table.asked[-1].body)
        self.table.on("POST", "/pulls/extend", reply({"changed": 3, "unchanged": 0, "next": None}))
        self.assertEqual(self.rrsctl(*printed[3:])[0], 0)
        self.assertEqual(json.loads(self.table.asked[-1].body), {**first, "token": "t", "after": 0})

    def test_json_behind_the_verb(self) -> None:
        """The help taught it, and it was no option; now it is one of every command."""
        self.table.on("GET", "/pulls", reply({"pulls": [JOB], "next": None}))
        status, made = self.rrsctl("pulls", "list", "--recipient", "bob@bar.test", "--json")
        self.assertEqual((status, made.document["pulls"][0]["job"]), (0, 17), made.err.getvalue())
        self.assertEqual(self.rrsctl("pulls", "--json", "list")[1].document["pulls"][0]["job"], 17)
        context = click.Context(rrsctl)

        def commands(command: click.Command) -> Iterator[click.Command]:
            yield command
            if isinstance(command, click.Group):
                for name in command.list_commands(context):
                    found = command.get_command(context, name)
                    assert found is not None
                    yield from commands(found)

        for command in commands(rrsctl):
            self.assertEqual(sum("--json" in each.opts for each in command.params), 1, command.name)

    def test_a_file_that_somebody_named_was_a_bug_of_ours(self) -> None:
        """What is wrong with a path is said, with what to do; and nothing is asked of the daemon before."""
        for place in ("/nonexistent/x", str(self.config / "x")):
            status, made = self.rrsctl("pulls", "export", "-o", place)
            self.assertEqual(status, os.EX_NOINPUT)
            self.assertRegex(made.err.getvalue(), f"{place}: .*: mend that, or name another one")
        self.assertEqual(self.table.asked, [])
        latin = self.folder / "latin"
        latin.write_bytes(json.dumps(HEADER).encode() + b"\n\xff\n")
        status, made = self.rrsctl("pulls", "import", str(latin))
        self.assertEqual((status, "line 2" in made.err.getvalue()), (os.EX_DATAERR, True))
        status, made = self.rrsctl("init", "foo.test", "--folder", str(self.config / "folder"))
        self.assertEqual((status, "bug" in made.err.getvalue()), (os.EX_TEMPFAIL, False))

    def test_summaries_were_cut_short(self) -> None:
        """What each command does is a whole sentence in the list of them."""
        shown = CliRunner().invoke(rrsctl, ["pulls", "--help"]).output
        self.assertNotIn("...", shown.partition("Commands:")[2])
        self.assertIn("Hash again everything that is stored, in the background", " ".join(shown.split()))

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
