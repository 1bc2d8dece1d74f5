"""rrsctl policy: why, what is wrong with a file, and what may be spoken about."""

import os
from pathlib import Path
from typing import Any

from rrsd.drivers.policy.service import read_schema
from tests.cli.administrators import Case
from tests.cli.doubles import refusal, reply
from tests.cli.test_domain import Case as DomainCase
from tests.support.examples import documented

LOOK: dict[str, Any] = {
    "about": "1@foo.test", "state": "live", "permitted": False, "because": "small-only", "errors": ["overflow"],
    "policies": [{"name": "small-only", "file": "own.cedar", "line": 2, "text": "forbid (principal,\n action);"}],
    "question": {
        "principal": {"type": "User", "id": "bob@bar.test", "attributes": {"client": {"name": "_rra.bar.test"}}},
        "action": "retrieve",
        "resource": {"type": "Grant", "id": "x", "attributes": {"size": 7, "targets": ["*", "y"]}},
        "context": {"proof": {"method": "dane", "strength": "dnssec"}},
    },
}  # fmt: skip
REPORT = {
    "asked": "retrieve x", "permitted": False, "because": "small-only", "answer": "403", "note": "",
    "looked_at": [LOOK],
}  # fmt: skip


class Explain(Case):
    """rrsctl policy explain."""

    def test_refused(self) -> None:
        """The policy by its file and line, the question member by member, and a status that says no."""
        self.table.on("POST", "/policy/explain", reply(REPORT))
        status, made = self.rrsctl("policy", "explain", "--user", "bob@bar.test", "--resource", "x", "--method", "dane")
        text = made.out.getvalue()
        self.assertEqual(status, os.EX_NOPERM)
        self.assertEqual(self.table.asked[-1].body, b'{"user": "bob@bar.test", "resource": "x", "method": "dane"}')
        for piece in ("refused: small-only", "1@foo.test (live)", "own.cedar, line 2:", "forbid (principal,",
                      'principal User::"bob@bar.test"', "client.name = _rra.bar.test", "proof.strength = dnssec",
                      "targets = *, y", "error: overflow", "403"):  # fmt: skip
            self.assertIn(piece, text)
        self.assertNotIn("note", text)

    def test_permitted(self) -> None:
        """Status 0 says yes, and the document is the daemon's."""
        self.table.on("POST", "/policy/explain", reply({**REPORT, "permitted": True}))
        words = ("policy", "explain", "--client", "_rra.bar.test", "--target", "https://x.test", "--user", "a@x.test")
        status, made = self.rrsctl(*words, is_json=True)
        self.assertEqual((status, made.document), (0, {**REPORT, "permitted": True}))

    def test_nothing_looked_at(self) -> None:
        """A note stands where no policy was asked."""
        self.table.on("POST", "/policy/explain", reply({**REPORT, "because": "", "note": "no grant", "looked_at": []}))
        made = self.rrsctl("policy", "explain", "--user", "a@x.test", "--resource", "x")[1]
        self.assertIn("refused: no grant", made.out.getvalue())

    def test_which(self) -> None:
        """Neither, or both, of resource and target is no question."""
        for more in ((), ("--resource", "x", "--target", "y")):
            status, made = self.rrsctl("policy", "explain", "--user", "a@x.test", *more)
            self.assertEqual((status, "--resource" in made.err.getvalue()), (os.EX_USAGE, True))

    def test_daemon_refuses(self) -> None:
        """What the daemon cannot read is said as it says it."""
        self.table.on("POST", "/policy/explain", refusal("malformed", 400))
        status = self.rrsctl("policy", "explain", "--user", "x", "--resource", "x")[0]
        self.assertEqual(status, os.EX_DATAERR)

    def test_s13_names_cannot_drive_a_terminal(self) -> None:
        """Names that strangers chose are shown without what moves a cursor."""
        evil = {**LOOK, "about": "\x1b[2J\nx", "because": "\u202e"}
        self.table.on("POST", "/policy/explain", reply({**REPORT, "looked_at": [evil]}))
        text = self.rrsctl("policy", "explain", "--user", "a@x.test", "--resource", "x")[1].out.getvalue()
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\u202e", text)


class Files(Case):
    """rrsctl policy check and schema; no daemon is asked."""

    def write(self, text: str) -> str:
        """A file of policies."""
        path = Path(self.mktemp())
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    def test_documented_policies_are_right(self) -> None:
        """Every policy of the operator's page fits the schema, and all of them together."""
        examples = documented()
        self.assertGreater(len(examples), 6)
        status, made = self.rrsctl("policy", "check", self.write("".join(examples.values())), is_json=True)
        self.assertEqual((status, made.document["policies"]), (0, list(examples)))

    def test_errors(self) -> None:
        """Each with its line and what would be right."""
        path = self.write('\npermit;\n@id("a") permit (principal is User, action, resource) when { context.nwo > 1 };')
        status, made = self.rrsctl("policy", "check", path)
        text = made.out.getvalue()
        self.assertEqual(status, os.EX_CONFIG)
        for piece in (f"{path} line 2", "line 3", "did you mean now?"):
            self.assertIn(piece, text)
        self.assertEqual(self.rrsctl("policy", "check", f"{path}.missing")[0], os.EX_DATAERR)

    def test_schema(self) -> None:
        """As the daemon has it, byte for byte."""
        status, made = self.rrsctl("policy", "schema")
        self.assertEqual((status, made.out.getvalue()), (0, read_schema().text))


class Checked(DomainCase):
    """rrsctl check looks at the policies too."""

    def with_policy(self, lines: str) -> tuple[int, str]:
        """What it says with these lines in [policy]."""
        path = self.folder / "rrsd.ini"
        path.write_text(path.read_text().replace("[policy]\n", f"[policy]\n{lines}\n"))
        return self.check()

    def setUp(self) -> None:
        super().setUp()
        self.init("--development")
        self.file = self.folder / "policy.cedar"

    def test_shipped(self) -> None:
        """Without a file there are those that come with rrsd."""
        status, text = self.check()
        self.assertEqual((status, "2 that fit the schema" in text), (0, True))

    def test_errors_with_lines(self) -> None:
        """Every error of the operator's file."""
        self.file.write_text('permit;\n@id("a b") permit (principal, action, resource);')
        self.file.chmod(0o644)
        status, text = self.with_policy(f"path = {self.file}")
        self.assertEqual(status, os.EX_UNAVAILABLE)
        for piece in ("policy.cedar line 1", "policy.cedar line 2", "@id("):
            self.assertIn(piece, text)

    def test_missing_or_writable(self) -> None:
        """A file that is not there, or that others may write."""
        status, text = self.with_policy(f"path = {self.file}")
        self.assertEqual((status, "No such file" in text), (os.EX_UNAVAILABLE, True))
        self.file.write_text("")
        self.file.chmod(0o666)
        self.assertIn("chmod go-w", self.check()[1])

    def test_none_at_all(self) -> None:
        """No defaults and no file: nobody would get anything."""
        status, text = self.with_policy("defaults = no")
        self.assertEqual((status, "nothing is permitted" in text), (os.EX_UNAVAILABLE, True))
