"""One table of verbs: the command line, the routes and the trail agree with it; each verb in depth."""

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import click
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.pulls.verb import pulls
from rrsd.core.refusals import Conflict, Malformed, Unavailable
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Change, Priority, State
from rrsd.core.values.messages import Arrival
from rrsd.core.values.operations import Filter, Kind
from rrsd.roles.rra import rules
from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.bulk import STEP, Order
from rrsd.roles.rra.local import Operator
from rrsd.roles.rra.verbs import OF_A_JOB, VERBS, Verb, as_table
from rrsd.runtime.loops import Nursery
from tests.roles.rra.agents import Desk
from tests.roles.rra.mailboxes import RAW
from tests.roles.rra.peers import OTHER, STS, said, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, Gate, files
from tests.support.callers import Caller, Response

NEEDED: dict[str, dict[str, Any]] = {
    "extend": {"for": 30 * 86400},
    "set-priority": {"priority": "bulk"},
    "limit": {"most": 2},
}


class Case(SynchronousTestCase):
    """An agent, its operator, and the socket."""

    def setUp(self) -> None:
        """Nothing runs before `start`."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers, self.operations = self.desk.peers, self.desk.operations
        self.governing = self.operations.governing
        self.caller = Caller(
            Operator(self.operations, self.desk.acceptance, self.desk.stock, self.desk.moving, len(RAW)).routes
        )

    def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The answer's document."""
        data = b"" if body is None else json.dumps(body).encode()
        response: Response = self.caller.ask(method, path, data, Content_Type="application/json")
        self.assertEqual(response.status, status, response.body)
        return response.json()

    def act(self, verb: str, number: int = 1, **given: Any) -> Any:
        """The job after the verb."""
        return self.desk.result(self.operations.act(verb, number, given=Given(**given)))


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

    def test_an_extension_that_came_too_late_for_the_attempt(self) -> None:
        """The lease has ended between look and change: it is said again of what the job is now."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=1))
        self.desk.rewrite(1, state=State.LEASED)
        self.desk.queue.trouble["change"] = Conflict("state")
        with self.assertRaises(Conflict):
            self.act("extend", within=timedelta(days=20))
        self.assertEqual(self.desk.scheduler.settling._amended, {})

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
        self.assertEqual((self.act("expire-now", 1).state, self.act("expire-now", 2).state), ("leased", "expired"))

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


class Many(Case):
    """Bulk verbs."""

    def test_nothing_happens_before_it_is_confirmed(self) -> None:
        """A token is for the very same order, and for five minutes."""
        self.desk.accept(*files(3))
        asked = self.call("POST", "/pulls/hold", {"all": True, "state": "new"})
        self.assertEqual((asked["jobs"], asked["seconds"]), (3, 300))
        self.assertEqual(set(self.desk.states()), {State.NEW})
        confirmed = {"all": True, "state": "new", "token": asked["token"]}
        for wrong in ({**confirmed, "state": "held"}, {"all": True, "token": asked["token"]},
                      {**confirmed, "token": "x"}, {**confirmed, "age": 5}):  # fmt: skip
            self.call("POST", "/pulls/hold", wrong, 409)
        self.call("POST", "/pulls/cancel", confirmed, 409)
        self.desk.advance(301, 301)
        self.call("POST", "/pulls/hold", confirmed, 409)
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_an_age_is_counted_from_the_question(self) -> None:
        """Who was young enough then is not meant a minute later."""
        self.desk.accept(b"one", due=None)
        self.desk.advance(60, 60)
        self.desk.accept(b"two", name="m2")
        order = {"all": True, "age": 30}
        asked = self.call("POST", "/pulls/cancel", order)
        self.assertEqual(asked["jobs"], 1)
        self.desk.advance(45, 45)
        done = self.call("POST", "/pulls/cancel", {**order, "token": asked["token"]})
        self.assertEqual((done["changed"], self.desk.states()), (1, [State.CANCELLED, State.NEW]))
        self.assertIn("cancel --all", self.desk.trail.of("operate")[0].evidence)

    def test_a_long_one_goes_on_where_it_was(self) -> None:
        """Ten seconds a request; the answer says after which job."""
        self.desk.accept(*files(3))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.patch(self.operations.bulk, "acts", Slow(self.desk))
        books = Pages(self.desk.store.books)
        self.patch(self.operations.bulk, "books", books)
        first = self.desk.result(self.operations.bulk.carry_out(order, asked.token, 0))
        self.assertEqual((first.changed, first.next), (1, 1))
        rest = self.desk.result(self.operations.bulk.carry_out(order, asked.token, 1))
        self.assertEqual(rest.next, 2)

    def test_an_order_of_many_steps_outlives_its_five_minutes(self) -> None:
        """Each step confirms the next: a million pulls are not left half done."""
        self.desk.accept(*files(3))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.patch(self.operations.bulk, "acts", Slow(self.desk))
        self.patch(self.operations.bulk, "books", Pages(self.desk.store.books))
        for after in (0, 1, 2):
            self.desk.advance(200, 200)
            step = self.desk.result(self.operations.bulk.carry_out(order, asked.token, after))
            self.assertEqual(step.changed, 1)
        self.desk.advance(301, 301)
        with self.assertRaises(Conflict):
            self.desk.result(self.operations.bulk.carry_out(order, asked.token, 2))

    def test_a_trail_that_is_full_ends_the_whole_order(self) -> None:
        """Nothing is changed without its line, and whoever asked hears of it."""
        self.desk.accept(*files(60))
        order = Order("hold", Filter())
        asked = self.desk.result(self.operations.bulk.ask(order))
        self.desk.trail.refusal = Unavailable("audit trail")
        for after in (0, 1):
            with self.assertRaises(Unavailable):
                self.desk.result(self.operations.bulk.carry_out(order, asked.token, after))
        self.assertEqual(set(self.desk.states()), {State.NEW})

    def test_filters(self) -> None:
        """Everything that is given counts; a page looks at a bounded number of rows."""
        self.desk.accept(*files(2))
        self.desk.accept(b"other", name="m2", origin=OTHER)
        self.desk.rewrite(2, state=State.NO_SPACE, condition="space")
        for query, numbers in (
            ("condition=space", [2]), (f"origin={OTHER}", [3]), ("sender=foo.test", [1, 2, 3]), ("sender=x.test", []),
            ("recipient=BOB@bar.test", [1, 2, 3]), ("recipient=carol@bar.test", []), ("age=1", []), ("after=1", [2, 3]),
            ("state=no_space&condition=space", [2]),
        ):  # fmt: skip
            page = self.call("GET", f"/pulls?{query}")
            self.assertEqual([each["job"] for each in page["pulls"]], numbers, query)
        for query in ("recipient=bob", "sender=-", "age=x", "age=99999999999"):
            self.call("GET", f"/pulls?{query}", status=400)


class Slow:
    """Acts that take as long as a step may."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def act(self, *_: object) -> None:
        """One job, ten seconds."""
        self.desk.clock.advance(STEP.total_seconds())


