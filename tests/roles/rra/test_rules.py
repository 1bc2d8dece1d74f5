"""The job's life, walked through its tables."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core import refusals
from rrsd.core.refusals import Conflict
from rrsd.core.values.jobs import Blame, Phase, State
from rrsd.roles.rra import rules
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.samples import NOW, job


class Tables(SynchronousTestCase):
    """The tables are total and closed."""

    def test_every_outcome_has_a_plan_and_somebody_to_blame(self) -> None:
        """No outcome is left without a consequence."""
        self.assertEqual(set(rules.BLAMES), set(Outcome))
        for outcome in Outcome:
            rules.plan(job(), Result(outcome), NOW, 0.5)

    def test_every_refusal_has_an_outcome(self) -> None:
        """OUTCOMES is total over the closed list."""
        self.assertEqual(set(rules.OUTCOMES), set(refusals.ALL))

    def test_terminal_states_know_no_event(self) -> None:
        """What ended stays as it ended."""
        events = {event for _, event in rules.TABLE}
        for state in rules.TERMINAL:
            for event in events:
                self.assertRaises(Conflict, rules.after, state, event)

    def test_every_state_leads_to_an_end(self) -> None:
        """From every state a terminal one can be reached, so no job is caught in a circle that has no way out."""
        for state in State:
            reached, grows = {state}, True
            while grows:
                more = {after for (before, _), after in rules.TABLE.items() if before in reached} - reached
                reached |= more
                grows = bool(more)
            self.assertTrue(reached & rules.TERMINAL, state)

    def test_a_plan_is_a_transition_of_the_table(self) -> None:
        """What an attempt's end makes of a job is what the table allows."""
        for outcome in Outcome:
            for restarts in (0, 1):
                for at in (NOW, NOW + timedelta(days=8)):
                    planned = rules.plan(job(restarts=restarts), Result(outcome), at, 0.5)
                    self.assertEqual(rules.after(State.LEASED, planned.event), planned.job.state)

    def test_r7_a_job_that_is_not_over_has_a_due_time_or_a_condition(self) -> None:
        """Every job always has a next time or a named condition."""
        for outcome in Outcome:
            planned = rules.plan(job(), Result(outcome), NOW, 0.5).job
            over = planned.state in rules.TERMINAL or planned.state is State.STORED
            self.assertTrue(over or planned.due is not None or planned.condition, outcome)


