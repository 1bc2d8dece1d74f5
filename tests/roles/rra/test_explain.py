"""Every job can be explained, to people and to programs, whatever its state and whatever surrounds it (G10)."""

from datetime import timedelta
from itertools import product

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Breaker, HistoryRow, Job, State
from rrsd.core.values.operations import Kind, Ruling
from rrsd.roles.rra import rules
from rrsd.roles.rra.contradictions import Facts, contradiction
from rrsd.roles.rra.explain import Around, Explanation, explain
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.roles.rra.standing import GATES, OBSTACLES, STANDING, Obstacle, standing_of
from tests.roles.rra.samples import NOW, RS, job

LATER = NOW + timedelta(minutes=10)
CLOSED, OPEN = Breaker(str(RS)), Breaker(str(RS), opened=NOW, not_before=LATER, reason="connect: refused")
HALF_OPEN, PUSHED = Breaker(str(RS), opened=NOW, not_before=NOW), Breaker(str(RS), not_before=LATER)
DRAINED = Ruling(Kind.DRAIN, "", NOW, "operator uid 0", "disk is replaced")
PAUSED = Ruling(Kind.PAUSE, str(RS), NOW, "operator")
LIMITED = Ruling(Kind.LIMIT, str(RS), NOW, "operator uid 0", "asked for by its postmaster", 1)
QUOTA = "its 953 MiB do not fit, 5 MiB of the quota of 900 MiB are left"
LIVE = [state for state in State if state not in rules.TERMINAL]


def row(event: str = "deferred", evidence: str = "", at: Instant = NOW, after: State = State.DEFERRED) -> HistoryRow:
    """What an attempt, or somebody, did to the job."""
    return HistoryRow(1, at, State.LEASED, after, event, evidence)