class Pages:
    """One job a page."""

    def __init__(self, books: Any) -> None:
        self.books = books

    async def chosen(self, wanted: Filter, after: int, most: int) -> Any:
        """One at a time."""
        return await self.books.chosen(wanted, after, 1)


class Governed(Case):
    """What lasts until it is taken back."""

    def restart(self) -> None:
        """Another process on the same store."""
        self.desk.stop()
        self.desk.nursery = Nursery(lambda: "ref")
        self.desk.assemble()
        self.operations, self.governing = self.desk.operations, self.desk.operations.governing
        self.desk.start()

    def test_drained_nothing_starts_after_a_restart_either(self) -> None:
        """What runs goes on to its end; `list` and `explain` say so; undrained, everything runs."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(*files(20))
        self.desk.start()
        running = len(gate.waiting)
        self.call("POST", "/queue/drain", {"reason": "disk is replaced"})
        gate.all()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        self.restart()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        (ruling,) = self.call("GET", "/pulls")["rulings"] or [None]
        self.assertEqual(ruling["reason"], "disk is replaced")
        waiting = next(number for number in range(1, 21) if self.desk.state(number) not in ARRIVED)
        said = self.desk.result(self.operations.explain(waiting))
        self.assertEqual((said.waits_for[0], said.next), ("drained", None))
        self.peers.rules.clear()
        self.desk.result(self.governing.undrain())
        self.desk.advance(5)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))
        self.restart()
        self.assertEqual(self.governing.rulings, ())

    def test_a_paused_destination_rests_and_others_go_on(self) -> None:
        """After a restart too; nothing of it expires; resumed, it is asked at once."""
        self.call("POST", "/destinations/pause", {"name": str(RS), "reason": "asked for"})
        self.desk.accept(*files(3))
        self.desk.accept(b"other", name="m2", origin=OTHER)
        self.desk.start()
        self.desk.advance(5)
        self.assertEqual([state in ARRIVED for state in self.desk.states()], [False] * 3 + [True])
        self.restart()
        self.desk.advance(8 * 86400, 1800)
        self.assertEqual(set(self.desk.states()[:3]), {State.NEW})
        self.assertEqual(self.peers.to("GET", RS), [])
        said = self.desk.result(self.operations.explain(1))
        self.assertIn("asked for", said.sentence)
        self.desk.result(self.governing.resume(RS))
        self.desk.advance(5)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_pause_while_it_runs(self) -> None:
        """What is leased ahead goes back; no probe either."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.desk.accept(*files(20))
        self.desk.start()
        running = len(gate.waiting)
        self.desk.result(self.governing.pause(RS))
        gate.all()
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)
        self.assertNotIn(State.LEASED, self.desk.states())
        self.act("retry-now", 20)
        self.desk.advance(5)
        self.assertEqual(sum(state in ARRIVED for state in self.desk.states()), running)

    def test_a_limit_is_kept(self) -> None:
        """Also where the destination would bear more; 0 lifts it; nonsense is refused."""
        self.peers.rule("GET", RS, gate := Gate(self.desk))
        self.call("POST", "/destinations/limit", {"name": str(RS), "most": 2})
        self.desk.accept(*files(20))
        self.desk.start()
        for _ in range(8):
            gate.let_go()
            self.desk.advance(0.1)
        self.assertEqual(gate.most, 2)
        self.call("POST", "/destinations/limit", {"name": str(RS), "most": 0})
        self.desk.advance(0.1)
        gate.all()
        self.assertGreater(gate.most, 2)
        for wrong in (-1, "2", 10_001, None):
            body = {"name": str(RS), "most": wrong}
            self.call("POST", "/destinations/limit", body, 200 if wrong is None else 400)
        self.call("POST", "/destinations/pause", {"name": "rs.foo.test"}, 400)
        self.call("POST", "/destinations/pause", {"name": str(RS), "reason": "x" * 501}, 400)
        self.call("POST", "/destinations/explode", {"name": str(RS)}, 400)
        with self.assertRaises(Malformed):
            self.desk.result(self.governing.limit(RS, -1))

    def test_said_twice_it_is_one_ruling(self) -> None:
        """The newest reason counts; taking back what is not there is no error."""
        for reason in ("one", "two  lines\n"):
            self.desk.result(self.governing.pause(RS, reason))
        (ruling,) = self.governing.rulings
        self.assertEqual((ruling.kind, ruling.reason), (Kind.PAUSE, "two lines"))
        self.desk.result(self.governing.drain("secret"))
        drained, paused = self.governing.notes()
        self.assertRegex(drained, r"^drained since [-0-9: ]+ UTC: no pull starts$")
        self.assertEqual(paused, "1 resource servers are paused")
        self.desk.result(self.governing.undrain())
        self.desk.result(self.governing.resume(RS))
        self.desk.result(self.governing.resume(RS))
        self.assertEqual(self.governing.rulings, ())

    def test_a_ruling_that_is_damaged_keeps_no_daemon_from_starting(self) -> None:
        """It is left out."""
        self.desk.result(self.desk.store._engine.write(_plant))
        self.desk.start()
        self.assertEqual(self.governing.rulings, ())

    def test_a_flood_of_retries_probes_once_in_ten_seconds(self) -> None:
        """Flushing a queue into a server that is down makes it worse: a hundred times asked, once done."""
        self.peers.always("GET", RS, Unavailable("connect"))
        self.desk.accept(*files(50))
        self.desk.start()
        self.desk.advance(2)
        before = len(self.peers.to("GET", RS))
        for _ in range(100):
            said = self.call("POST", "/destinations/retry", {"name": str(RS)})
            self.desk.advance(0.05)
        self.assertLessEqual(len(self.peers.to("GET", RS)) - before, 1)
        self.assertEqual(said, {"woken": 0, "wait": 6})  # five seconds after the first

    def test_the_issuer_is_asked_at_once(self) -> None:
        """Where it failed; and not again within ten seconds."""
        self.peers.always("POST", STS, Unavailable("connect"))
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.advance(60)
        before = len(self.peers.to("POST", STS))
        said = self.desk.result(self.operations.explain(1))
        self.assertIn("issuer", said.waits_for)
        self.assertTrue(self.call("POST", "/destinations/retry-issuer")["asked"])
        self.desk.advance(0.5)
        self.assertFalse(self.call("POST", "/destinations/retry-issuer")["asked"])
        self.assertLessEqual(len(self.peers.to("POST", STS)) - before, 2)
        self.peers.rules.clear()
        self.desk.advance(301, 1)
        self.assertFalse(self.call("POST", "/destinations/retry-issuer")["asked"])