class Plans(SynchronousTestCase):
    """What becomes of a job, outcome by outcome (scheduler semantics 5.3, 5.4)."""

    def test_stored(self) -> None:
        """A stored job has no due time and knows when it was stored."""
        planned = rules.plan(job(), Result(Outcome.STORED, "24 bytes"), NOW, 0.5)
        self.assertEqual(
            (planned.event, planned.job.state, planned.job.stored, planned.job.due), ("stored", State.STORED, NOW, None)
        )

    def test_back_off_doubles_with_equal_jitter_and_keeps_it_at_the_cap(self) -> None:
        """30 s x 2^n up to 60 min, half fixed and half chance."""
        first, cap = rules.JOB_FIRST, rules.JOB_CAP
        self.assertEqual(rules.back_off(first, cap, 0, 0.0), timedelta(seconds=15))
        self.assertEqual(rules.back_off(first, cap, 3, 1.0), timedelta(seconds=240))
        self.assertEqual(rules.back_off(first, cap, 200, 0.0), timedelta(minutes=30))
        self.assertEqual(rules.back_off(first, cap, 200, 1.0), timedelta(minutes=60))

    def test_progress_resets_the_exponent(self) -> None:
        """An attempt that made bytes durable starts the back-off anew."""
        stuck = rules.plan(job(retries=5), Result(Outcome.BROKEN), NOW, 1.0).job
        moved = rules.plan(job(retries=5), Result(Outcome.BROKEN, progressed=True), NOW, 1.0).job
        self.assertEqual((stuck.retries, moved.retries), (6, 1))
        self.assertEqual(moved.due, NOW + timedelta(seconds=30))

    def test_a_closed_destination_says_when_to_come_back(self) -> None:
        """While the breaker is open the job is due with its next probe, and waits for the destination."""
        probe = NOW + timedelta(minutes=3)
        planned = rules.plan(job(), Result(Outcome.UNREACHABLE), NOW, 0.5, probe).job
        self.assertEqual((planned.due, planned.condition, planned.blame), (probe, "destination", Blame.DESTINATION))

    def test_being_pushed_back_burns_no_attempt(self) -> None:
        """429 leaves the exponent as it is."""
        until = NOW + timedelta(seconds=90)
        planned = rules.plan(job(retries=2), Result(Outcome.PUSHED_BACK), NOW, 0.5, until).job
        self.assertEqual((planned.retries, planned.due), (2, until))

    def test_not_permitted_is_probed_after_six_hours(self) -> None:
        """403 needs a change of trust; the destination is not to blame."""
        planned = rules.plan(job(), Result(Outcome.NOT_PERMITTED), NOW, 0.5).job
        self.assertEqual(
            (planned.state, planned.due, planned.blame), (State.NEEDS_AUTH, NOW + rules.AUTH_PROBE, Blame.JOB)
        )

    def test_a_dead_sts_costs_the_job_nothing(self) -> None:
        """The job stays ready, blocked by its issuer."""
        until = NOW + timedelta(seconds=7)
        planned = rules.plan(job(retries=1), Result(Outcome.ISSUER_DOWN), NOW, 0.5, until).job
        self.assertEqual(
            (planned.state, planned.due, planned.condition, planned.retries), (State.READY, until, "issuer", 1)
        )

    def test_missing_has_an_hour_of_grace(self) -> None:
        """A 404 just after the message may be a race; later it is final."""
        early = rules.plan(job(), Result(Outcome.MISSING), NOW + timedelta(minutes=59), 0.5)
        late = rules.plan(job(), Result(Outcome.MISSING), NOW + timedelta(minutes=61), 0.5)
        self.assertEqual((early.job.state, late.job.state), (State.DEFERRED, State.FAILED))

    def test_refused_is_final_at_once(self) -> None:
        """A deterministic refusal is never tried again."""
        self.assertEqual(rules.plan(job(), Result(Outcome.REFUSED), NOW, 0.5).event, "failed")

    def test_wrong_bytes_are_fetched_once_more_and_then_quarantined(self) -> None:
        """The first mismatch starts from byte 0 at once, the second ends the job."""
        first = rules.plan(job(), Result(Outcome.MISMATCH), NOW, 0.5)
        self.assertEqual((first.event, first.forget, first.job.due, first.job.restarts), ("deferred", True, NOW, 1))
        second = rules.plan(first.job, Result(Outcome.MISMATCH), NOW, 0.5)
        self.assertEqual((second.event, second.forget), ("quarantined", True))

    def test_no_space_is_our_own_fault(self) -> None:
        """A full disk burns nobody's attempts and is looked at again."""
        planned = rules.plan(job(retries=3), Result(Outcome.NO_SPACE), NOW, 0.5).job
        self.assertEqual((planned.state, planned.blame, planned.retries), (State.NO_SPACE, Blame.OURSELVES, 3))
        self.assertEqual((planned.condition, planned.due), ("space", NOW + rules.SPACE_PROBE))

    def test_r6_what_does_not_fit_is_looked_at_ever_more_rarely(self) -> None:
        """One resource that is too large for the free space waits for itself, and not for ever."""
        first = rules.plan(job(), Result(Outcome.NO_ROOM), NOW, 1.0).job
        later = rules.plan(job(retries=20), Result(Outcome.NO_ROOM), NOW, 1.0).job
        self.assertEqual((first.state, first.condition, first.blame), (State.NO_SPACE, "space", Blame.OURSELVES))
        self.assertEqual((first.due, later.due), (NOW + rules.SPACE_PROBE, NOW + rules.ROOM_CAP))
        over = rules.plan(job(deadline=NOW), Result(Outcome.NO_ROOM), NOW, 1.0)
        self.assertEqual(over.event, "expired")

    def test_a_pause_that_is_over_does_not_stand_for_a_back_off(self) -> None:
        """A destination's old Retry-After does not make its next failure due at once."""
        planned = rules.plan(job(), Result(Outcome.BROKEN), NOW, 1.0, NOW - timedelta(hours=1)).job
        self.assertEqual(planned.due, NOW + timedelta(seconds=30))

    def test_a_server_that_the_domain_does_not_list_is_held(self) -> None:
        """No bytes come from a resource server that the From domain's issuer does not list."""
        planned = rules.plan(job(), Result(Outcome.STRANGER), NOW, 0.5)
        self.assertEqual((planned.event, planned.job.due, planned.job.condition), ("held", None, "policy"))

    def test_the_last_attempt_is_at_the_deadline(self) -> None:
        """A due time beyond the deadline becomes the deadline; a failure after it expires the job."""
        near = job(deadline=NOW + timedelta(seconds=5))
        last = rules.plan(near, Result(Outcome.BROKEN), NOW, 1.0).job
        self.assertEqual((last.state, last.due), (State.DEFERRED, near.deadline))
        over = rules.plan(near, Result(Outcome.BROKEN), NOW + timedelta(seconds=5), 1.0)
        self.assertEqual((over.event, over.job.state, over.job.due), ("expired", State.EXPIRED, None))

    def test_an_extension_gives_more_time_and_never_less(self) -> None:
        """A sender's later end counts up to our own lifetime; an operator's counts as it is said."""
        day = timedelta(days=1)
        short = job(not_after=NOW + day, deadline=NOW + day * 0.9, at_risk=NOW)
        longer = rules.extended(short, NOW + 4 * day, NOW + 7 * day, NOW)
        self.assertEqual((longer.deadline, longer.not_after), (NOW + 3.6 * day, NOW + 4 * day))
        self.assertEqual((longer.at_risk, longer.state), (None, State.LEASED))
        self.assertEqual(rules.extended(short, NOW + 30 * day, NOW + 7 * day, NOW).deadline, NOW + 7 * day)
        by_hand = rules.extended(short, None, NOW + 30 * day, NOW)
        self.assertEqual((by_hand.deadline, by_hand.not_after), (NOW + 30 * day, NOW + day))
        self.assertEqual(rules.extended(job(), NOW + 30 * day, NOW + 9 * day, NOW).not_after, NOW + 30 * day)
        for state in State:
            more = (NOW + 4 * day, NOW + 7 * day, NOW)
            if state in rules.UNFINISHED:
                self.assertEqual(rules.extended(evolve(short, state=state), *more).state, state)
            else:
                self.assertRaises(Conflict, rules.extended, evolve(short, state=state), *more)

    def test_an_extension_that_gives_no_time_is_refused(self) -> None:
        """An end that is not later, or over already, changes nothing."""
        day = timedelta(days=1)
        short = job(not_after=NOW + day, deadline=NOW + day * 0.9)
        self.assertRaises(Conflict, rules.extended, short, NOW + day, NOW + 7 * day, NOW)
        self.assertRaises(Conflict, rules.extended, short, NOW - day, NOW + 7 * day, NOW)
        self.assertRaises(Conflict, rules.extended, short, None, NOW + day / 2, NOW)
        self.assertRaises(Conflict, rules.extended, short, NOW + 2 * day, NOW + 7 * day, NOW + 2 * day)

    def test_our_own_clock_stands_still_while_a_job_is_held(self) -> None:
        """What is released has as much of its lifetime as when it was held, as far as the sender's end allows."""
        day = timedelta(days=1)
        held = rules.moved(job(state=State.READY), "held", NOW + day)
        self.assertEqual((held.held, held.deadline), (NOW + day, NOW + 7 * day))
        later = rules.moved(held, "released", NOW + 6 * day)
        self.assertEqual((later.held, later.deadline), (None, NOW + 12 * day))
        ends = rules.moved(evolve(held, not_after=NOW + 10 * day), "released", NOW + 6 * day)
        self.assertEqual(ends.deadline, NOW + 9 * day)
        past = rules.moved(evolve(held, not_after=NOW + 2 * day), "released", NOW + 6 * day)
        self.assertEqual(past.deadline, NOW + 7 * day, "never earlier")
        self.assertEqual(rules.moved(held, "released", NOW).deadline, NOW + 7 * day, "the clock was set back")
        self.assertEqual(rules.moved(held, "cancelled", NOW + 6 * day).deadline, NOW + 7 * day)
        unknown = rules.moved(evolve(held, held=None), "released", NOW + 6 * day)
        self.assertEqual(unknown.deadline, NOW + 7 * day, "held before this was remembered")
        self.assertEqual(rules.plan(job(), Result(Outcome.STRANGER), NOW, 0.5).job.held, NOW)

    def test_a_deadline_leaves_a_tenth_of_the_senders_time(self) -> None:
        """The sender's not_after counts less ten per cent; an announced end in the past is no negative life."""
        self.assertEqual(rules.deadline_of(NOW, timedelta(days=7), None), NOW + timedelta(days=7))
        ten = NOW + timedelta(days=10)
        self.assertEqual(rules.deadline_of(NOW, timedelta(days=30), ten), NOW + timedelta(days=9))
        self.assertEqual(rules.deadline_of(NOW, timedelta(days=30), NOW - timedelta(days=1)), NOW)

    @given(
        retries=st.integers(0, 10_000),
        chance=st.floats(0, 1),
        restarts=st.integers(0, 3),
        outcome=st.sampled_from(Outcome),
    )
    @settings(derandomize=True, max_examples=200)
    def test_due_is_never_in_the_past_nor_beyond_its_cap(
        self, retries: int, chance: float, restarts: int, outcome: Outcome
    ) -> None:
        """Bounded effort: no outcome makes a job due earlier than now or later than the longest probe."""
        planned = rules.plan(job(retries=retries, restarts=restarts), Result(outcome), NOW, chance).job
        if planned.due is not None:
            self.assertTrue(NOW <= planned.due <= NOW + rules.AUTH_PROBE)


