"""Every state can be explained to a person."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.jobs import Blame, Breaker, State
from rrsd.roles.rra.explain import explain
from tests.roles.rra.samples import NOW, job


class Explanations(SynchronousTestCase):
    """What `rrsctl pulls explain` says."""

    def test_g10_every_state_has_a_sentence(self) -> None:
        """No job is without an answer to "why is it not here yet?"."""
        for state in State:
            self.assertTrue(explain(job(state=state), None, NOW).sentence.endswith("."), state)

    def test_it_names_who_is_blamed_with_the_evidence(self) -> None:
        """The party and the last fact are in the sentence."""
        said = explain(job(state=State.DEFERRED, blame=Blame.DESTINATION, evidence="connect: refused"), None, NOW)
        self.assertIn("the sender's resource server: connect: refused", said.sentence)
        self.assertEqual(said.blame, "the sender's resource server")

    def test_an_open_breaker_moves_the_next_attempt(self) -> None:
        """The next attempt is not before the destination's next probe."""
        waiting = job(state=State.DEFERRED, due=NOW + timedelta(seconds=30))
        probe = NOW + timedelta(minutes=10)
        said = explain(waiting, Breaker("https://rs.foo.test", not_before=probe), NOW)
        self.assertEqual(said.next, probe)
        self.assertIn("in 10 minutes", said.sentence)
        self.assertIn("in 30 seconds", explain(waiting, Breaker("https://rs.foo.test"), NOW).sentence)

    def test_what_arrived_mentions_no_old_failure(self) -> None:
        """Evidence of a success is not told as a failure."""
        said = explain(job(state=State.STORED, due=None, evidence="24 bytes verified"), None, NOW)
        self.assertNotIn("charged", said.sentence)
        self.assertIsNone(said.next)

    def test_a_state_that_needs_somebody_says_what_to_do(self) -> None:
        """Held, failed and quarantined jobs come with a remedy."""
        for state in (State.HELD, State.FAILED, State.QUARANTINED, State.NEEDS_AUTH, State.EXPIRED):
            self.assertTrue(explain(job(state=state, due=None), None, NOW).remedy)
