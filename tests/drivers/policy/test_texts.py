"""Policy files taken apart, and every error in them."""

import json

import cedarpy
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.drivers.policy.service import read_schema
from rrsd.drivers.policy.texts import EVERYTHING, MOST_POLICIES, Flaw, Policy, names_in, parse_policies, split

SCHEMA = read_schema()

GOOD = """\
// Nothing; with a semicolon, "and half a string
@id("no-films")
forbid (principal is User, action == Action::"retrieve", resource)
when { resource.media_type like "video/*" && resource.filename != "a;b // \\"c\\"" }; @id("two") // on the same line
forbid (principal is User, action, resource is Grant) when { principal.domain == "evil.test" };
// the end
"""


def read(text: str) -> tuple[tuple[Policy, ...], tuple[Flaw, ...]]:
    """What is found in the text."""
    return parse_policies(text, "own.cedar", SCHEMA)


class Texts(SynchronousTestCase):
    """What is found in a file."""

    def flaw(self, text: str, line: int, wrong: str, right: str = "") -> None:
        """The one error."""
        flaws = read(text)[1]
        self.assertEqual([each.line for each in flaws], [line], flaws)
        self.assertIn(wrong, flaws[0].wrong)
        self.assertIn(right, flaws[0].right)

    def test_policies(self) -> None:
        """Each policy with its name and the line where it begins; comments and texts do not mislead."""
        policies, flaws = read(GOOD)
        self.assertEqual(flaws, ())
        self.assertEqual([(each.name, each.line) for each in policies], [("no-films", 2), ("two", 4)])

    def test_nothing(self) -> None:
        """An empty file, and one of comments, is a file without policies."""
        for text in ("", "\n \n", "// nothing", "// nothing\n"):
            self.assertEqual(read(text), ((), ()))

    def test_every_error_at_once(self) -> None:
        """One wrong policy hides no other, and none of the good ones."""
        policies, flaws = read(f"permit (principal, action, resource);\n{GOOD}nonsense;\nforbid")
        self.assertEqual([each.line for each in flaws], [1, 8, 9])
        self.assertEqual(len(policies), 2)

    def test_no_name(self) -> None:
        """What decides has to have a name, and one that can be told from the words around it in the trail."""
        self.flaw("\npermit (principal is User, action, resource is Grant);", 2, "no name", "@id(")
        for name in ("", " ", "a b", "error:x", "a\\nb", "x" * 65, "ä", "-x"):
            self.flaw(f'@id("{name}") permit (principal is User, action, resource is Grant);', 1, "no name")

    def test_one_name_twice(self) -> None:
        """Two policies of one name could not be told apart."""
        text = '@id("a") permit (principal is User, action, resource is Grant);\n'
        self.flaw(text + text, 2, "stands on line 1 already", "name of its own")

    def test_grammar(self) -> None:
        """What is no policy is said with its line."""
        self.flaw('@id("a")\npermti (principal, action, resource);', 1, "permti")
        self.flaw('\n\n@id("a") permit (principal, action);', 3, "resource")
        self.flaw('@id("a") permit (principal, action, resource)', 1, "no end", "semicolon")
        self.flaw('@id("a") permit (principal, action, resource) when { "open };', 1, "cannot be read")
        self.flaw('@id("a") permit (principal == ?principal, action, resource);', 1, "template")

    def test_types(self) -> None:
        """What the schema does not know is said once, with the word that was meant."""
        start = '@id("a") permit (principal is User, action, resource is Grant) when'
        self.flaw(start + " { resource.sise > 3 };", 1, "`sise`", "did you mean size?")
        self.flaw(start + ' { context.proof.strenght == "tls" };', 1, "strenght", "did you mean strength?")
        self.flaw(start + ' { resource.size > "3" };', 1, "expected Long", "rrsctl policy schema")
        self.flaw(start + ' { context.subject == "x" };', 1, "subject")
        self.flaw('@id("a") permit (principal is Grant, action, resource);', 1, "applicable action")
        self.flaw('@id("a") permit (principal, action == Action::"retreive", resource);', 1, "retreive", "retrieve?")

    def test_names(self) -> None:
        """Which attributes are looked at, in whatever way."""
        for condition, names in (
            ("resource.size > 3", {"size"}),
            ('resource["size"] > 3', {"size"}),
            ('resource has sender.name || !(resource has filename)', {"sender", "name", "filename"}),
            ('context.proof.strength == "weak"', {"proof", "strength"}),
            ('context has proof && context.proof has method && {"Var": "context"} == {".": "x"}', {"proof", "method"}),
            ('if context.size > 1 then [principal.domain].contains("x") else principal.client.name like "x*"',
             {"size", "domain", "client", "name"}),
            ("[context] == [context]", {EVERYTHING}),
            ("context == {now: context.now}", {EVERYTHING, "now"}),
            ('{"attr": 1, "left": 2, ".": {"attr": context, "left": resource.size}}.left == 2',
             {"left", EVERYTHING, "size"}),
            ("principal == resource", set()),
        ):  # fmt: skip
            text = f'@id("a") permit (principal, action, resource) when {{ {condition} }};'
            document = json.loads(cedarpy.policies_to_json_str(text))
            self.assertEqual(set(names_in(document["staticPolicies"]["policy0"])), names, condition)

    def test_too_many(self) -> None:
        """Every policy costs every decision something."""
        self.flaw('@id("a") permit (principal, action, resource);' * (MOST_POLICIES + 1), 1, "more than")

    @given(st.text(st.sampled_from('permit(){};"\\/ \n@id.a'), max_size=60))
    def test_any_text(self, text: str) -> None:
        """Whatever stands there, nothing is lost and nothing crashes."""
        read(text)
        pieces = list(split(text))
        for line, piece in pieces:
            self.assertIn(piece, text)
            self.assertTrue(1 <= line <= text.count("\n") + 1)