class Results(SynchronousTestCase):
    """What a refusal means depends on the phase that it ends."""

    def test_unavailable_is_charged_by_phase(self) -> None:
        """The issuer for the exchange, the destination elsewhere; a broken body is no connection failure."""
        refusal = refusals.Unavailable("reset")
        said = {phase: rules.result_of(phase, refusal).outcome for phase in Phase}
        self.assertEqual(said[Phase.AUTH], Outcome.ISSUER_DOWN)
        self.assertEqual(said[Phase.CONNECT], Outcome.UNREACHABLE)
        self.assertEqual(said[Phase.BODY], Outcome.BROKEN)

    def test_only_a_peers_own_word_is_a_retry_after(self) -> None:
        """TooMany carries what the peer asked for; Unavailable's default is nobody's word."""
        self.assertEqual(rules.result_of(Phase.AUTH, refusals.TooMany(retry_after=9)).retry_after, 9)
        self.assertIsNone(rules.result_of(Phase.AUTH, refusals.Unavailable()).retry_after)

    def test_an_introduction_that_proves_nothing_makes_a_stranger(self) -> None:
        """A domain that contradicts itself, or a forbidden address, holds the job."""
        for kind in (refusals.Unproven, refusals.Unknown, refusals.Malformed, refusals.Forbidden):
            self.assertEqual(rules.result_of(Phase.INTRODUCE, kind()).outcome, Outcome.STRANGER)

    def test_our_own_domain_that_cannot_be_introduced_is_our_issuers_trouble(self) -> None:
        """No sender's resource is given up because our own discovery document is missing."""
        for kind in (refusals.Unproven, refusals.Unknown, refusals.Malformed, refusals.Unavailable):
            self.assertEqual(rules.result_of(Phase.AUTH, kind()).outcome, Outcome.ISSUER_DOWN)


