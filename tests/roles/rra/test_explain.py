"""Every job can be explained, to people and to programs, whatever its state and whatever surrounds it (G10)."""

from datetime import timedelta
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, HistoryRow, Job, State
from rrsd.core.values.operations import Kind, Ruling
from rrsd.roles.rra import rules
from rrsd.roles.rra.explain import (
    GATES,
    OBSTACLES,
    STANDING,
    Around,
    Explanation,
    Obstacle,
    explain,
    standing_of,
)
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.samples import NOW, RS, job

LATER = NOW + timedelta(minutes=10)
CLOSED, OPEN = Breaker(str(RS)), Breaker(str(RS), opened=NOW, not_before=LATER, reason="connect: refused")
HALF_OPEN, PUSHED = Breaker(str(RS), opened=NOW, not_before=NOW), Breaker(str(RS), not_before=LATER)
DRAINED = Ruling(Kind.DRAIN, "", NOW, "operator uid 0", "disk is replaced")
PAUSED = Ruling(Kind.PAUSE, str(RS), NOW, "operator")
LIVE = [state for state in State if state not in rules.TERMINAL]

moments = st.sampled_from([NOW - timedelta(hours=1), NOW, LATER, NOW + timedelta(days=3)])
breakers = st.sampled_from([None, CLOSED, OPEN, HALF_OPEN, PUSHED])
arounds = st.builds(
    Around,
    issuer=st.sampled_from([None, Breaker("sts", failures=2, not_before=LATER), Breaker("sts", failures=1)]),
    held_back=st.none() | moments,
    drained=st.sampled_from([None, DRAINED]),
    paused=st.sampled_from([None, PAUSED]),
    gate=st.sampled_from([*GATES, "what nobody knows"]),
    ahead=st.none() | st.integers(0, 10_000),
    is_leased_ahead=st.booleans(),
    done=st.integers(0, 10**9),
    rate=st.sampled_from([-1.0, 0.0, 1e-300, 1.0, 1e6]),
)


def reachable() -> set[tuple[State, str]]:
    """Every state with every condition that the life of a job leads to."""
    found = {(State.NEW, ""), (State.RECEIPTED, ""), (State.NO_SPACE, "quota"), (State.STORED, "receipt")}
    for outcome, age in product(Outcome, (timedelta(0), timedelta(hours=2), timedelta(days=8))):
        for restarts in (0, 1):
            planned = rules.plan(job(restarts=restarts), Result(outcome), NOW + age, 0.5).job
            found.add((planned.state, planned.condition))
    for (state, event), after in rules.TABLE.items():
        if after is not state and (state, event) != (State.READY, "leased"):
            moved = rules.moved(job(state=state), event, NOW)
            found.add((moved.state, moved.condition))
    return {each for each in found if each[0] not in (State.LEASED,)} | {(State.LEASED, "")}


def told(one: Job, breaker: Breaker | None = None, around: Around | None = None) -> Explanation:
    """What is said of the job now."""
    return explain(one, breaker, NOW, around)


