"""What policy is asked about a token, and what its no means."""

from attrs import define, evolve, field

from rrsd.core.refusals import WrongTarget
from rrsd.core.values.addresses import parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import parse_origin
from rrsd.core.values.policies import Decision, Question
from rrsd.roles.sts.permission import Wish, question
from rrsd.roles.sts.ports import Policies
from tests.roles.sts.case import RS, ExchangeCase
from tests.support.domains import EPOCH, POLICIES, FlowCase, fits

BAR = parse_domain("bar.test")
WISH = Wish(
    parse_client_identifier("_rra.bar.test"), [BAR], None, parse_address("Bob@bar.test"), "impersonation",
    parse_origin(RS), instant(EPOCH),
)  # fmt: skip


@define(eq=False)
class Nobody:
    """Permits nothing."""

    asked: list[Question] = field(factory=list)

    def decide(self, question: Question) -> Decision:
        """No."""
        self.asked.append(question)
        return Decision(False, ("never",))


_port: Policies = Nobody()


class Refused(ExchangeCase):
    """Exchanges that policy has a say in."""

    def test_x17_policy_refuses(self) -> None:
        """Nothing is issued, the client hears invalid_target, and the trail names the policy (X-17)."""
        self.flow.policies = nobody = Nobody()
        self.refused(self.form(self.assertion()), WrongTarget)
        event = self.trail.last
        self.assertEqual((event.policy, event.refusal, event.evidence), ("never", "wrong_target", "policy"))
        self.assertTrue(fits(nobody.asked[0]))
        self.assertEqual(nobody.asked[0].resource.name, RS)

    def test_named_when_granted(self) -> None:
        """What is issued names the policy that let it."""
        self.exchanged(self.form(self.assertion()))
        self.assertEqual(self.trail.last.policy, "client-is-registered")


class Defaults(FlowCase):
    """The policies that come with rrsd say what the registration says."""

    def permitted(self, wish: Wish) -> bool:
        """Whether they permit it."""
        asked = question(wish)
        self.assertTrue(fits(asked))
        return POLICIES.decide(asked).is_permitted

    def test_x17_x18_targets_and_subjects(self) -> None:
        """Any target, or those on the list; users of those domains, or whoever gave a token."""
        self.assertTrue(self.permitted(WISH))
        self.assertTrue(self.permitted(evolve(WISH, targets=[parse_origin(RS)])))
        self.assertFalse(self.permitted(evolve(WISH, targets=[parse_origin("https://rs.evil.test")])))
        self.assertFalse(self.permitted(evolve(WISH, targets=[])))
        self.assertFalse(self.permitted(evolve(WISH, impersonates=[])))
        self.assertFalse(self.permitted(evolve(WISH, subject=parse_address("bob@foo.test"))))
        self.assertTrue(self.permitted(evolve(WISH, impersonates=[], evidence="access token")))
