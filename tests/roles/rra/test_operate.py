"""What an operator does with pulls, and what a waiting reader causes."""

from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Unavailable, Unknown
from rrsd.core.values.calls import Answer
from rrsd.core.values.jobs import Blame, Priority, State
from rrsd.core.values.operations import Filter
from rrsd.roles.rra import rules
from rrsd.roles.rra.acting import MOST_NUMBER, Given
from rrsd.roles.rra.bulk import Order, Step
from rrsd.roles.rra.feed import Feed
from rrsd.roles.rra.verbs import OF_A_JOB
from rrsd.runtime.awaits import deferred_of
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER, STS, Body, issued, said, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, Gate, files

EXPECTED = {
    "retry-now": {state: State.READY for state in (State.DEFERRED, State.NEEDS_AUTH, State.NO_SPACE)}
    | {State.READY: State.READY, State.NEW: State.NEW, State.LEASED: State.LEASED},
    "hold": {state: State.HELD for state in rules.UNFINISHED},
    "release": {State.HELD: State.READY, State.READY: State.READY, State.NEW: State.NEW, State.LEASED: State.LEASED},
    "cancel": {state: State.CANCELLED for state in (*rules.UNFINISHED, State.CANCELLED)},
    "expire-now": {state: State.EXPIRED for state in (*rules.UNFINISHED, State.EXPIRED)},
    "extend": {state: state for state in rules.UNFINISHED},
    "set-priority": {state: state for state in rules.UNFINISHED},
    "requeue-fresh": {state: State.NEW for state in rules.TERMINAL - rules.ARRIVED},
    "quarantine-release": {State.QUARANTINED: State.NEW},
}
"""The state after each verb in each state; what is not here is refused."""


