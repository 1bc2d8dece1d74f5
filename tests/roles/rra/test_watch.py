"""Deadlines looked after: what is at risk is said and asked for, and nothing ends without an attempt."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Conflict, NoSpace, TooMany, Unavailable
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Change, State
from rrsd.core.values.operations import Kind, Ruling
from rrsd.roles.rra import renewals
from rrsd.roles.rra.endings import GRACE, MOST, Endings
from rrsd.roles.rra.renewals import MOST_GROUPS, OF_ONE, PATH, RUNNERS, Group
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.runtime.timers import Timers
from tests.roles.rra.peers import OTHER, STS, Told, said
from tests.roles.rra.samples import NOW, RS, job
from tests.roles.rra.scheduling import ARRIVED, DOWN, SchedulerCase, files

DAY, HOUR, MINUTE = 86400, 3600, 60
MIB = 1 << 20


class WatchCase(SchedulerCase):
    """An agent whose sender's end is what limits it."""

    def setUp(self) -> None:
        """The sender gives ten days where our own lifetime is seven, unless a test says otherwise."""
        super().setUp()
        self.skew = 0.0
        self.desk.timers = Timers(self.desk.clock, lambda: self.desk.clock.seconds() + self.skew)
        self.desk.assemble()

    def after(self, seconds: float) -> Instant:
        """So long after the beginning."""
        return NOW + timedelta(seconds=seconds)

    def short(self, *contents: bytes, hours: float = 10, **more: Any) -> list[int]:
        """Pulls that the sender lets be fetched for so many hours."""
        return self.desk.accept(
            *contents, not_after=self.after(hours * HOUR), deadline=self.after(hours * HOUR * 0.9), **more
        )

    def renewed(self, hours: float) -> None:
        """The resource server gives that much from the beginning, for whatever is asked."""

        def give(call: Call) -> Told | None:
            if call.target != PATH:
                return None
            asked = json.loads(call.body)["grants"]
            until = int(self.after(hours * HOUR).timestamp())
            return Answer(200, {}, json.dumps({"renewed": [{**each, "not_after": until} for each in asked]}).encode())

        self.peers.rule("POST", RS, give)

    def asked(self) -> list[Mapping[str, Any]]:
        """The renewals that were asked for."""
        return [json.loads(call.body) for call in self.peers.to("POST", RS) if call.target == PATH]