moments = st.sampled_from([NOW - timedelta(hours=1), NOW, LATER, NOW + timedelta(days=3)])
breakers = st.sampled_from([None, CLOSED, OPEN, HALF_OPEN, PUSHED])
arounds = st.builds(
    Around,
    issuer=st.sampled_from([None, Breaker("sts", failures=2, not_before=LATER), Breaker("sts", failures=1)]),
    held_back=st.none() | moments,
    drained=st.sampled_from([None, DRAINED]),
    paused=st.sampled_from([None, PAUSED]),
    limited=st.sampled_from([None, LIMITED]),
    gate=st.sampled_from([*GATES, "what nobody knows"]),
    ahead=st.none() | st.integers(0, 10_000),
    is_leased_ahead=st.booleans(),
    done=st.integers(0, 10**9),
    rate=st.sampled_from([-1.0, 0.0, 1e-300, 1.0, 1e6]),
    quiet=st.sampled_from([0.0, 9.9, 12.0]),
    ends=st.none() | moments,
    is_whole=st.booleans(),
    attempts=st.none() | st.just(()),
    act=st.none() | st.builds(row, at=moments),
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
        self.assertEqual(said.waits_for, ("drained", "paused", "outage"))
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
        gone = row("failed", "410", after=State.FAILED)
        said = told(job(state=State.FAILED), None, Around(successor=9, attempts=(gone,)))
        self.assertEqual((said.remedy, said.attempts), ("It went on as pull 9.", (gone,)))

    def test_a_pull_that_is_kept_back_was_said_to_wait_for_a_slot_that_nobody_has(self) -> None:
        """Behind a pause, a drain or an outage no slot is named while nothing runs; a full share still is."""
        one = job(state=State.READY)
        for breaker, around, name in (
            (None, Around(drained=DRAINED), "drained"),
            (None, Around(paused=PAUSED), "paused"),
            (OPEN, Around(), "outage"),
            (PUSHED, Around(), "pushed back"),
        ):
            said = told(one, breaker, around)
            self.assertEqual(said.waits_for, (name,))
            self.assertNotRegex(said.sentence, "slot|all the transfers|may run|in line")
        self.assertEqual(told(one, OPEN, Around(gate="house")).waits_for, ("outage", "slot"))
        self.assertEqual(told(one, None, Around(ahead=2)).waits_for, ("turn",))

    def test_an_operators_limit_was_not_named(self) -> None:
        """Who, since when, how many and why, of one that waits and of one that is leased ahead."""
        for state in (State.READY, State.LEASED):
            around = Around(limited=LIMITED, gate="destination", is_leased_ahead=state is State.LEASED)
            said = told(job(state=state), None, around)
            self.assertEqual((said.waits_for, said.blame, said.next), (("limited", "slot"), "this host", NOW))
            self.assertIn("no more than 1 come from this resource server at once. (operator uid 0, 20", said.sentence)
            self.assertIn("Reason: asked for by its postmaster.", said.sentence)
            self.assertEqual(said.remedy, f"`rrsctl pulls limit {RS} 0`.")

    def test_a_condition_that_had_passed_was_told_as_the_last_attempt(self) -> None:
        """After a wait for quota nobody is blamed and no attempt is invented; what an attempt found is history."""
        waited = {"blame": Blame.OURSELVES, "evidence": QUOTA}
        for state, attempts in product((State.LEASED, State.READY), (None, ())):
            said = told(job(state=state, **waited), None, Around(attempts=attempts))
            self.assertNotIn("953", said.sentence)
            self.assertEqual((said.blame, said.evidence), ("nobody", ""))
        short = job(state=State.NO_SPACE, condition="quota", due=job().deadline, **waited)
        for attempts in (None, ()):
            said = told(short, None, Around(attempts=attempts))
            self.assertIn("Its 953 MiB do not fit", said.sentence)
            self.assertEqual((said.blame, "attempt" in said.sentence), ("this host", False))
            self.assertEqual((said.waits_for, said.next), (("quota",), None))
        failed = job(attempts=2, blame=Blame.DESTINATION, evidence="connect: refused")
        for known in (None, (row(evidence="connect: refused"),)):
            said = told(failed, None, Around(attempts=known))
            self.assertIn("The attempt before was charged to the sender's resource server: connect", said.sentence)
            self.assertEqual(said.blame, "nobody")

    def test_an_attempt_that_nobody_failed_was_charged_to_nobody(self) -> None:
        """It ended, and how."""
        said = told(job(state=State.READY, evidence="interrupted by an operator"))
        self.assertIn("The last attempt ended: interrupted by an operator.", said.sentence)

    def test_a_stall_was_hidden_behind_an_average(self) -> None:
        """Once nothing comes there is no guess, but for how long that is so, and when the attempt ends."""
        one = job(state=State.LEASED, size=1000)
        said = told(one, None, Around(done=400, rate=10.0, quiet=12.0, ends=NOW + timedelta(seconds=48)))
        self.assertEqual((said.eta, said.waits_for), (None, ("attempt", "stall")))
        self.assertEqual(said.blame, "the sender's resource server")
        self.assertIn(
            "Nothing has come for 12 seconds; if it stays so, this attempt ends within 48 seconds", said.sentence
        )
        self.assertIn("Nothing has come for 12 seconds. ", told(one, None, Around(quiet=12.0)).sentence)
        whole = told(one, None, Around(done=1000, rate=10.0, quiet=12.0, is_whole=True))
        self.assertEqual((whole.waits_for, whole.eta), (("attempt",), None))
        self.assertIn("is being checked", whole.sentence)

    def test_what_an_operator_ended_was_said_to_have_had_no_time(self) -> None:
        """An operator ended it, and when; also for a notice, which knows no history."""
        ended = job(state=State.EXPIRED, due=None, evidence=QUOTA, blame=Blame.OURSELVES)
        for act in (None, row("expired", at=LATER)):
            said = told(ended, None, Around(act=act))
            self.assertIn("An operator ended it before its time was over.", said.sentence)
            self.assertEqual(said.blame, "nobody")
        self.assertIn("(operator, 2027-01-15 08:10 UTC.)", said.sentence)
        over = row("expired", at=ended.deadline)
        self.assertIn("could not be fetched before", told(ended, None, Around(act=over)).sentence)

    def test_who_cancelled_or_held_was_not_said(self) -> None:
        """As of a pause: an operator, and when; not of one that is held for what its sender's domain is."""
        for state in (State.CANCELLED, State.HELD):
            said = told(job(state=state), None, Around(act=row(at=LATER, after=state)))
            self.assertIn("(operator, 2027-01-15 08:10 UTC.)", said.sentence)
        self.assertIn("(operator, ", told(job(state=State.HELD, condition="operator", held=NOW)).sentence)
        strange = job(state=State.HELD, condition="policy", held=NOW, blame=Blame.JOB, evidence="introduce: unproven")
        self.assertNotIn("(operator", told(strange).sentence)
        self.assertEqual(told(strange).blame, "this resource")

    def test_remedies_were_no_commands_that_can_be_typed(self) -> None:
        """Each has the number of the pull, the recipient or the domain."""
        for state, condition in STANDING:
            remedy = standing_of(job(job=17, state=state), condition).remedy
            self.assertNotIn("{", remedy)
            for command in remedy.split("`")[1::2]:
                self.assertRegex(command, r"^rrsctl (pulls [a-z-]+ 17|users set-quota bob@|identity verify foo.test)")
        self.assertIn("pulls retry-now 17", told(job(job=17, state=State.READY, due=None)).remedy)


class Contradictions(SynchronousTestCase):
    """What is said is so, and what is so is said."""

    @given(
        pair=st.sampled_from(sorted(reachable())), due=st.none() | moments, breaker=breakers, around=arounds,
    )  # fmt: skip
    def test_g10_nothing_is_said_that_is_not_so(
        self, pair: tuple[State, str], due: Instant | None, breaker: Breaker | None, around: Around
    ) -> None:
        """Whatever surrounds it; and each name that is left out, or invented, is noticed."""
        one = job(state=pair[0], condition=pair[1], due=due)
        said, facts = told(one, breaker, around), facts_of(one, breaker, around)
        if not said.is_sound:
            self.assertTrue(contradiction(said, one, facts))
            return
        self.assertEqual(contradiction(said, one, facts), "")
        invented = [*Obstacle, "attempt", "receipt", "operator", "quota"]
        for name in set(invented) - set(said.waits_for) - could_be(one, facts):
            wrong = evolve(said, waits_for=(*said.waits_for, str(name)))
            self.assertTrue(contradiction(wrong, one, facts), name)
        for name in set(said.waits_for) & OUTER:
            if one.condition != name:
                left = tuple(each for each in said.waits_for if each != name)
                wrong = evolve(said, waits_for=left or ("time",))
                self.assertTrue(contradiction(wrong, one, facts), name)

    def test_each_wrong_word_is_noticed(self) -> None:
        """State, sentence, a time that is over, and nothing that would move it."""
        one, facts = job(state=State.READY), Facts(NOW)
        said = told(one)
        self.assertEqual(contradiction(said, one, facts), "")
        for wrong, why in (
            (evolve(said, state=State.NEW), "said to be new"),
            (evolve(said, sentence=""), "nothing is said"),
            (evolve(said, next=NOW - timedelta(seconds=1)), "is over"),
            (evolve(said, next=None, remedy=""), "nothing moves it"),
            (evolve(said, waits_for=("slot",)), "does not wait for slot"),
        ):
            self.assertIn(why, contradiction(wrong, one, facts))
        self.assertIn("that is not said", contradiction(said, one, evolve(facts, is_paused=True)))


OUTER = {"drained", "paused", "host", "issuer", "outage", "pushed back", "probe"}


def facts_of(one: Job, breaker: Breaker | None, around: Around) -> Facts:
    """The same circumstances as those know them who decide."""
    return Facts(
        now=NOW,
        is_drained=around.drained is not None,
        is_paused=around.paused is not None,
        host_until=around.held_back,
        issuer_until=around.issuer.not_before if around.issuer is not None else None,
        closed_until=breaker.not_before if breaker is not None else None,
        is_out=breaker is not None and breaker.opened is not None,
        most=around.limited.most if around.limited is not None else None,
        running=1,
        is_crowded=bool(around.gate),
        is_leased_ahead=around.is_leased_ahead,
    )


def could_be(one: Job, facts: Facts) -> set[str]:
    """Names that may be said of such a job, or left out."""
    ours = {State.LEASED: {"stall", "attempt"}, State.HELD: {one.condition}}.get(one.state, {one.condition})
    return {"limited", "slot", "turn", "time", *ours} - ({"attempt", "stall"} if facts.is_leased_ahead else set())