OUTCOMES = st.sampled_from([each for each in Outcome if each is not Outcome.STORED])
WALK = st.lists(
    st.tuples(OUTCOMES, st.floats(0, 1), st.booleans(), st.one_of(st.none(), st.integers(1, 90_000))), max_size=60
)
BY_HAND = {State.HELD: "released"}


class Walks(SynchronousTestCase):
    """Promises over whole lives."""

    @given(walk=WALK)
    @settings(derandomize=True, max_examples=300)
    def test_r7_every_life_has_a_next_step_until_it_ends(
        self, walk: list[tuple[Outcome, float, bool, int | None]]
    ) -> None:
        """Whatever attempts come to, a job has a due time or a condition, and its deadline ends it."""
        leased, now = job(), NOW
        for outcome, chance, progressed, away in walk:
            not_before = None if away is None else now + timedelta(seconds=away)
            result = Result(outcome, "evidence", progressed=progressed)
            planned = rules.plan(leased, result, now, chance, not_before)
            self.assertEqual(rules.after(State.LEASED, planned.event), planned.job.state)
            if planned.job.state in rules.TERMINAL:
                self.assertIsNone(planned.job.due)
                return
            self.assertTrue(planned.job.due is not None or planned.job.condition)
            if planned.job.state in BY_HAND:
                planned = evolve(planned, job=evolve(planned.job, due=now))
            assert planned.job.due is not None
            self.assertGreaterEqual(planned.job.due, now)
            now = planned.job.due
            leased = evolve(planned.job, state=State.LEASED, due=None, attempts=planned.job.attempts + 1)

    @given(outcome=OUTCOMES, retries=st.integers(0, 50), chance=st.floats(0, 1))
    @settings(derandomize=True, max_examples=100)
    def test_r5_no_outcome_outlives_the_deadline_by_failing(
        self, outcome: Outcome, retries: int, chance: float
    ) -> None:
        """At the deadline one attempt is made; what failed then does not wait again on account of others."""
        late = job(retries=retries, deadline=NOW)
        planned = rules.plan(late, Result(outcome), NOW + timedelta(hours=2), chance).job
        ours = (State.READY, State.HELD)
        self.assertTrue(planned.state in rules.TERMINAL or planned.state in ours, planned.state)
