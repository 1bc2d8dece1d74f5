"""Decisions, and what is none."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.instants import instant
from rrsd.core.values.policies import Action, Attribute, Decision, Entity, Question
from rrsd.drivers.policy.engine import QUESTION, Engine, compile_policies
from rrsd.drivers.policy.service import read_schema
from rrsd.drivers.policy.texts import parse_policies

SCHEMA = read_schema()
USER = '(principal is User, action == Action::"retrieve", resource is Grant)'


def engine(text: str) -> Engine:
    """An engine with these policies only."""
    policies, flaws = parse_policies(text, "own.cedar", SCHEMA)
    assert not flaws, flaws
    return Engine(SCHEMA, compile_policies(policies))


def question(size: int = 10, name: str = "bob@bar.test", filename: str = "a.txt", **context: Attribute) -> Question:
    """bob wants what alice sent."""
    user: Mapping[str, Attribute] = {
        "address": name, "domain": "bar.test", "client": {"name": "_rra.bar.test", "domain": "bar.test"},
    }  # fmt: skip
    grant: Mapping[str, Attribute] = {
        "digest": "x", "message": "m", "sender": {"name": "alice@foo.test", "domain": "foo.test"}, "recipient": name,
        "size": size, "media_type": "text/plain", "filename": filename, "not_after": instant(1_790_000_000),
    }  # fmt: skip
    about: dict[str, Attribute] = {
        "now": instant(1_790_000_000), "proof": {"method": "dane", "strength": "dnssec"},
        "issuer": "https://bar.test", "size": size, **context,
    }  # fmt: skip
    return Question(Entity("User", name, user), Action.RETRIEVE, Entity("Grant", f"m {name}", grant), about)


ANYBODY = f'@id("anybody") permit {USER};'


class Decisions(SynchronousTestCase):
    """Permit, forbid, and neither."""

    def test_nothing_permits(self) -> None:
        """Without a policy nothing is permitted."""
        self.assertEqual(engine("").decide(question()), Decision(False))
        self.assertEqual(engine("").decide(question()).because, "no policy permits")

    def test_permits_by_name(self) -> None:
        """All that permit are named, in order of their names."""
        asked = engine(f'@id("z") permit {USER}; {ANYBODY}').decide(question())
        self.assertEqual(asked, Decision(True, ("anybody", "z")))

    def test_remembered_decisions(self) -> None:
        """The same question again has the same answer; another one, and other policies, have their own."""
        small = f'@id("small-only") forbid {USER} when {{ resource.size > 10 }};'
        decides = engine(ANYBODY + small)
        for _ in range(2):
            self.assertTrue(decides.decide(question(10)).is_permitted)
            self.assertFalse(decides.decide(question(11)).is_permitted)
            self.assertTrue(decides.decide(question(10, "carol@bar.test")).is_permitted)
        decides.replace(engine("").policies)
        self.assertEqual(decides.decide(question(10)), Decision(False))

    def test_time_is_not_remembered(self) -> None:
        """A policy that looks at the time is asked anew as it passes."""
        until = '@id("until") forbid (principal, action, resource) when { context.now > datetime("2026-09-22") };'
        decides = engine(ANYBODY + until)
        self.assertTrue(decides.decide(question(now=instant(1_790_000_000))).is_permitted)
        self.assertFalse(decides.decide(question(now=instant(1_790_100_000))).is_permitted)
        self.assertTrue(decides.decide(question(now=instant(1_790_000_000))).is_permitted)

    def test_forbid_wins(self) -> None:
        """One forbid is stronger than every permit, and is the one that is named."""
        small = f'@id("small-only") forbid {USER} when {{ resource.size > 10 }};'
        self.assertEqual(engine(ANYBODY + small).decide(question(10)), Decision(True, ("anybody",)))
        self.assertEqual(engine(ANYBODY + small).decide(question(11)), Decision(False, ("small-only",)))

    def test_time(self) -> None:
        """Instants are Cedar's own: hours of the day can be compared."""
        night = f'@id("night") forbid {USER} when {{ context.now.toTime() < duration("6h") }};'
        # 1_790_000_000 is 2026-09-21 at 14:13:20 UTC.
        self.assertTrue(engine(ANYBODY + night).decide(question()).is_permitted)
        early = question(now=instant(1_790_000_000 - 9 * 3600))
        self.assertEqual(engine(ANYBODY + night).decide(early), Decision(False, ("night",)))

    def test_nothing_that_is_looked_at_is_left_out(self) -> None:
        """Each attribute alone decides, and so does the context as a whole."""
        asked = question()
        for condition in (
            'principal.client.domain == "bar.test"', 'resource["filename"] == "a.txt"', "resource has sender",
            'context.proof.method == "dane"', "context.size == resource.size", "resource.not_after == context.now",
            'context == {now: context.now, proof: context.proof, issuer: "https://bar.test", size: 10}',
        ):  # fmt: skip
            only = engine(f'@id("only") permit {USER} when {{ {condition} }};')
            self.assertEqual(only.decide(asked), Decision(True, ("only",)), condition)

    def test_replaced(self) -> None:
        """New policies decide from then on."""
        changed = engine(ANYBODY)
        changed.replace(engine("").policies)
        self.assertFalse(changed.decide(question()).is_permitted)