class Risks(WatchCase):
    """What is at risk, and more time for it."""

    def test_at_risk_is_said_once_with_its_reason(self) -> None:
        """In the last quarter, with something in the way: history, trail, and when it was first seen."""
        self.peers.always("GET", RS, said(403))
        (number,) = self.short(b"x", hours=100)
        self.desk.start()
        self.desk.advance(66 * HOUR, 300)
        self.assertIsNone(self.desk.job(number).at_risk)
        self.desk.advance(10 * HOUR, 300)
        found = self.desk.job(number)
        self.assertEqual(found.state, State.NEEDS_AUTH)
        assert found.at_risk is not None
        self.assertLess(abs(found.at_risk - self.after(67.5 * HOUR)), timedelta(minutes=2))
        (event,) = self.desk.trail.of("at_risk")
        self.assertIn("does not let this recipient have it", event.evidence)
        self.assertEqual(self.desk.events(number).count("at_risk"), 1)
        self.assertEqual(self.asked(), [], "who is not let in gets no more time either")

    def test_a_slow_sender_is_asked_for_more_time(self) -> None:
        """A transfer that will not be done tells its own rate; the answer moves the end, and the transfer goes on."""
        self.peers.rule("GET", RS, self.gate)
        (number,) = self.short(b"x" * 20_000, hours=2)
        self.renewed(100)
        self.desk.start()
        self.desk.advance(HOUR, 5)
        found = self.desk.job(number)
        self.assertIsNone(found.at_risk, "an extension ends the risk")
        self.assertEqual(found.not_after, self.after(100 * HOUR))
        self.assertEqual(found.deadline, self.after(90 * HOUR))
        (asked,) = self.asked()
        self.assertEqual([each["resource"] for each in asked["grants"]], [found.digest.ni])
        self.assertGreaterEqual(asked["until"], (self.after(7 * DAY / 0.9)).timestamp())
        self.assertEqual(self.desk.events(number)[-2:], ["at_risk", "extended"])
        self.desk.advance(3 * HOUR, 30)
        self.gate.all()
        self.desk.advance(1)
        self.assertIn(self.desk.state(number), ARRIVED)
        (line,) = self.desk.trail.of("extend")
        self.assertEqual((line.outcome, line.resource), ("granted", "1 of 1 pulls"))

    def test_more_time_counts_although_the_attempt_began_before(self) -> None:
        """An attempt that fails after the old deadline does not end what has a new one."""
        self.peers.rule("GET", RS, self.gate)
        (number,) = self.short(b"x" * 20_000, hours=2)
        self.renewed(100)
        self.desk.start()
        self.desk.advance(3 * HOUR, 15)
        self.gate.waiting.pop(0)[1].callback(DOWN)
        self.desk.advance(1)
        self.assertEqual(self.desk.state(number), State.DEFERRED)

    def test_never_beyond_our_own_lifetime(self) -> None:
        """However much the sender gives."""
        self.peers.rule("GET", RS, self.gate)
        (number,) = self.short(b"x" * 20_000, hours=2)
        self.renewed(10_000)
        self.desk.start()
        self.desk.advance(HOUR, 5)
        self.assertEqual(self.desk.job(number).deadline, self.after(7 * DAY))

    def test_refused_and_absurd_answers_change_nothing(self) -> None:
        """And the resource server is asked seldom."""
        other = {"message_id": "9@foo.test", "resource": digest_of(b"?").ni, "not_after": 1 << 32}
        answers = [
            Answer(403, {}), Answer(401, {}), Answer(500, {}), Answer(200, {}, b"[]"), Answer(200, {}, b"{}"),
            Answer(200, {}, json.dumps({"renewed": [other]}).encode()), Unavailable("connect: refused"),
            Answer(200, {}, b'{"renewed":[]}'), Answer(204, {}),
        ]  # fmt: skip
        for answer in answers:
            with self.subTest(answer=answer):
                self.setUp()
                self.peers.rule("GET", RS, self.gate)
                self.peers.rule("POST", RS, lambda call, told=answer: told if call.target == PATH else None)  # type: ignore[misc]
                (number,) = self.short(b"x" * 20_000, hours=2)
                before = self.desk.job(number)
                self.desk.start()
                self.desk.advance(1.2 * HOUR, 15)
                found = self.desk.job(number)
                self.assertEqual((found.deadline, found.not_after), (before.deadline, before.not_after))
                self.assertIsNotNone(found.at_risk)
                self.assertLessEqual(len(self.asked()), 2)
                self.assertEqual({each.outcome for each in self.desk.trail.of("extend")}, {"failed"})
                self.desk.close()

    def test_what_would_not_help_is_not_asked_for(self) -> None:
        """No end of the sender's, our own lifetime that is over, a server that is left alone."""
        plain = job(state=State.READY, at_risk=NOW, not_after=self.after(5 * HOUR), deadline=self.after(4 * HOUR))
        for other in (
            evolve(plain, not_after=None),
            evolve(plain, deadline=self.after(7 * DAY)),
            evolve(plain, state=State.NEEDS_AUTH),
        ):
            self.desk.renewals.want([other])
        for _ in range(6):
            self.desk.health.charge(RS, Result(Outcome.UNREACHABLE, "down"), NOW, 1)
        self.desk.renewals.want([plain])
        self.assertFalse(self.desk.renewals._waiting)

    def test_r6_renewals_are_bounded(self) -> None:
        """So many groups wait, so many are asked at once, and a hundred grants go into one request."""
        plain = job(state=State.READY, at_risk=NOW, not_after=self.after(5 * HOUR), deadline=self.after(4 * HOUR))
        crowd = [
            evolve(plain, job=number, granted=evolve(plain.recipient, local=f"u{number}"))
            for number in range(MOST_GROUPS + 5)
        ]
        self.desk.renewals.want(crowd)
        self.desk.renewals.want([evolve(crowd[0], job=5000 + number) for number in range(200)])
        self.assertEqual(len(self.desk.renewals._waiting), MOST_GROUPS)
        self.assertEqual(max(map(len, self.desk.renewals._waiting.values())), 100)
        silence: list[Deferred[Told]] = []

        def wait(call: Call) -> Deferred[Told]:
            silence.append(Deferred())
            return silence[-1]

        self.peers.rule("POST", RS, wait)
        self.desk.start()
        self.desk.advance(60, 1)
        self.assertEqual(len(silence), OF_ONE)
        self.patch(renewals, "OF_ONE", 100)
        self.desk.renewals.bell.ring()
        self.desk.advance(1)
        self.assertEqual(len(silence), RUNNERS)

    def test_r6_a_silent_server_with_many_recipients_keeps_no_other_waiting(self) -> None:
        """Two of it are asked at a time; when the first is given up, so are all that wait there."""
        plain = job(state=State.READY, at_risk=NOW, not_after=self.after(5 * HOUR), deadline=self.after(4 * HOUR))
        crowd = [evolve(plain, job=n, granted=evolve(plain.recipient, local=f"u{n}")) for n in range(50)]
        silence: list[Deferred[Told]] = []

        def wait(call: Call) -> Deferred[Told]:
            silence.append(Deferred())
            return silence[-1]

        self.peers.rule("POST", RS, wait)
        self.desk.start()
        self.desk.renewals.want([*crowd, evolve(plain, job=90, origin=OTHER)])
        self.desk.advance(1)
        self.assertEqual([len(self.peers.to("POST", each)) for each in (RS, OTHER)], [OF_ONE, 1])
        for each in list(silence):
            each.callback(Unavailable("no answer in time"))
        self.desk.advance(1)
        self.assertEqual((len(silence), self.desk.renewals._waiting), (OF_ONE, {}))

    def test_r6_one_user_whom_our_token_service_refuses_keeps_no_other_waiting(self) -> None:
        """The resource server has refused nothing: it is asked in the name of the others."""
        plain = job(state=State.READY, at_risk=NOW, not_after=self.after(5 * HOUR), deadline=self.after(4 * HOUR))
        self.peers.rule("POST", STS, lambda _: said(400))
        self.desk.start()
        other = evolve(plain, granted=evolve(plain.recipient, local="u1"))
        for one, asked in ((plain, 1), (plain, 1), (other, 2)):
            self.desk.renewals.want([one])
            self.desk.advance(1)
            self.assertEqual(len(self.desk.trail.of("extend")), asked)

    def test_what_changes_meanwhile(self) -> None:
        """A job that is over when the answer comes stays over; one that moved all the time keeps its end."""
        self.peers.rule("GET", RS, self.gate)
        (number,) = self.short(b"x" * 64, hours=2)
        self.renewed(100)
        self.desk.queue.trouble["change"] = Conflict("moved")
        found = self.desk.job(number)
        self.assertFalse(self.desk.result(self.desk.renewals._extend(found, self.after(100 * HOUR))))
        self.desk.queue.trouble.clear()
        self.assertFalse(self.desk.result(self.desk.renewals._extend(found, None)))
        self.assertTrue(self.desk.result(self.desk.renewals._extend(found, self.after(100 * HOUR))))
        self.desk.result(self.desk.operations.act("cancel", number))
        self.assertFalse(self.desk.result(self.desk.renewals._extend(found, self.after(150 * HOUR))))

    def test_time_that_cannot_be_written_down_is_said_not_to_be_given(self) -> None:
        """A disk that is full when the answer comes ends no loop, and the line is there."""
        self.peers.rule("GET", RS, self.gate)
        (number,) = self.short(b"x" * 64, hours=2)
        self.renewed(100)
        self.desk.queue.trouble["change"] = NoSpace("full")
        found = self.desk.job(number)
        self.desk.result(self.desk.renewals.ask(Group(found.origin, found.sender, found.subject), [found]))
        (line,) = self.desk.trail.of("extend")
        self.assertEqual((line.outcome, line.resource), ("failed", "0 of 1 pulls"))

    def test_what_became_another_meanwhile_is_looked_at_again(self) -> None:
        """One that moves while it is looked at keeps no other from being known."""
        self.peers.always("GET", RS, said(403))
        first, second = self.short(*files(2), hours=10)
        self.desk.start()
        self.desk.advance(6 * HOUR, 60)
        waits = self.desk.job(first)
        moved = Change(evolve(waits, at_risk=self.desk.timers.now()), "at_risk", NOW, State.NEW, "moved")
        still = Change(evolve(self.desk.job(second), at_risk=NOW), "at_risk", NOW, State.NEEDS_AUTH, "still")
        self.desk.result(self.desk.watch._write([moved, still]))
        self.assertEqual(self.desk.job(first).at_risk, None)
        self.assertEqual(self.desk.job(second).at_risk, NOW)
        self.desk.advance(1.5 * HOUR, 60)
        self.assertIsNotNone(self.desk.job(first).at_risk)

    def test_a_full_disk_stops_no_watch(self) -> None:
        """What could not be written is seen at the next look."""
        self.peers.always("GET", RS, said(403))
        (number,) = self.short(b"x", hours=10)
        self.desk.start()
        self.desk.advance(6 * HOUR, 60)
        self.desk.queue.trouble["change"] = NoSpace("full")
        self.desk.advance(HOUR, 60)
        self.assertIsNone(self.desk.job(number).at_risk)
        self.desk.queue.trouble.clear()
        self.desk.trail.refusal = Unavailable("full")
        self.desk.advance(HOUR, 60)
        self.assertIsNotNone(self.desk.job(number).at_risk)


