"""Who proves a delegation at the resource server has shown to be alive; who does not has shown nothing."""

from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import Domain
from tests.roles.rs.world import BAR, EVIL, FOO, StrangersCase


class Heard(StrangersCase):
    """What is told of requests."""

    def setUp(self) -> None:
        """Somebody listens."""
        super().setUp()
        self.heard: list[Domain] = []
        self.flow.proofs.heard = self.heard.append

    def test_a_proved_delegation_is_a_contact(self) -> None:
        """Each time, a remembered proof as well: whoever listens has a bound of his own."""
        self.get()
        self.get()
        self.assertEqual(self.heard, [BAR.domain, BAR.domain])

    def test_a_claim_that_proves_nothing_is_none(self) -> None:
        """Another's certificate, another's signature, nobody's domain."""
        self.refuse_token(shown=EVIL.certificate)
        self.refuse_token(cnf={"x5t#S256": "A" * 43})
        self.refuse(Unproven, self.caller(EVIL.delegation(FOO.origin, sub="bob@bar.test"), EVIL.certificate))
        self.assertEqual(self.heard, [])
