"""The promise R7, broken by hand in SQL in every way that there is, and found every time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Unknown
from rrsd.core.values.addresses import Domain
from rrsd.core.values.jobs import Breaker, State
from rrsd.core.values.operations import Fault, Found
from rrsd.drivers.store.sql import checks
from rrsd.drivers.store.sql.engine import Connection
from rrsd.roles.rra import circumstances, selfcheck
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.selfcheck import LIVE, MOST_SAID, Verdict
from rrsd.runtime.awaits import deferred_of
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import files

NONSENSE: dict[str, Sequence[object]] = {
    "message": (b"\xff",),
    "recipient": (b"\xff", "bob", "@bar.test", 7),
    "sender": (b"\xff",),
    "origin": (b"\xff", "http://foo.test", "https://foo.test:x", "https://"),
    "digest": ("text", b"short", 7),
    "size": ("large", -1, 1.5),
    "state": ("asleep", "zzz", "", 7),
    "priority": (3, -1, "first"),
    "accepted": ("then", 1e300, -1e300),
    "deadline": ("never", 1e300),
    "due": ("soon", 1e300),
    "retries": ("many",),
    "attempts": ("many",),
    "restarts": ("many",),
    "blame": ("fate", b"\xff"),
    "epoch": ("last",),
    "not_after": ("never", 1e300),
    "stored": ("once", 1e300),
    "at_risk": ("often", 1e300),
    "held": ("long", 1e300),
}
"""What damage may put into a column; each is found, in whatever live state the job is."""


class Case(SynchronousTestCase):
    """An agent that nobody started, and its check."""

    def setUp(self) -> None:
        """Nothing runs."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Change rows behind the store's back, or look at them."""
        store = self.desk.store

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            return list(connection.execute(statement, values))

        return self.desk.result(store._engine.write(run))

    def check(self) -> dict[Fault, int]:
        """What one look at everything finds."""
        verdict: Verdict = self.desk.result(self.desk.self_check.run())
        return dict(verdict.faults)

    def assert_sound(self) -> None:
        """A second look finds nothing."""
        self.assertEqual(self.check(), {})