class Explanations(SynchronousTestCase):
    """What `rrsctl pulls explain` says."""

    def test_g10_every_state_and_condition_has_its_own_words(self) -> None:
        """No job is without an answer to "why is it not here yet?"; who adds a condition writes its sentence."""
        self.assertEqual({pair for pair in reachable() if pair[0] not in rules.TERMINAL} - set(STANDING), set())
        for state in State:
            self.assertTrue(STANDING[state, ""].sentence.endswith("."), state)
        for state, condition in STANDING:
            self.assertTrue(told(job(state=state, condition=condition)).sentence.endswith((".", "`.", ")")), state)

    def test_the_table_of_obstacles_is_total(self) -> None:
        """Each has an entry."""
        self.assertEqual(set(OBSTACLES), set(Obstacle))

    @given(
        pair=st.sampled_from(sorted(reachable())),
        due=st.none() | moments,
        breaker=breakers,
        around=arounds,
        blame=st.sampled_from(Blame),
    )
    def test_g10_whatever_happens_it_names_what_would_unblock_it(
        self, pair: tuple[State, str], due: Instant | None, breaker: Breaker | None, around: Around, blame: Blame
    ) -> None:
        """For every reachable state and condition, in every situation: a time or a named condition, unless it has
        arrived or ended, or was damaged from outside; and what to do is said where somebody must do something."""
        state, condition = pair
        said = told(job(state=state, condition=condition, due=due, blame=blame), breaker, around)
        is_lost = due is None and not condition and state in (State.NEW, State.READY, *rules._WAITING)
        self.assertEqual(said.is_sound, not is_lost)
        self.assertEqual(Obstacle.NOTHING in said.waits_for, is_lost)
        if state not in rules.TERMINAL and state not in rules.ARRIVED:
            self.assertTrue(said.remedy)
            self.assertTrue(said.waits_for)
        if said.next is None and state not in rules.ARRIVED:
            self.assertTrue(said.remedy, "nothing moves it by itself")
        self.assertTrue(said.sentence.endswith((".", "`.")), said.sentence)
        self.assertTrue(said.blame)

    @given(st.text(max_size=20), st.sampled_from(State))
    def test_a_condition_that_nobody_foresaw_is_named(self, condition: str, state: State) -> None:
        """The sentence has it, and the program's list too."""
        said = standing_of(job(state=state, condition=condition))
        self.assertIn(condition, said.sentence + condition if (state, condition) in STANDING else said.sentence)

    def test_it_names_who_is_blamed_with_the_evidence(self) -> None:
        """The party and the last fact are in the sentence."""
        said = told(job(state=State.DEFERRED, blame=Blame.DESTINATION, evidence="connect: refused"))
        self.assertIn("the sender's resource server: connect: refused", said.sentence)
        self.assertEqual(said.blame, "the sender's resource server")

    def test_an_open_breaker_moves_the_next_attempt(self) -> None:
        """The next attempt is not before the destination's next probe, and the verb for it is named."""
        waiting = job(state=State.DEFERRED, due=NOW + timedelta(seconds=30))
        said = told(waiting, OPEN)
        self.assertEqual((said.next, said.waits_for), (LATER, ("outage", "time")))
        self.assertIn("in 10 minutes", said.sentence)
        self.assertIn(f"retry-now --destination {RS}", said.remedy)
        self.assertIn("in 30 seconds", told(waiting, CLOSED).sentence)
        self.assertEqual(told(waiting, PUSHED).waits_for, ("pushed back", "time"))

    def test_what_arrived_mentions_no_old_failure(self) -> None:
        """Evidence of a success is not told as a failure."""
        said = told(job(state=State.STORED, due=None, evidence="24 bytes verified"))
        self.assertNotIn("charged", said.sentence)
        self.assertEqual((said.next, said.waits_for), (None, ("receipt",)))

    def test_a_state_that_needs_somebody_says_what_to_do(self) -> None:
        """Held, failed and quarantined jobs come with a remedy."""
        for state in (State.HELD, State.FAILED, State.QUARANTINED, State.NEEDS_AUTH, State.EXPIRED):
            self.assertTrue(told(job(state=state, due=None, condition="x")).remedy)

    def test_drained_and_paused_come_first_with_who_and_why(self) -> None:
        """The outermost obstacle is the one that is blamed and whose remedy is said; without a time there is none."""
        one = job(state=State.READY, due=NOW)
        said = told(one, OPEN, Around(drained=DRAINED, paused=PAUSED))
        self.assertEqual(said.waits_for, ("drained", "paused", "outage", "slot"))
        self.assertEqual((said.next, said.blame, said.remedy), (None, "this host", "`rrsctl pulls undrain`."))
        self.assertIn("operator uid 0", said.sentence)
        self.assertIn("disk is replaced", said.sentence)
        self.assertIn(f"rrsctl pulls resume {RS}", told(one, None, Around(paused=PAUSED)).remedy)

    def test_a_full_house_is_a_condition_with_a_name(self) -> None:
        """Which share is used up, and how many are before it."""
        said = told(job(state=State.READY, due=NOW), None, Around(gate="recipient", ahead=7))
        self.assertEqual(said.waits_for, ("slot",))
        self.assertIn(GATES["recipient"], said.sentence)
        self.assertIn("7 are before it", said.sentence)

    def test_who_is_being_pulled_has_an_end_in_sight(self) -> None:
        """From what came so far; no guess where nothing comes."""
        one = job(state=State.LEASED, size=1000)
        said = told(one, None, Around(done=400, rate=10.0))
        self.assertEqual((said.eta, said.next, said.waits_for), (NOW + timedelta(seconds=60), NOW, ("attempt",)))
        self.assertIn("here in 60 seconds", said.sentence)
        self.assertIsNone(told(one, None, Around(done=400)).eta)
        self.assertIsNone(told(one, None, Around(done=400, rate=1e-9)).eta)

    def test_what_is_leased_ahead_is_not_said_to_be_pulled(self) -> None:
        """It waits for a slot, and nothing of it comes; of one that is not leased that says nothing."""
        waits = Around(gate="destination", is_leased_ahead=True)
        said = told(job(state=State.LEASED), None, waits)
        self.assertEqual((said.waits_for, said.next, said.eta), (("slot",), NOW, None))
        self.assertNotIn("being pulled", said.sentence)
        self.assertIn(GATES["destination"], said.sentence)
        self.assertEqual(told(job(state=State.HELD), None, waits).waits_for, ("operator",))

    def test_what_was_done_over_names_its_successor(self) -> None:
        """And the last attempts are there for programs."""
        row = HistoryRow(1, NOW, State.LEASED, State.FAILED, "failed", "410")
        said = told(job(state=State.FAILED), None, Around(successor=9, attempts=(row,)))
        self.assertEqual((said.remedy, said.attempts), ("It went on as pull 9.", (row,)))
