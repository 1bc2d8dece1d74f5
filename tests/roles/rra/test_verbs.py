"""One table of verbs: the command line, the routes and the trail agree with it; each verb in depth."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import click
from attrs import evolve

from rrsd.cli.pulls.verb import pulls
from rrsd.core.refusals import Conflict, Unavailable
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Priority, State
from rrsd.core.values.messages import Arrival
from rrsd.roles.rra import rules
from rrsd.roles.rra.verbs import OF_A_JOB, VERBS, Verb, as_table
from tests.roles.rra.mailboxes import RAW
from tests.roles.rra.operators import Case
from tests.roles.rra.peers import served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, Gate, files

NEEDED: dict[str, dict[str, Any]] = {
    "extend": {"for": 30 * 86400},
    "set-priority": {"priority": "bulk"},
    "limit": {"most": 2},
}


class Table(Case):
    """REST, command line and trail."""

    def reach(self, verb: Verb) -> None:
        """A request to the route of the row."""
        if verb.name == "verify-progress":
            self.desk.stock.verify()
        states = {"release": State.HELD, "requeue-fresh": State.FAILED, "quarantine-release": State.QUARANTINED}
        (job,) = self.desk.accept(verb.name.encode(), name=verb.name)
        self.desk.rewrite(job, state=states.get(verb.name, State.DEFERRED))
        if verb.name == "import":
            line = {"recipient": "bob@bar.test", "raw": b64encode(RAW).decode(), "pulls": []}
            self.call("POST", verb.path, line)
            return
        body = None if verb.method == "GET" else {"name": str(RS), **NEEDED.get(verb.name, {})}
        status = 202 if verb.name == "verify-store" else 200
        self.call(verb.method, verb.path.replace("<n>", str(job)), body, status)

    def test_every_row_is_a_route_and_what_changes_something_leaves_its_line(self) -> None:
        """One line, whose evidence begins with the verb; what only looks leaves none."""
        for verb in VERBS:
            with self.subTest(verb=verb.name):
                before = len(self.desk.trail.of("operate"))
                self.reach(verb)
                lines = self.desk.trail.of("operate")[before:]
                lines = [line for line in lines if verb.is_audited or line.resource != "store"]
                expected = [verb.name] if verb.is_audited else []
                self.assertEqual([line.evidence.split()[0] for line in lines], expected)
                self.assertTrue(all((line.who, line.outcome) == ("operator", "granted") for line in lines))

    def test_every_row_is_a_command_and_every_command_a_row(self) -> None:
        """With help that teaches: what it does, in a sentence of its own."""
        commands = {verb.command.split()[0] for verb in VERBS}
        self.assertEqual(set(pulls.commands), commands)
        for name, command in pulls.commands.items():
            text = command.get_help(click.Context(command, info_name=name))
            self.assertGreater(len(text.splitlines()), 4, name)

    def test_every_row_is_printed_for_the_page(self) -> None:
        """One line each, between three rules and below a head."""
        lines = as_table().splitlines()
        self.assertEqual(len(lines), len(VERBS) + 4)
        for verb in VERBS:
            self.assertTrue(any(verb.command in line and f"{verb.method} {verb.path}" in line for line in lines))

    def test_every_event_is_one_of_the_life_of_a_job(self) -> None:
        """A job that ends over again is a new one."""
        events = {event for _, event in rules.TABLE}
        self.assertEqual(set(OF_A_JOB.values()) - events, {"requeued"})

    def test_bulk_verbs_are_those_of_the_table(self) -> None:
        """Others are refused for many."""
        for verb in VERBS:
            if verb.event:
                body = {"all": True, **NEEDED.get(verb.name, {})}
                self.call("POST", f"/pulls/{verb.name}", body, 200 if verb.is_bulk else 400)


class OfAJob(Case):
    """Ends, classes, and once more."""

    def test_extend_gives_at_least_so_long_from_now(self) -> None:
        """Less than there is changes nothing; the state stays."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        before = self.desk.job(1)
        self.assertEqual(self.act("extend", within=timedelta(days=6)), before)
        after = self.act("extend", within=timedelta(days=9))
        self.assertEqual(after, evolve(before, deadline=self.desk.timers.now() + timedelta(days=9)))
        self.assertEqual(self.desk.events(1)[-1], "extended")
        self.assertEqual(self.act("extend", within=timedelta(days=9)), after)

    def test_more_time_for_what_has_no_room_is_no_attempt(self) -> None:
        """It waits for room as before, and is looked at again at the new deadline; `explain` names no earlier time."""
        (number,) = self.desk.accept(b"x")
        deadline = self.desk.job(number).deadline
        self.desk.rewrite(number, state=State.NO_SPACE, condition="quota", due=deadline)
        self.act("extend", number, within=timedelta(days=30))
        found = self.desk.job(number)
        self.assertEqual((found.deadline > deadline, found.due), (True, found.deadline))
        said = self.desk.result(self.operations.explain(number))
        self.assertEqual((said.waits_for, said.next), (("quota",), None))

    def test_an_attempt_that_ran_took_the_extension_back(self) -> None:
        """Said while it is pulled, it holds when the attempt ends badly, and after a crash."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(b"one")
        self.desk.start()
        self.assertEqual(self.act("extend", within=timedelta(days=20)).state, State.LEASED)
        self.act("set-priority", priority=Priority.BULK)
        end = self.desk.timers.now() + timedelta(days=20)
        self.assertEqual(self.desk.job(1).deadline, end)
        gate.waiting[0][1].errback(Unavailable("reset"))
        self.desk.advance(0.1)
        found = self.desk.job(1)
        self.assertEqual((found.state, found.deadline, found.priority), (State.DEFERRED, end, Priority.BULK))
        self.assertEqual(self.desk.scheduler.settling._amended, {})

    def test_more_time_for_what_is_pulled_gave_up_its_room(self) -> None:
        """What is set apart for an attempt is so until the job is leased no more."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(b"z" * 2_000_000)
        self.desk.start()
        self.act("extend", within=timedelta(days=20))
        self.act("set-priority", priority=Priority.BULK)
        self.assertEqual(self.desk.result(self.operations.counts()).reserved, 2_000_000)
        self.act("hold")
        self.desk.advance(60)
        self.assertEqual(self.desk.result(self.operations.counts()).reserved, 0)

    def test_an_extension_that_came_too_late_for_the_attempt(self) -> None:
        """The lease has ended between look and change: it is said again of what the job is now."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        self.desk.rewrite(1, state=State.LEASED)
        self.desk.queue.trouble["change"] = Conflict("state")
        with self.assertRaises(Conflict):
            self.act("extend", within=timedelta(days=20))
        self.assertEqual(self.desk.scheduler.settling._amended, {})

    def test_less_time_than_there_is_was_called_extended(self) -> None:
        """What finds its work done says so, as every verb does, and leaves its line all the same."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        said = [self.call("POST", "/pulls/1/extend", {"for": days * 86400})["changed"] for days in (3, 30)]
        said += [self.call("POST", "/pulls/1/hold")["changed"] for _ in range(2)]
        self.assertEqual(said, [False, True, True, False])
        self.assertEqual(
            [line.evidence for line in self.desk.trail.of("operate")],
            ["extend 259200 s (nothing to do)", "extend 2592000 s", "hold", "hold (nothing to do)"],
        )

    def test_who_was_refused_was_not_in_the_trail(self) -> None:
        """A refused order names who gave it, as one that is granted does."""
        self.desk.accept(b"one")
        self.call("POST", "/pulls/1/requeue-fresh", None, 409)
        self.call("POST", "/pulls/hold", {"all": True, "token": "x"}, 409)
        self.call("POST", "/destinations/pause", {"name": "nowhere"}, 400)
        self.call("POST", "/queue/drain", {"reason": "x" * 501}, 400)
        lines = [(line.outcome, line.who) for line in self.desk.trail.of("operate")]
        self.assertEqual(lines, [("refused", "operator")] * 4)

    def test_what_a_verb_needs(self) -> None:
        """Without it, or with nonsense, 400 with what it needs; nothing is written down as done."""
        self.desk.accept(b"one")
        for verb, body in (
            ("extend", None), ("extend", {"for": 0}), ("extend", {"for": -1}), ("extend", {"for": "3d"}),
            ("extend", {"for": 1 << 52}), ("extend", {"for": True}), ("set-priority", {}),
            ("set-priority", {"priority": "first"}),
        ):  # fmt: skip
            self.call("POST", f"/pulls/1/{verb}", body, 400)
        self.assertEqual([line.outcome for line in self.desk.trail.of("operate")], ["refused"] * 8)

    def test_expire_now(self) -> None:
        """As any other that expired; one that runs is cut first."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(2))
        self.desk.rewrite(2, state=State.HELD, due=None)
        self.desk.start()
        self.assertEqual((self.act("expire-now", 1).state, self.act("expire-now", 2).state), ("expired", "expired"))

    def test_requeue_fresh_makes_a_new_job_that_the_message_shows(self) -> None:
        """The old one stays as it ended; said again it is the same new one; when that has ended too, another."""
        (old,) = self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=30))
        self.desk.rewrite(old, state=State.EXPIRED, due=None, attempts=9, retries=4, evidence="timed out")
        ended = self.desk.job(old)
        fresh = self.act("requeue-fresh", old)
        self.assertEqual(
            (fresh.again, fresh.state, fresh.attempts, fresh.retries, fresh.evidence, fresh.due),
            (old, State.NEW, 0, 0, "", self.desk.timers.now()),
        )
        self.assertEqual(fresh.deadline, self.desk.timers.now() + timedelta(days=7))
        self.assertEqual((self.desk.job(old), self.act("requeue-fresh", old)), (ended, fresh))
        self.assertEqual(self.arrival(), Arrival.WAITING)
        self.desk.rewrite(fresh.job, state=State.FAILED, due=None)
        third = self.act("requeue-fresh", old)
        self.assertEqual(third.again, fresh.job)
        self.assertEqual(self.desk.events(old)[-1], "requeued")
        self.assertIn(f"went on as pull {fresh.job}", self.desk.result(self.operations.explain(old)).remedy)
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual((self.desk.state(third.job), self.arrival()), (State.RECEIPTED, Arrival.STORED))
        self.assertEqual(self.act("requeue-fresh", old).job, third.job)

    def arrival(self) -> Arrival:
        """What the mailbox says of the part."""
        store = self.desk.store
        message = self.desk.result(store.mailbox.message(self.desk.job(1).recipient, "m"))
        return message.parts[0].arrival

    def test_requeue_of_what_has_not_ended(self) -> None:
        """Refused with what helps; what arrived is not pulled again."""
        for state in (*rules.UNFINISHED, *rules.ARRIVED):
            (job,) = self.desk.accept(b"x", name=state)
            self.desk.rewrite(job, state=state)
            with self.assertRaises(Conflict) as caught:
                self.act("requeue-fresh", job)
            self.assertRegex(caught.exception.detail, "verify-store|retry-now")

    def test_a_job_that_names_itself_as_its_successor(self) -> None:
        """Damage leads nobody round in a circle."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, state=State.FAILED, due=None)
        self.desk.result(self.desk.store._engine.write(_circle))
        self.assertEqual(self.act("requeue-fresh").job, 2)
        self.assertEqual(self.desk.result(self.operations.explain(1)).successor, 2)

    def test_two_requeues_at_the_same_moment_make_one_job(self) -> None:
        """The second finds that the first has taken its place."""
        (old,) = self.desk.accept(b"one")
        self.desk.rewrite(old, state=State.FAILED, due=None)
        ended = self.desk.job(old)
        fresh = self.desk.result(self.operations.acts.requeue(ended))
        assert fresh is not None
        books = self.desk.store.books
        with self.assertRaises(Conflict):
            self.desk.result(books.requeue(ended, evolve(fresh, job=0), self.desk.timers.now()))
        self.desk.rewrite(fresh.job, state=State.CANCELLED)
        with self.assertRaises(Conflict):
            stale = evolve(self.desk.job(fresh.job), state=State.FAILED)
            self.desk.result(books.requeue(stale, evolve(fresh, job=0), self.desk.timers.now()))

    def test_quarantine_release_checks_the_bytes_as_ever(self) -> None:
        """Nothing wrong is ever let through: twice other bytes, and it is quarantined again."""
        self.peers.always("GET", RS, served(b"evil"))
        self.desk.accept(b"good")
        self.desk.start()
        self.desk.advance(5)
        self.assertEqual(self.desk.state(1), State.QUARANTINED)
        with self.assertRaises(Conflict) as caught:
            self.act("release")
        self.assertIn("quarantine-release", caught.exception.detail)
        fresh = self.act("quarantine-release")
        self.desk.advance(5)
        self.assertEqual(self.desk.state(fresh.job), State.QUARANTINED)
        self.assertFalse(self.desk.has(digest_of(b"evil")))
        self.peers.rules.clear()
        again = self.act("quarantine-release")
        self.desk.advance(5)
        self.assertIn(self.desk.state(again.job), ARRIVED)

    def test_quarantine_release_is_for_the_quarantined(self) -> None:
        """Others are told which verb is theirs."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, state=State.FAILED)
        with self.assertRaises(Conflict) as caught:
            self.act("quarantine-release")
        self.assertIn("requeue-fresh", caught.exception.detail)
        fresh = self.call("POST", "/pulls/1/requeue-fresh")
        again = self.call("POST", "/pulls/1/requeue-fresh")
        self.assertEqual((fresh["changed"], again["changed"], again["job"]["job"]), (True, False, fresh["job"]["job"]))

    def test_quarantine_release_of_what_went_on_as_another_said_queued_anew(self) -> None:
        """It is not the quarantined one's verb because somebody has begun that one again."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, state=State.CANCELLED, due=None)
        self.act("requeue-fresh")
        with self.assertRaises(Conflict) as caught:
            self.act("quarantine-release")
        self.assertIn("not quarantined", caught.exception.detail)


def _circle(connection: Any) -> None:
    connection.execute("UPDATE jobs SET again = job")