class Broken(Case):
    """One thing at a time."""

    def test_a_healthy_queue_has_no_faults(self) -> None:
        """In every state; nothing is said, and nothing is written."""
        for state in State:
            (job,) = self.desk.accept(state.encode(), name=state)
            self.desk.rewrite(job, state=state)
        self.sql("INSERT INTO receipts SELECT job, 1.0, 'j', 0, 0, 0, sender, origin FROM jobs WHERE state = 'stored'")
        before = self.sql("SELECT * FROM jobs"), self.sql("SELECT * FROM history")
        self.assert_sound()
        self.assertEqual((self.sql("SELECT * FROM jobs"), self.sql("SELECT * FROM history")), before)
        self.assertEqual(self.desk.trail.of("check"), [])

    def test_every_damaged_column_is_found(self) -> None:
        """In a waiting job; named with its number, and nothing else is touched."""
        for column, values in NONSENSE.items():
            for value in values:
                with self.subTest(column=column, value=value):
                    desk = self.desk = Desk()
                    desk.accept(b"one", b"two")
                    self.sql(f"UPDATE jobs SET {column} = ? WHERE job = 1", value)
                    faults = self.check()
                    self.assertIn(Fault.STATE if column == "state" else Fault.DAMAGED, faults)
                    self.assertLessEqual(set(faults), {Fault.STATE, Fault.DAMAGED, Fault.TURN})
                    self.assertEqual(desk.trail.of("check")[0].resource, "pull 1")
                    self.assertEqual(desk.state(2), State.NEW)
                    desk.close()

    def test_what_is_damaged_is_found_in_every_live_state(self) -> None:
        """Held, leased and stored ones too; what is over is nobody's business."""
        for state in State:
            (job,) = self.desk.accept(state.encode(), name=state)
            self.desk.rewrite(job, state=state)
        self.sql("UPDATE jobs SET blame = 'fate'")
        self.assertEqual(self.check(), {Fault.DAMAGED: len(LIVE)})

    def test_a_job_that_waits_for_nothing_runs(self) -> None:
        """In each state that waits; and what it had is kept."""
        waiting = [state for state in LIVE if state not in (State.HELD, State.LEASED, State.STORED)]
        for state in waiting:
            (job,) = self.desk.accept(state.encode(), name=state)
            self.desk.rewrite(job, state=state, due=None, retries=3)
        self.assertEqual(self.check(), {Fault.LOST: len(waiting)})
        self.assertEqual(set(self.desk.states()), {State.READY})
        self.assertTrue(all(self.desk.job(number).retries == 3 for number in range(1, len(waiting) + 1)))
        self.assert_sound()

    def test_one_that_moved_meanwhile_is_left_alone(self) -> None:
        """A lost race is no second fault."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, due=None)
        self.desk.queue.trouble["change"] = Conflict("state")
        self.assertEqual(self.check(), {Fault.LOST: 1})
        self.desk.rewrite(1, condition="space")
        self.desk.result(self.desk.self_check._mend(Found(Fault.LOST, 1)))
        self.assertEqual(self.desk.job(1).due, None)

    def test_a_receipt_that_was_forgotten_is_sent(self) -> None:
        """Unless it was given up, which is a named condition."""
        self.desk.accept(b"one", b"two")
        for number, condition in ((1, ""), (2, "receipt")):
            self.desk.rewrite(number, state=State.STORED, due=None, condition=condition, stored=self.desk.timers.now())
        self.assertEqual(self.check(), {Fault.RECEIPT: 1})
        self.assertEqual(self.sql("SELECT job FROM receipts"), [(1,)])
        self.assert_sound()

    def test_a_receipt_that_was_given_up_and_whose_pull_knows_nothing_of_it_is_sent(self) -> None:
        """What the check says that it mended is found by no second look."""
        self.desk.accept(b"one")
        self.desk.rewrite(1, state=State.STORED, due=None, condition="", stored=self.desk.timers.now())
        self.sql("INSERT INTO receipts SELECT job, NULL, 'j', 0, 0, 0, sender, origin FROM jobs")
        self.assertEqual(self.check(), {Fault.RECEIPT: 1})
        self.assert_sound()
        self.assertEqual(self.sql("SELECT job, jti FROM receipts WHERE due IS NOT NULL"), [(1, "j")])

    def test_a_turn_that_is_missing_or_late(self) -> None:
        """It is mended, and its jobs run."""
        breaks = (
            "DELETE FROM turns", "UPDATE turns SET due = due + 86400", "UPDATE turns SET due = 'nonsense'",
            "DELETE FROM turns; ", "UPDATE turns SET priority = 2",
        )  # fmt: skip
        for number, statement in enumerate(breaks):
            with self.subTest(statement=statement):
                self.desk = Desk()
                self.desk.accept(b"%d" % number)
                self.sql(statement)
                self.assertEqual(self.check(), {Fault.TURN: 1})
                self.assert_sound()
                self.desk.start()
                self.desk.advance(1)
                self.assertEqual(self.desk.state(1), State.RECEIPTED)
                self.desk.close()

    def test_a_destination_that_is_missing(self) -> None:
        """It comes back, with the time of its earliest turn."""
        self.desk.accept(b"one")
        self.desk.accept(b"two", name="m2", origin=OTHER)
        self.sql("DELETE FROM destinations")
        self.assertEqual(self.check(), {Fault.DESTINATION: 2})
        self.assert_sound()
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_a_destination_that_is_put_off_without_a_reason(self) -> None:
        """It is looked at now; one that is left alone rightly is not."""
        self.desk.accept(b"one")
        self.desk.accept(b"two", name="m2", origin=OTHER)
        until = self.desk.timers.now() + timedelta(hours=6)
        self.desk.result(self.desk.queue.put_off([(RS, until), (OTHER, until)]))
        self.desk.health._remember(Breaker(str(OTHER), failures=5, not_before=until), self.desk.timers.now())
        self.assertEqual(self.check(), {Fault.DESTINATION: 1})
        self.assertEqual(self.desk.trail.of("check")[0].resource, str(RS))
        self.assert_sound()

    def test_a_destination_of_which_nothing_is_due_for_hours(self) -> None:
        """It is looked at when its earliest turn is, and that is no fault (found by make simulate)."""
        self.desk.accept(b"one")
        self.sql("UPDATE jobs SET due = due + 21600")
        self.sql("UPDATE turns SET due = due + 21600")
        self.sql("UPDATE destinations SET due = due + 21600")
        self.assertEqual(self.check(), {})

    def test_many_destinations_that_are_put_off_to_the_same_moment(self) -> None:
        """None is left over for the next hour, on whatever page it is."""
        until = self.desk.timers.now() + timedelta(hours=6)
        for number in range(7):
            origin = evolve(RS, host=Domain(f"rs{number}.foo.test"))
            self.desk.accept(b"one", name=f"m{number}", origin=origin)
            self.desk.result(self.desk.queue.put_off([(origin, until)]))
        self.patch(selfcheck, "MOST_SAID", 3)
        results: list[Any] = []
        checks_of(self.desk).addCallback(results.append)
        self.desk.advance(5, 0.05)
        self.assertEqual(dict(results[0].faults), {Fault.DESTINATION: 7})

    def test_a_flood_of_faults_is_counted(self) -> None:
        """A hundred of a kind are said one by one."""
        self.desk.accept(*files(MOST_SAID + 20))
        self.sql("UPDATE jobs SET due = NULL, condition = ''")
        self.assertEqual(self.check(), {Fault.LOST: MOST_SAID + 20})
        self.assertEqual(len(self.desk.trail.of("check")), MOST_SAID)
        self.assert_sound()

    def test_an_explanation_that_is_not_so_was_never_looked_at(self) -> None:
        """Ten of each state and condition are explained, others the next time; what is wrong is named, job by job."""
        self.patch(selfcheck, "SAMPLE", 25)
        self.patch(circumstances, "contradiction", lambda told, job, facts: "it does not wait for slot")
        self.desk.accept(*files(30))
        self.assertEqual(self.check(), {Fault.EXPLANATION: 10})
        (first, *_), said = self.desk.trail.of("check"), len(self.desk.trail.of("check"))
        self.assertEqual((first.resource, said), ("pull 1", 10))
        self.assertIn("explain", first.evidence)
        self.assertEqual(self.check(), {Fault.EXPLANATION: 5})
        self.assertEqual(self.desk.trail.of("check")[10].resource, "pull 26")
        self.assertEqual(self.check(), {Fault.EXPLANATION: 10})

    def test_a_pull_that_is_gone_when_it_is_to_be_explained(self) -> None:
        """Is no fault."""
        self.desk.accept(b"one")
        self.desk.queue.trouble["find"] = Unknown("job")
        self.assertEqual(self.check(), {})

    def test_it_goes_step_by_step(self) -> None:
        """A page at a time; what is on the last page is found too, and another's turn behind many jobs of one."""
        self.desk.accept(*files(30))
        self.desk.accept(b"last", name="m2", origin=OTHER)
        self.sql("UPDATE jobs SET blame = 'fate' WHERE job = 30")
        self.sql("DELETE FROM turns WHERE origin = ?", str(RS))
        self.patch(checks.Checks.rows, "__defaults__", (7,))
        self.patch(checks.Checks.turns, "__defaults__", (7,))
        results: list[Any] = []
        done = checks_of(self.desk)
        done.addCallback(results.append)
        self.desk.advance(5, 0.05)
        self.assertEqual(dict(results[0].faults), {Fault.DAMAGED: 1, Fault.TURN: 1})

    def test_every_statement_walks_an_index(self) -> None:
        """So that a million pulls cost as much a step as ten."""
        self.desk.accept(b"one")
        page = checks._PAGE.replace("?1", "'new'").replace("?2", "0").replace("?3", "9")
        statements = [
            page, checks._END.replace("?1", "'new'").replace("?2", "0").replace("?3", "9"),
            checks._BETWEEN.replace("?", "'a'", 2).replace("?", "9"), checks._LATE.replace("?", "1", 3),
            checks._ENTRIES.replace("?", "''", 3).replace("?", "9"),
            checks._GROUPS.replace("?", "''", 3).replace("?", "9"), checks._SOME_OF.replace("?", "''"),
        ]  # fmt: skip
        for statement in statements:
            plan = " | ".join(str(row[3]) for row in self.sql(f"EXPLAIN QUERY PLAN {statement}"))
            self.assertNotRegex(plan, r"SCAN (?!waits|\(subquery|CONSTANT)", f"{statement}: {plan}")

    def test_g10_what_the_check_calls_sound_can_be_explained(self) -> None:
        """The check in SQL and `explain` agree about every live state, with and without a time or a condition."""
        now = self.desk.timers.now()
        for state in LIVE:
            for due in (None, now):
                for condition in ("", "space"):
                    (number,) = self.desk.accept(b"x", name=f"{state} {due} {condition}")
                    self.desk.rewrite(number, state=state, due=due, condition=condition)
                    checked = self.desk.result(self.desk.store.checks.rows(state, number - 1))
                    lost = [each for each in checked.found if each.fault is Fault.LOST]
                    self.assertEqual(not lost, explain(self.desk.job(number), None, now).is_sound, (state, due))


def checks_of(desk: Desk) -> Any:
    """A check that takes its time."""
    return deferred_of(desk.self_check.run())