class Failures(SynchronousTestCase):
    """What cannot be decided is refused, and said."""

    OVERFLOW = f'@id("too-far") forbid {USER} when {{ resource.size + 9223372036854775800 < 0 }};'

    def test_a_forbid_that_fails_permits_nothing(self) -> None:
        """Cedar leaves out what it cannot evaluate; a forbid that is left out would permit (S-13)."""
        asked = engine(ANYBODY + self.OVERFLOW)
        self.assertEqual(asked.decide(question(3)), Decision(True, ("anybody",)))
        self.assertEqual(asked.decide(question(10)), Decision(False, ("error:too-far",)))

    def test_a_permit_that_fails_beside_one_that_holds(self) -> None:
        """An error is an error, whatever the effect."""
        asked = engine(ANYBODY + self.OVERFLOW.replace("forbid", "permit"))
        self.assertEqual(asked.decide(question(10)).because, "error:too-far")

    def test_a_forbid_that_holds_is_named_too(self) -> None:
        """Both are why."""
        never = f'@id("never") forbid {USER};'
        asked = engine(ANYBODY + never + self.OVERFLOW).decide(question(10))
        self.assertEqual(asked, Decision(False, ("never", "error:too-far")))

    def test_questions_that_cedar_cannot_read(self) -> None:
        """Numbers beyond 64 bits, halves of characters, and what is missing; of all that some policy looks at."""
        looks = 'resource.size > 0 || resource.filename != "x" || [context] == [context]'
        curious = engine(f'@id("curious") permit {USER} when {{ {looks} }};')
        self.assertTrue(curious.decide(question()).is_permitted)
        nothing: Any = None
        half: Any = 1.5
        for bad in (question(2**63), question(name="\ud800"), question(filename="\udfff"), question(issuer="\ud83d"),
                    evolve(question(), context={"proof": nothing}), evolve(question(), context={"size": half}),
                    evolve(question(), principal=Entity("No Type", "x"))):  # fmt: skip
            self.assertEqual(curious.decide(bad), Decision(False, (QUESTION,)))

    def test_missing_attributes(self) -> None:
        """A policy about what the question does not have fails, and that refuses."""
        asked = engine(ANYBODY + f'@id("own") forbid {USER} when {{ context.proof.method == "x" }};')
        bare = evolve(question(), context={})
        self.assertEqual(asked.decide(bare), Decision(False, ("error:own",)))
        self.assertTrue(asked.explain(bare).errors)


class Names(SynchronousTestCase):
    """Names are data: nothing in one is read as Cedar."""

    ONLY_BOB = engine(f'@id("bob") permit {USER} when {{ principal == User::"bob@bar.test" }};')

    def test_s13_names_with_quotes_and_newlines(self) -> None:
        """No name breaks out of its place and becomes another, a policy, or a truth (S-13)."""
        for name in ('bob@bar.test"', '"bob@bar.test"', 'x" || true || "', 'User::"bob@bar.test"', "bob@bar.test\n",
                     "bob@bar.test\0", '\\"bob@bar.test', '{"type": "User", "id": "bob@bar.test"}', "",
                     '"}; permit (principal, action, resource); //'):  # fmt: skip
            with self.subTest(name=name):
                self.assertEqual(self.ONLY_BOB.decide(question(name=name)), Decision(False))
        self.assertTrue(self.ONLY_BOB.decide(question()).is_permitted)

    def test_s13_attributes_that_look_like_cedars_escapes(self) -> None:
        """A file name that looks like an entity or an extension value is a file name."""
        asked = engine(ANYBODY + f'@id("named") forbid {USER} when {{ resource.filename == "x" }};')
        for filename in ('{"__entity": {"type": "User", "id": "x"}}', '{"__extn": {"fn": "ip", "arg": "::1"}}', '"x"'):
            self.assertTrue(asked.decide(question(filename=filename)).is_permitted)
            self.assertEqual(asked.explain(question(filename=filename)).errors, ())

    @given(st.text(), st.text())
    def test_any_name(self, name: str, filename: str) -> None:
        """Only bob is bob, and every name has the same form for Cedar."""
        asked = self.ONLY_BOB.explain(question(name=name, filename=filename))
        self.assertEqual(asked.decision.is_permitted, name == "bob@bar.test")
        self.assertEqual(asked.errors, ())

    @given(st.text(st.characters(), min_size=1))
    def test_any_code_point(self, name: str) -> None:
        """Halves of characters refuse, and nothing crashes."""
        decision = self.ONLY_BOB.decide(question(name=name, filename=name))
        self.assertEqual(decision.is_permitted, False)


class Explanations(SynchronousTestCase):
    """Why."""

    def test_says_where_the_policies_stand(self) -> None:
        """The deciding policy with its file and line."""
        said = engine(f"\n\n{ANYBODY}").explain(question())
        self.assertEqual([(each.name, each.file, each.line) for each in said.policies], [("anybody", "own.cedar", 3)])
        self.assertEqual((said.decision.is_permitted, said.errors), (True, ()))

    def test_says_what_failed(self) -> None:
        """The policy that could not be evaluated, and Cedar's own words."""
        said = engine(ANYBODY + Failures.OVERFLOW).explain(question(10))
        self.assertEqual([each.name for each in said.policies], ["too-far"])
        self.assertIn("overflow", said.errors[0])

    def test_says_when_the_question_is_wrong(self) -> None:
        """A question of another form than the schema's."""
        wrong: Any = json.loads('{"size": "ten"}')
        self.assertTrue(engine(ANYBODY).explain(question(**wrong)).errors)
        self.assertTrue(engine(ANYBODY).explain(question(name="\ud800")).errors)