class Ends(WatchCase):
    """EXPIRED only after an attempt at the deadline, and only so many attempts."""

    def test_r5_a_thousand_that_end_together_are_one_attempt(self) -> None:
        """A dead destination: each ends with the evidence of the attempt that was made for all."""
        self.peers.always("GET", RS, DOWN)
        numbers = [each for batch in range(10) for each in self.short(*files(100, batch * 100), name=f"m{batch}")]
        self.desk.start()
        self.desk.advance(8.9 * HOUR, 30)
        self.assertNotIn(State.EXPIRED, self.desk.states())
        before = len(self.peers.to("GET", RS))
        self.desk.advance(1.1 * HOUR, 30)
        self.assertLessEqual(len(self.peers.to("GET", RS)) - before, 6)
        self.assertEqual(set(self.desk.states()), {State.EXPIRED})
        last = self.desk.job(numbers[-1])
        self.assertEqual(last.blame, Blame.DESTINATION)
        self.assertIn("connect: refused", last.evidence)
        self.assertLessEqual(len(self.desk.trail.of("expire")), 5)

    def test_the_last_attempt_succeeds(self) -> None:
        """A destination that was left alone for a day is asked at the deadline all the same."""
        self.peers.always("GET", RS, TooMany("later", retry_after=DAY))
        (number,) = self.desk.accept(b"x", deadline=self.after(5 * HOUR))
        self.desk.start()
        self.desk.advance(4.9 * HOUR, 30)
        self.assertEqual(len(self.peers.to("GET", RS)), 1)
        self.peers.rules.clear()
        self.desk.advance(0.3 * HOUR, 30)
        self.assertIn(self.desk.state(number), ARRIVED)

    def test_who_asks_us_to_come_back_in_time_is_obeyed(self) -> None:
        """The margin before the sender's end is there for that."""
        self.peers.always("GET", RS, TooMany("later", retry_after=20 * MINUTE))
        (number,) = self.short(b"x", hours=10)
        self.desk.start()
        self.desk.advance(9.5 * HOUR, 30)
        self.assertEqual(self.desk.state(number), State.DEFERRED)
        self.desk.advance(2 * HOUR, 30)
        self.assertEqual(self.desk.state(number), State.EXPIRED)

    def test_r10_after_a_forward_jump_nothing_ends_without_an_attempt(self) -> None:
        """Nor in the hour after it: the clock may come back, as here."""
        self.peers.always("GET", RS, DOWN)
        numbers = self.desk.accept(*files(20))
        self.desk.start()
        self.desk.advance(2 * HOUR, 30)
        self.skew = 30.0 * DAY
        self.desk.advance(0.9 * HOUR, 30)
        self.assertNotIn(State.EXPIRED, self.desk.states())
        self.skew = 0.0
        self.desk.advance(2 * HOUR, 30)
        self.assertNotIn(State.EXPIRED, self.desk.states())
        self.peers.rules.clear()
        self.desk.crash()
        self.desk.timers = Timers(self.desk.clock)
        self.desk.assemble()
        self.desk.start()
        self.desk.advance(HOUR, 30)
        self.assertTrue(all(self.desk.state(each) in ARRIVED for each in numbers), self.desk.states())

    def test_r10_a_clock_that_stays_ahead(self) -> None:
        """What can be had is had although its time is over, and what cannot ends after the hour."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(5))
        self.desk.start()
        self.desk.advance(2 * HOUR, 30)
        self.skew = 30.0 * DAY
        self.desk.advance(3 * HOUR, 30)
        self.assertEqual(set(self.desk.states()), {State.EXPIRED})

    def test_r10_what_a_clock_put_off_that_was_a_day_ahead(self) -> None:
        """After it was put right, and the daemon started again, nobody waits for tomorrow: not what was accepted then,
        not what was deferred then, and not whoever the token service kept waiting."""
        for method, origin in (("POST", STS), ("GET", RS)):
            with self.subTest(method):
                self.setUp()
                self.skew = 0.9 * DAY
                self.peers.always(method, origin, DOWN)
                numbers = self.desk.accept(b"before")
                self.desk.start()
                self.desk.advance(HOUR, 30)
                self.desk.crash()
                numbers += self.ahead(b"new")
                (over,) = self.short(b"over", hours=1, name="m3")
                self.desk.result(self.desk.queue.watched([(over, self.after(2 * DAY))]))
                self.peers.rules.clear()
                self.skew = 0.0
                self.desk.timers = Timers(self.desk.clock, lambda: self.desk.clock.seconds() + self.skew)
                self.desk.assemble()
                self.desk.start()
                self.desk.advance(1200, 5)
                self.assertTrue(all(self.desk.state(each) in ARRIVED for each in (*numbers, over)), self.desk.states())
                self.assertEqual(self.desk.result(self.desk.queue.watch(self.desk.timers.now(), 9)), [])

    def ahead(self, content: bytes) -> list[int]:
        """A pull that was accepted by the wrong clock."""
        then = self.desk.timers.now()
        return self.desk.accept(content, name="m2", accepted=then, due=then)

    def test_r10_after_a_stop_of_three_weeks(self) -> None:
        """The network is not there yet when the daemon starts, and what waits is fetched as soon as it is."""
        numbers = self.desk.accept(*files(10))
        self.desk.clock.advance(21 * DAY)
        self.desk.assemble()
        self.peers.always("GET", RS, DOWN)
        self.desk.start()
        self.desk.advance(0.5 * HOUR, 15)
        self.assertNotIn(State.EXPIRED, self.desk.states())
        self.peers.rules.clear()
        self.desk.advance(0.4 * HOUR, 15)
        self.assertTrue(all(self.desk.state(each) in ARRIVED for each in numbers), self.desk.states())

    def test_a_dead_token_service_ends_nothing(self) -> None:
        """Our own trouble burns nobody's time."""
        self.peers.rules.insert(0, lambda call: DOWN if "id." in str(call.peer.origin) else None)
        (number,) = self.short(b"x", hours=2)
        self.desk.start()
        self.desk.advance(5 * HOUR, 30)
        self.assertEqual(self.desk.state(number), State.READY)
        self.assertIn("token service", self.desk.trail.of("at_risk")[0].evidence)
        self.peers.rules.clear()
        self.desk.advance(0.2 * HOUR, 15)
        self.assertIn(self.desk.state(number), ARRIVED)

    def test_held_jobs_do_not_age(self) -> None:
        """What is held is not looked at, and has its time again when it is released."""
        (number,) = self.desk.accept(b"x")
        self.desk.result(self.desk.operations.act("hold", number))
        self.desk.start()
        self.desk.advance(20 * DAY, 600)
        self.assertEqual(self.desk.state(number), State.HELD)
        self.desk.result(self.desk.operations.act("release", number))
        self.desk.advance(30)
        self.assertIn(self.desk.state(number), ARRIVED)

    def test_a_paused_destination_is_not_asked_behind_an_operators_back(self) -> None:
        """Its pulls are at risk, with the truth as their reason, and do not end while nobody may try."""
        (number,) = self.short(b"x", hours=10)
        self.desk.peers.always("GET", RS, DOWN)
        self.desk.start()
        self.desk.health.rulings.put(Ruling(Kind.PAUSE, str(RS), NOW, "operator"))
        asked = len(self.peers.to("GET", RS))
        self.desk.advance(12 * HOUR, 60)
        self.assertNotIn(self.desk.state(number), (*ARRIVED, State.EXPIRED))
        self.assertEqual(len(self.peers.to("GET", RS)), asked)
        self.assertIn("operator", self.desk.trail.of("at_risk")[0].evidence)

    def test_damaged_rows_keep_nobody_waiting(self) -> None:
        """A row that cannot be read is left alone for a day, those behind it are looked at."""
        self.peers.always("GET", RS, said(403))
        first, second = self.short(*files(2), hours=10)
        self.desk.start()
        self.desk.advance(10)
        spoil = f"UPDATE jobs SET priority = 9 WHERE job = {first}"
        self.desk.result(self.desk.store._engine.write(lambda connection: connection.execute(spoil).rowcount))
        self.desk.advance(8 * HOUR, 60)
        self.assertIsNotNone(self.desk.job(second).at_risk)


