"""Which grant a request rests on, and what policy is asked about it."""

from datetime import timedelta
from typing import Any

from attrs import define, evolve, field

from rrsd.core.refusals import Forbidden, Withdrawn
from rrsd.core.values.peers import Strength
from rrsd.core.values.policies import Action, Decision, Question
from rrsd.core.values.resources import Grant
from rrsd.roles.rs.flow.permission import MOST_ASKED, Permission
from rrsd.roles.rs.ports import Policies
from tests.roles.rs.world import BAR, FOO, StrangersCase
from tests.support.domains import POLICIES, fits, now, timers_of


@define(eq=False)
class Asking:
    """The policies that come with rrsd, with a memory; messages in `forbidden` are refused."""

    asked: list[Question] = field(factory=list)
    forbidden: tuple[str, ...] = ()

    def decide(self, question: Question) -> Decision:
        """What they say."""
        self.asked.append(question)
        if question.resource.attributes["message"] in self.forbidden:
            return Decision(False, ("no-such-message",))
        return POLICIES.decide(question)

    @property
    def messages(self) -> list[object]:
        """The messages of the grants that were asked about."""
        return [question.resource.attributes["message"] for question in self.asked]


_port: Policies = Asking()


class PermissionCase(StrangersCase):
    """foo.test's resource server with policies that remember what they were asked."""

    def setUp(self) -> None:
        super().setUp()
        self.policies = Asking()
        self.flow.permission = Permission(self.policies, timers_of(self.clock))

    def more(self, number: int, **changes: Any) -> Grant:
        """Another grant of the same resource to bob, living a day longer for each number."""
        return self.granted(f"more{number}", not_after=now() + timedelta(days=8 + number), **changes)

    @property
    def policy(self) -> str:
        """What the trail says about the last decision."""
        return self.journal.events[-1].policy


class Grants(PermissionCase):
    """Several grants of one resource."""

    def test_longest_lived(self) -> None:
        """The live grant that lives longest is the one."""
        later = self.more(1)
        self.more(2, withdrawn=True)
        self.assertEqual(self.get().grant, later)
        self.assertEqual((self.policies.messages, self.policy), (["more1"], "grant-names-user"))

    def test_first_permitted(self) -> None:
        """One that policy refuses hides none that it permits."""
        self.more(1)
        self.policies.forbidden = ("more1",)
        self.assertEqual(self.get().grant, self.grant)
        self.assertEqual((self.policies.messages, self.policy), (["more1", "m1"], "grant-names-user"))

    def test_bounded(self) -> None:
        """A request makes us ask about a few grants only."""
        self.policies.forbidden = tuple(self.more(number).message_id for number in range(MOST_ASKED + 5))
        self.refuse(Forbidden)
        self.assertEqual((len(self.policies.asked), self.policy), (MOST_ASKED, "no-such-message"))

    def test_narrowed(self) -> None:
        """A delegation narrowed to other messages reaches no grant, and nobody is asked (S-12)."""
        details = [{"type": "rrs_message", "message_id": "m9"}]
        caller = self.caller(BAR.delegation(FOO.origin, authorization_details=details))
        self.refuse(Forbidden, caller)
        self.assertEqual((self.policies.asked, self.policy), ([], ""))

    def test_ended(self) -> None:
        """Gone is said where all have ended, and with the policy that would have permitted one."""
        self.ledger.kept = [evolve(self.grant, withdrawn=True), evolve(self.grant, not_after=now())]
        self.refuse(Withdrawn)
        self.assertEqual(self.policy, "grant-names-user")

    def test_ended_and_forbidden(self) -> None:
        """Whoever may not have it does not learn that it was there: nothing tells it from what never was."""
        self.ledger.kept = [evolve(self.grant, withdrawn=True)]
        self.policies.forbidden = ("m1",)
        self.refuse(Forbidden)
        self.assertEqual(self.policy, "no-such-message")

    def test_o05_weak_proof(self) -> None:
        """What unauthenticated DNS proves is not enough, neither for bytes nor for what became of them (O-05)."""
        self.world.strength = Strength.WEAK
        self.refuse(Forbidden)
        self.assertEqual(self.policy, "no policy permits")
        self.ledger.kept = [evolve(self.grant, withdrawn=True)]
        self.refuse(Forbidden)


class Questions(PermissionCase):
    """What policy hears."""

    def test_fits_the_schema(self) -> None:
        """Each action's question has the form that policies were checked against."""
        self.get()
        self.run_now(self.flow.chunks(self.caller(), self.digest))
        self.run_now(self.flow.acknowledge(self.caller(), BAR.receipt(self.grant, FOO.origin).encode()))
        self.assertEqual([question.action for question in self.policies.asked], list(Action)[:3])
        self.assertTrue(all(fits(question) for question in self.policies.asked))

    def test_case_of_the_local_part(self) -> None:
        """Letters of a local part compare without case, in policy as in grants (D-05)."""
        self.ledger.kept = [evolve(self.grant, recipient=BAR.address("BoB"))]
        self.get(self.caller(BAR.delegation(FOO.origin, local="bOb")))
        asked = self.policies.asked[0]
        self.assertEqual(asked.principal.name, "bob@bar.test")
        self.assertEqual(asked.resource.attributes["recipient"], "bob@bar.test")


class Receipts(PermissionCase):
    """What may be acknowledged."""

    def test_some(self) -> None:
        """Of several receipts those count that policy permits, and each grant is asked about once."""
        other = self.more(1)
        self.more(2)
        self.policies.forbidden = ("m1",)
        lines = [BAR.receipt(each, FOO.origin, f"r-{number}") for number, each in enumerate((self.grant, other, other))]
        accepted = self.run_now(self.flow.acknowledge(self.caller(), "\n".join(lines).encode()))
        self.assertEqual((accepted.jtis, accepted.fresh), (("r-1", "r-2"), 2))
        self.assertEqual(sorted(map(str, self.policies.messages)), ["m1", "more1"])
        self.assertEqual(self.policy, "no-such-message grant-names-user")

    def test_only_one(self) -> None:
        """One that policy refuses is refused as one without a grant."""
        self.policies.forbidden = ("m1",)
        receipt = BAR.receipt(self.grant, FOO.origin).encode()
        self.refuse_now(self.flow.acknowledge(self.caller(), receipt), Forbidden)
        self.assertIsNone(self.ledger.kept[0].receipted)
        self.assertEqual(self.policy, "no-such-message")