class OperateCase(SynchronousTestCase):
    """An agent and its operator."""

    def setUp(self) -> None:
        """Nothing runs before `start`."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers, self.operations = self.desk.peers, self.desk.operations

    def act(self, verb: str, number: int = 1) -> State:
        """The state that the verb says it left."""
        given = Given(timedelta(days=30), Priority.BULK)
        return self.desk.result(self.operations.act(verb, number, given=given)).state

    def all(self, verb: str, **wanted: Any) -> tuple[int, int]:
        """What the verb said that it changed, and did not."""
        order = Order(verb, Filter(**wanted))
        asked = self.desk.result(self.operations.bulk.ask(order))
        step: Step = self.desk.result(self.operations.bulk.carry_out(order, asked.token, 0))
        self.assertIsNone(step.next)
        return step.changed, step.unchanged


class Verbs(OperateCase):
    """Each verb in each state."""

    def test_every_verb_in_every_state(self) -> None:
        """It leads where the table says, or is refused and changes nothing; so does a lease that nobody works on."""
        for verb, event in OF_A_JOB.items():
            for number, state in enumerate(State, 1):
                with self.subTest(verb=verb, state=state):
                    (job,) = self.desk.accept(b"%d" % number, name=f"{verb} {state}")
                    self.desk.rewrite(job, state=state)
                    expected = EXPECTED[verb].get(state)
                    if expected is None:
                        with self.assertRaises(Conflict):
                            self.act(verb, job)
                    else:
                        self.assertEqual(self.act(verb, job), expected)
                    self.assertEqual(self.desk.state(job), state if event == "requeued" else expected or state)

    def test_what_has_arrived_is_refused_with_words_that_are_true(self) -> None:
        """Nobody is sent from one verb to another that refuses as well."""
        for state in rules.ARRIVED:
            (job,) = self.desk.accept(b"x", name=state)
            self.desk.rewrite(job, state=state)
            for verb in OF_A_JOB:
                with self.assertRaises(Conflict) as caught:
                    self.act(verb, job)
                self.assertIn("it has arrived", caught.exception.detail)

    def test_every_verb_is_idempotent(self) -> None:
        """The second time changes nothing and is no error."""
        for verb, state in (("hold", State.DEFERRED), ("release", State.HELD), ("cancel", State.HELD)):
            (job,) = self.desk.accept(verb.encode(), name=verb)
            self.desk.rewrite(job, state=state)
            first = self.act(verb, job)
            rows = self.desk.events(job)
            self.assertEqual((self.act(verb, job), self.desk.events(job)), (first, rows))

    def test_retry_now_brings_a_ready_job_forward(self) -> None:
        """One that is due later, or that waits for nothing at all, is due now."""
        for due in (self.desk.timers.now() + timedelta(hours=1), None):
            (job,) = self.desk.accept(b"x", name=str(due))
            self.desk.rewrite(job, state=State.READY, due=due)
            self.act("retry-now", job)
            moved = self.desk.job(job)
            self.assertEqual((moved.due, moved.priority), (self.desk.timers.now(), Priority.NORMAL))

    def test_what_does_not_exist(self) -> None:
        """Unknown, for numbers of any size."""
        for number in (7, MOST_NUMBER + 1):
            with self.assertRaises(Unknown):
                self.act("hold", number)

    def test_every_verb_is_audited(self) -> None:
        """Who, what, about which pull."""
        self.desk.accept(b"x")
        self.act("hold")
        (event,) = self.desk.trail.of("operate")
        self.assertEqual((event.who, event.evidence, event.resource), ("operator", "hold", "pull 1"))

    def test_a_pull_was_changed_before_the_trail_said_so(self) -> None:
        """The line comes first: without it nothing changes, and a try that is lost leaves no second one."""
        self.desk.accept(b"x")
        self.desk.trail.refusal = Unavailable("audit trail")
        with self.assertRaises(Unavailable):
            self.act("hold")
        self.assertEqual(self.desk.state(1), State.NEW)
        self.desk.trail.refusal = None
        self.desk.queue.trouble["change"] = Conflict("epoch")
        with self.assertRaises(Conflict):
            self.act("hold")
        self.assertEqual([event.evidence for event in self.desk.trail.of("operate")], ["hold"])

    def test_a_job_that_changes_meanwhile_is_looked_at_again(self) -> None:
        """A lost race is another look, not a wrong answer; one that is always lost is a Conflict."""
        self.desk.accept(b"x")
        self.desk.queue.trouble["change"] = Conflict("epoch")
        with self.assertRaises(Conflict):
            self.act("hold")
        del self.desk.queue.trouble["change"]
        self.assertEqual(self.act("hold"), State.HELD)

    def test_retry_now_probes_a_closed_destination(self) -> None:
        """Its job and the others that wait for it run now."""
        self.peers.always("GET", RS, Unavailable("connect"))
        self.desk.accept(*files(6))
        self.desk.start()
        self.peers.rules.clear()
        self.assertIn(self.act("retry-now", 2), (State.READY, *ARRIVED))
        self.desk.advance(1)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))


class Bulk(OperateCase):
    """One verb for many."""

    def test_all_of_a_state_or_an_origin(self) -> None:
        """Others are not touched; terminal ones are counted as unchanged, and those that were so already."""
        self.desk.accept(*files(3))
        self.desk.accept(*files(2), name="m2", origin=OTHER)
        self.desk.rewrite(1, state=State.FAILED)
        self.assertEqual(self.all("hold", origin=RS), (2, 1))
        self.assertEqual(self.desk.states(), [State.FAILED, State.HELD, State.HELD, State.NEW, State.NEW])
        self.assertEqual(self.all("release", state=State.HELD), (2, 0))
        self.assertEqual(self.all("release"), (0, 5))

    def test_looking(self) -> None:
        """Numbers, pages, and everything about one."""
        self.desk.accept(*files(3))
        self.assertEqual(self.desk.result(self.operations.counts()).by_state, {State.NEW: 3})
        page = self.desk.result(self.operations.jobs(Filter(), 1, 10_000))
        self.assertEqual([job.job for job in page.jobs], [2, 3])
        shown = self.desk.result(self.operations.show(2))
        self.assertEqual((shown.job.job, shown.done, shown.fetch.offset), (2, 0, 0))


class Interruptions(OperateCase):
    """Holding and cancelling what runs."""

    def begin(self, size: int = 2_000_000) -> None:
        """A transfer that stands still half-way."""
        self.body = served(b"z" * size, still=size // 2)
        self.peers.always("GET", RS, self.body)
        self.desk.accept(b"z" * size)
        self.desk.start()

    def test_cancel_cuts_a_running_transfer(self) -> None:
        """The connection is closed, the job is cancelled, and no destination is blamed."""
        self.begin()
        self.assertEqual(self.act("cancel"), State.CANCELLED)
        self.assertEqual((self.desk.state(1), self.body.aborted), (State.CANCELLED, True))
        self.desk.advance(60)
        self.assertEqual((self.desk.state(1), len(self.peers.to("GET", RS))), (State.CANCELLED, 1))
        self.assertEqual((self.desk.health.all(), self.desk.job(1).blame), ((), Blame.NOBODY))

    def test_hold_and_release_continue_where_it_was(self) -> None:
        """A held job keeps its bytes; the release lets it run at once."""
        self.begin()
        self.act("hold")
        self.desk.advance(5)
        self.assertEqual(self.desk.state(1), State.HELD)
        self.assertEqual(self.desk.job(1).condition, "operator")
        self.assertEqual(self.desk.result(self.operations.show(1)).done, 1_000_000)
        self.peers.rules.clear()
        self.act("release")
        self.desk.advance(2)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_release_and_retry_leave_a_running_transfer_alone(self) -> None:
        """There is nothing to release: the job is not lost by asking."""
        self.begin()
        self.assertEqual((self.act("release"), self.act("retry-now")), (State.LEASED, State.LEASED))
        self.body.go_on()
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def freeze(self) -> None:
        """The transfer does not end although it is cut: its sender, or this host, stands still."""

        async def stay(body: Body) -> None:
            body.aborted = True

        self.patch(Body, "abort", stay)

    def test_an_acknowledged_cancel_was_lost_by_kill_9(self) -> None:
        """What was said of a pull at work is durable before it is said: no attempt takes it back after a crash."""
        for number, (verb, state) in enumerate(
            (("cancel", State.CANCELLED), ("hold", State.HELD), ("expire-now", State.EXPIRED))
        ):
            with self.subTest(verb=verb):
                self.setUp()
                self.begin(2_000_000 + number)
                self.freeze()
                self.assertEqual((self.act(verb), self.desk.state(1)), (state, state))
                self.desk.crash()
                self.peers.rules.clear()
                before = len(self.peers.calls)
                self.desk.start()
                self.desk.advance(120, 5)
                self.assertEqual((self.desk.state(1), self.peers.calls[before:]), (state, []))

    def test_a_pull_that_was_held_and_released_stayed_held(self) -> None:
        """While its attempt has not ended yet: it is ready at once, runs when that has, and its bytes come once."""
        self.begin()
        self.freeze()
        self.assertEqual((self.act("hold"), self.act("release")), (State.HELD, State.READY))
        self.desk.advance(5)
        self.assertEqual((self.desk.state(1), len(self.peers.to("GET", RS))), (State.READY, 1))
        self.body.go_on()
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)
        self.assertEqual(len(self.peers.to("GET", RS)), 1)

    def test_a_cancel_was_undone_by_a_hold(self) -> None:
        """Cancelled is over, whatever is said while the attempt unwinds."""
        self.begin()
        self.freeze()
        self.act("cancel")
        with self.assertRaises(Conflict) as caught:
            self.act("hold")
        self.assertIn("final", caught.exception.detail)
        self.body.go_on()
        self.desk.advance(1)
        self.assertEqual((self.desk.state(1), self.peers.to("POST", RS)), (State.CANCELLED, []))

    def test_what_arrives_before_is_kept(self) -> None:
        """The bytes are there and verified, and that is written, when somebody cancels."""
        self.begin()
        gate: Deferred[None] = Deferred()
        self.desk.queue.gates["change"] = gate
        self.body.go_on()
        with self.assertRaises(Conflict):
            self.act("cancel")
        gate.callback(None)
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_what_is_leased_and_has_no_attempt_yet(self) -> None:
        """It is cancelled while the lease is on its way to its lane: nobody is asked for anything."""
        gate: Deferred[None] = Deferred()
        self.desk.queue.gates["take"] = gate
        self.desk.accept(b"one")
        self.desk.start()
        self.assertEqual((self.desk.state(1), self.act("cancel")), (State.LEASED, State.CANCELLED))
        gate.callback(None)
        self.desk.advance(60)
        self.assertEqual((self.desk.state(1), self.peers.calls), (State.CANCELLED, []))

    def test_more_time_for_what_is_leased_ahead_and_then_held(self) -> None:
        """Nothing is left over that the next attempt would write."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(10))
        self.desk.start()
        self.act("extend", 10)
        self.act("hold", 10)
        self.assertEqual(self.desk.scheduler.settling._amended, {})

    def test_an_interruption_before_the_answer_counts(self) -> None:
        """While it is connecting nothing can be cut; the answer is given up when it comes."""
        gate = Gate(self.desk)
        self.peers.rule("GET", RS, gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.act("cancel")
        body = served(b"one")
        gate.waiting[0][1].callback(body)
        self.desk.advance(0.1)
        self.assertEqual((self.desk.state(1), body.aborted), (State.CANCELLED, True))

    def test_an_interruption_during_the_exchange_counts(self) -> None:
        """No request goes out any more."""
        gate: Deferred[Answer] = Deferred()
        self.peers.rule("POST", STS, lambda _: gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.act("hold")
        gate.errback(Unavailable("sts"))
        self.desk.advance(0.1)
        self.assertEqual((self.desk.state(1), self.desk.health.all()), (State.HELD, ()))

    def test_a_request_went_out_for_what_was_cancelled_during_the_exchange(self) -> None:
        """The delegation comes; nobody needs it any more."""
        gate: Deferred[Answer] = Deferred()
        self.peers.rule("POST", STS, lambda _: gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.act("cancel")
        gate.callback(issued())
        self.desk.advance(5)
        self.assertEqual((self.desk.state(1), self.peers.to("GET", RS)), (State.CANCELLED, []))

    def test_what_is_leased_ahead_is_held_at_once(self) -> None:
        """It has no attempt to wait for."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(10))
        self.desk.start()
        self.act("hold", 10)
        self.assertEqual(self.desk.state(10), State.HELD)
        self.act("cancel", 9)
        self.assertEqual(self.desk.state(9), State.CANCELLED)

    def test_what_was_fenced_off_meanwhile_is_no_news(self) -> None:
        """Nobody who watches hears of a hold that did not come to be."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(10))
        self.desk.start()
        heard: list[State] = []
        self.patch(Feed, "changed", lambda _, job: heard.append(job.state))
        self.desk.queue.trouble["change"] = Conflict("epoch")
        with self.assertRaises(Conflict):
            self.act("hold", 10)
        self.assertEqual(heard, [])


class Readers(OperateCase):
    """Somebody waits for a part."""

    def hurry(self, number: int = 1, token: str | None = "token") -> None:
        """A reader asks for the part."""
        self.desk.result(self.operations.hurry(number, token))
        self.desk.advance(0.01)

    def exchanges(self) -> list[str]:
        """What kinds of exchange there were."""
        return [event.evidence for event in self.desk.trail.of("exchange")]

    def test_the_readers_token_serves_for_the_exchange(self) -> None:
        """3-legged where the agent has no delegation at hand."""
        self.desk.accept(b"one")
        self.hurry()
        self.desk.start()
        self.assertEqual(self.exchanges(), ["3-legged"])
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_a_refused_token_does_no_harm(self) -> None:
        """The attempt makes its own exchange, 2-legged."""
        self.peers.rule("POST", STS, lambda call: said(400) if b"access_token" in call.body else None)
        self.desk.accept(b"one")
        self.hurry()
        self.desk.start()
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_a_refused_token_at_the_same_moment_does_no_harm(self) -> None:
        """The agent's exchange does not share the reader's refusal."""
        gate: Deferred[Answer] = Deferred()
        self.peers.rule("POST", STS, lambda call: gate if b"access_token&" in call.body else None)
        self.desk.accept(b"one")
        hurried = deferred_of(self.operations.hurry(1, "token"))
        self.desk.start()
        gate.callback(Answer(400, {}))
        self.successResultOf(hurried)
        self.desk.advance(0.1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_a_reader_cannot_hammer_a_server_that_says_no(self) -> None:
        """403 again and again: one probe in ten seconds, for all the parts together."""
        self.peers.always("GET", RS, said(403))
        self.desk.accept(*files(5))
        self.desk.start()
        self.assertEqual(set(self.desk.states()), {State.NEEDS_AUTH})
        before = len(self.peers.to("GET", RS))
        for _ in range(100):
            for number in range(1, 6):
                self.hurry(number)
            self.desk.advance(0.2)
        self.assertLessEqual(len(self.peers.to("GET", RS)) - before, 3)

    def test_a_reader_cannot_hammer_the_sts(self) -> None:
        """A token that is refused is shown once in ten seconds."""
        self.peers.always("POST", STS, said(400))
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        self.desk.start()
        for _ in range(50):
            self.hurry()
            self.desk.advance(0.1)
        self.assertLessEqual(len(self.peers.to("POST", STS)), 3)

    def test_a_reader_retries_what_was_deferred(self) -> None:
        """Each part once in ten seconds, at once and first."""
        self.peers.always("GET", RS, said(404))
        self.desk.accept(*files(3))
        self.desk.start()
        self.peers.rules.clear()
        for number in (1, 2, 3):
            self.hurry(number)
        self.desk.advance(1)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_what_cannot_be_hurried_stays_as_it_is(self) -> None:
        """Held, over, or arrived."""
        for state in (State.HELD, State.FAILED, State.STORED):
            (job,) = self.desk.accept(b"x", name=state)
            self.desk.rewrite(job, state=state)
            self.hurry(job)
            self.assertEqual((self.desk.state(job), self.peers.calls), (state, []))

    def test_a_second_reader_changes_nothing(self) -> None:
        """What goes first already is not written again."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        self.hurry(token=None)
        rows = self.desk.events(1)
        self.hurry(token=None)
        self.assertEqual(self.desk.events(1), rows)
        self.assertEqual(self.desk.job(1).priority, Priority.INTERACTIVE)

    def test_a_lost_race_is_no_error(self) -> None:
        """The job was leased between look and change."""
        self.desk.accept(b"one")
        self.desk.queue.trouble["change"] = Conflict("state")
        self.hurry(token=None)

    def test_settled(self) -> None:
        """At once when it has arrived or nothing moves it; else when it does; else when time is over."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(b"one")
        waiting = deferred_of(self.operations.settled(1, timedelta(seconds=5)))
        self.desk.start()
        self.desk.advance(1)
        self.assertNoResult(waiting)
        self.assertIs(self.desk.result(self.operations.progress(1)), self.desk.transfers.all()[0])
        gate.let_go()
        self.desk.advance(1)
        self.assertIn(self.successResultOf(waiting).state, ARRIVED)
        self.desk.accept(b"two", name="m2")
        late = deferred_of(self.operations.settled(2, timedelta(seconds=2)))
        self.desk.advance(3)
        self.assertEqual(self.successResultOf(late).state, State.LEASED)
        self.assertEqual(self.desk.result(self.operations.done(self.desk.job(1))), 3)

    def test_another_recipients_transfer_shows_the_progress(self) -> None:
        """The bytes are the same, whoever's authorization brings them."""
        self.peers.always("GET", RS, served(b"z" * 2_000_000, still=1_500_000))
        self.desk.accept(b"z" * 2_000_000)
        self.desk.accept(b"z" * 2_000_000, name="m2")
        self.desk.start()
        self.assertEqual(self.desk.result(self.operations.done(self.desk.job(2))), 1_500_000)