def _circle(connection: Any) -> None:
    connection.execute("UPDATE jobs SET again = job")


def _plant(connection: Any) -> None:
    connection.execute("INSERT INTO rulings VALUES ('explode', '', 1.0, '', '', 0)")


class Looking(Case):
    """What surrounds a job."""

    def test_whichever_share_is_used_up_is_named(self) -> None:
        """The house, the destination, the recipient."""
        self.peers.rule("GET", RS, Gate(self.desk))
        self.desk.accept(*files(50))
        self.desk.start()
        said = self.desk.result(self.operations.explain(50))
        self.assertEqual(said.waits_for, ("slot",))
        self.assertIn("all the transfers", said.sentence)
        sentences = {number: self.desk.result(self.operations.explain(number)).sentence for number in range(1, 51)}
        pulled = [number for number, sentence in sentences.items() if "is being pulled" in sentence]
        self.assertEqual(pulled, [each.lease.job.job for each in self.desk.scheduler.puller.transfers.all()])
        self.assertIn("one of the next", sentences[pulled[-1] + 1])
        self.patch(self.desk.scheduler.house, "active", 4)
        self.assertIn("All slots", self.desk.result(self.operations.explain(50)).sentence)
        self.patch(self.desk.scheduler.house, "active", 400)
        self.patch(self.desk.scheduler.house, "per_recipient", 1)
        self.desk.accept(b"other", name="m2", origin=OTHER, due=self.desk.timers.now())
        self.assertIn("one recipient", self.desk.result(self.operations.explain(51)).sentence)

    def test_what_could_not_be_stored_holds_everything_back(self) -> None:
        """This host is named, and until when."""
        self.desk.accept(b"one")
        self.desk.health.pause()
        said = self.desk.result(self.operations.explain(1))
        self.assertEqual((said.waits_for, said.blame), (("host", "slot"), "this host"))
        self.desk.advance(31)
        self.assertNotIn("host", self.desk.result(self.operations.explain(1)).waits_for)

    def test_after_the_clock_was_set_back_the_token_service_is_not_said_to_keep_anybody_waiting(self) -> None:
        """A breaker that would be closed for a day keeps nobody back, and `explain` says no other than is done."""
        self.peers.always("POST", STS, said(503))
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.advance(1)
        self.assertIn("issuer", self.desk.result(self.operations.explain(1)).waits_for)
        health = self.desk.health
        health._issuer = evolve(health._issuer, not_before=self.desk.timers.now() + timedelta(days=1))
        self.assertIsNone(health.held_back(self.desk.timers.now()))
        self.assertNotIn("token service of our own domain does not answer, and",
                         self.desk.result(self.operations.explain(1)).sentence)  # fmt: skip

    def test_a_transfer_has_an_end_in_sight(self) -> None:
        """From its own speed; and the last attempts are told, newest first."""
        self.peers.always("GET", RS, served(b"z" * 2_000_000, still=1_000_000))
        self.desk.accept(b"z" * 2_000_000)
        self.desk.start()
        self.desk.advance(10)
        facts = self.call("GET", "/pulls/1/explain")["facts"]
        self.assertEqual((facts["waits_for"], facts["state"]), (["attempt"], "leased"))
        self.assertIsNotNone(facts["eta"])
        self.desk.accept(b"gone", name="m2")
        for each in range(7):
            before = self.desk.job(2)
            now = self.desk.timers.now()
            leased = evolve(before, state=State.LEASED)
            self.desk.result(self.desk.store.queue.change([Change(leased, "leased", now, before.state)]))
            after = evolve(before, state=State.DEFERRED, due=now + timedelta(days=1))
            row = Change(after, "deferred", now, State.LEASED, f"attempt {each}")
            self.desk.result(self.desk.store.queue.change([row]))
        attempts = self.call("GET", "/pulls/2/explain")["facts"]["attempts"]
        self.assertEqual([each["evidence"] for each in attempts], [f"attempt {each}" for each in (6, 5, 4, 3, 2)])

    def test_shape(self) -> None:
        """By destination and age, most first, the rest in one row; held and running ones are live too."""
        self.desk.accept(*files(3), due=None)
        self.desk.advance(3600, 3600)
        self.desk.accept(b"a", b"b", name="m2")
        self.desk.accept(b"c", name="m3", origin=OTHER)
        for number, state in ((1, State.HELD), (2, State.LEASED), (3, State.FAILED)):
            self.desk.rewrite(number, state=state)
        document = self.call("GET", "/shape")
        rows = {row["name"]: row["counts"] for row in document["rows"]}
        self.assertEqual(document["ages"][:3], [300, 1200, 3600])
        self.assertEqual(rows, {str(RS): [2, 0, 2, 0, 0, 0, 0, 0, 0], str(OTHER): [1] + [0] * 8})
        (first, rest) = self.call("GET", "/shape?most=1")["rows"]
        self.assertEqual((first["total"], rest["name"], rest["destinations"], rest["total"]), (4, "", 1, 1))
        self.assertEqual(self.call("GET", "/shape?most=1")["total"], 5)