class Verdicts(SchedulerCase):
    """Whose failure decides for whom."""

    def setUp(self) -> None:
        """An hour has passed since the start."""
        super().setUp()
        self.endings = Endings(self.desk.timers)
        self.desk.clock.advance(GRACE.total_seconds())
        self.over = job(state=State.DEFERRED, deadline=self.desk.timers.now())
        self.desk.clock.advance(10)

    def hear(self, outcome: Outcome, took: float = 5, reached: bool = False) -> str:
        """An attempt ends; what that says about a job that is over."""
        self.endings.heard(RS, Result(outcome, "evidence", reached=reached), took)
        return self.endings.verdict(self.over)

    def test_one_that_cannot_be_reached_decides_for_all(self) -> None:
        """If it began when their time was over."""
        self.assertEqual(self.endings.verdict(self.over), "")
        self.assertEqual(self.hear(Outcome.UNREACHABLE, took=11), "")
        self.assertIn("evidence", self.hear(Outcome.UNREACHABLE))

    def test_three_that_break_off_do(self) -> None:
        """In a row: an answer in between begins anew, and what is others' fault says nothing."""
        self.assertEqual([bool(self.hear(Outcome.BROKEN)) for _ in range(2)], [False, False])
        self.hear(Outcome.NOT_PERMITTED, reached=True)
        self.assertEqual([bool(self.hear(Outcome.BROKEN)) for _ in range(2)], [False, False])
        self.hear(Outcome.ISSUER_DOWN)
        self.assertTrue(self.hear(Outcome.BROKEN))

    def test_r6_memory_is_bounded(self) -> None:
        """So many destinations are remembered; the longest unheard of is forgotten."""
        for number in range(MOST + 1):
            self.endings.heard(evolve(RS, port=number + 1), Result(Outcome.UNREACHABLE, "x"), 0)
        self.assertEqual(self.endings.verdict(evolve(self.over, origin=evolve(RS, port=1))), "")
        self.assertNotEqual(self.endings.verdict(evolve(self.over, origin=evolve(RS, port=2))), "")

    def test_out_of_turn_is_rare(self) -> None:
        """And not when a probe is near."""
        now = self.desk.timers.now()
        self.assertFalse(self.endings.may_ask(RS, None, now))
        self.assertFalse(self.endings.may_ask(RS, now + timedelta(minutes=10), now))
        self.assertTrue(self.endings.may_ask(RS, now + timedelta(days=1), now))
        self.assertFalse(self.endings.may_ask(RS, now + timedelta(days=1), now))
        self.desk.clock.advance(40 * MINUTE)
        self.assertTrue(self.endings.may_ask(RS, now + timedelta(days=1), now))
