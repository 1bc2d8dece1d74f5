"""Tests for rrsd.drivers.store.sql.picking: the length of the queue does not matter."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Ask, Looked, State
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql import checks, grants, healths, jobs, outbox, picking, references, turns, watching
from rrsd.drivers.store.sql.database import MemoryDatabase
from tests.drivers.store.samples import NOW, OTHER_RS, RS, job, later, with_due

PLANS = {
    "eligible": (turns._ELIGIBLE, (0.0, 5), "COVERING INDEX destinations_due (due<?)"),
    "next due": (turns._NEXT, (0.0,), "COVERING INDEX destinations_due (due>?)"),
    "turns": (turns._TURNS, ("o", 0.0, 5), "COVERING INDEX turns_due (origin=? AND due<?)"),
    "next turn": (turns._LATER_TURN, ("o", 0.0), "COVERING INDEX turns_due (origin=? AND due>?)"),
    "jobs of a turn": (
        turns._JOBS,
        ("o", "r", 1, 0.0, 5),
        "jobs_turn (origin=? AND recipient=? AND priority=? AND due<?)",
    ),
    "later in a turn": (
        turns._LATER,
        ("o", "r", 1, 0.0),
        "jobs_turn (origin=? AND recipient=? AND priority=? AND due>? AND due<?)",
    ),
    "deadlines": (watching._DUE, (0.0, 5), "jobs_watch (<expr><?)"),
    "put off": (turns._SET, (0.0, "o"), "destinations USING PRIMARY KEY (origin=?)"),
    "chosen": (picking._WANTED, ("[1]", 0.0), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "counts": (jobs._COUNTS, (), "COVERING INDEX jobs_state"),
    "state": (jobs._LIST_STATE, ("new", 0, 5), "jobs_state (state=? AND job>?)"),
    "wake all": (jobs._SLEEPING, ("deferred", 0, None, 5), "jobs_state (state=? AND job>?)"),
    "wake": (jobs._SLEEPING_AT, ("o", None), "jobs_turn (origin=?)"),
    "references": (references._REFERENCED, (b"digest", 0.0, 0.0), "COVERING INDEX parts_digest (digest=?)"),
    "receipts due": (outbox._DUE, (0.0, 5), "receipts_due (due<?)"),
    "receipts at": (outbox._PUT_OFF, ("s", "o", 0.0, 0.0, 1, 5), "receipts_at (sender=? AND origin=? AND due<?)"),
    "receipts of": (outbox._WAKE, ("s", 0.0, 5), "receipts_at (sender=?)"),
    "custody": (grants._CUSTODY, ("m", "s"), "custody USING INTEGER PRIMARY KEY (rowid=?)"),
    "old custody": (grants._FORGET, (0.0, 5), "COVERING INDEX custody_at (at<?)"),
    "begun": (jobs._BEGUN, (0, 5), "jobs USING INTEGER PRIMARY KEY (rowid>?)"),
    "recover": (jobs._RECOVER, (0.0, "[]"), "jobs_state (state=?)"),
}


class PickingTests(SynchronousTestCase):
    """A queue in memory, looked at from inside."""

    def setUp(self) -> None:
        """Open."""
        self.connection = MemoryDatabase().writer()

    def plan(self, statement: str, values: tuple[object, ...]) -> str:
        """What SQLite does for the statement."""
        rows = self.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        return "; ".join(row[3] for row in rows)

    def test_plans(self) -> None:
        """Every question that the scheduler asks is answered from an index, without sorting."""
        for name, (statement, values, index) in PLANS.items():
            with self.subTest(name):
                plan = self.plan(statement, values)
                self.assertIn(index, plan)
                self.assertNotIn("TEMP B-TREE", plan)
                if name != "counts":  # of all
                    self.assertNotRegex(plan, "SCAN (?!CONSTANT ROW|json_each)")

    def test_damaged_row(self) -> None:
        """A row that cannot be read is set aside with a history row; the jobs behind it are leased."""
        for n in range(3):
            jobs.add(self.connection, job(digest_of(bytes([n])), n))
        self.connection.execute("UPDATE jobs SET blame = 'nonsense' WHERE job = 1")
        self.connection.execute("UPDATE jobs SET digest = 'short' WHERE job = 2")
        leases, damaged = picking.lease(self.connection, [1, 2, 3], NOW)
        self.assertEqual([lease.job.job for lease in leases], [3])
        self.assertEqual(damaged, [1, 2])
        rows = jobs.history(self.connection, 1, 9)
        self.assertEqual([(row.event, row.after) for row in rows], [("damaged", State.QUARANTINED)])
        self.assertEqual([each.job for each in jobs.listed(self.connection, None, None, 0, 9)], [3])
        self.assertEqual(turns.look(self.connection, [Ask(RS, 9)], NOW), [Looked(RS, (), False)])

    def test_damage_outside_the_picker(self) -> None:
        """A row that no picker finds, for its state, due time or origin, is named by the self-check."""
        for n in range(4):
            jobs.add(self.connection, job(digest_of(bytes([n])), n))
        self.connection.execute("UPDATE jobs SET state = 'nonsense' WHERE job = 1")
        self.connection.execute("UPDATE jobs SET due = 'nonsense' WHERE job = 2")
        self.connection.execute("UPDATE jobs SET origin = 'https://rs.foo.test:nonsense' WHERE job = 3")
        found = checks.strangers(self.connection)
        found += checks.rows(self.connection, State.NEW, 0, 9).found
        found += checks.turns(self.connection, ("", "", 0), 9)[0].found
        self.assertEqual({each.job for each in found}, {1, 2, 3})
        self.assertEqual(self.looked(RS), [4])

    def looked(self, origin: Origin) -> list[int]:
        """What could run next of it."""
        (answer,) = turns.look(self.connection, [Ask(origin, 99)], NOW)
        return [each.job for each in answer.candidates]

    def test_damaged_destination(self) -> None:
        """One that cannot be read is put off; a job whose digest or due time cannot be is left to the self-check."""
        for n in range(2):
            jobs.add(self.connection, job(digest_of(bytes([n])), n))
        self.connection.execute("INSERT INTO destinations VALUES ('https://rs.foo.test:nonsense', 0)")
        self.connection.execute("UPDATE jobs SET digest = 7.5 WHERE job = 1")
        found, damaged = turns.eligible(self.connection, NOW, 9)
        self.assertEqual((found, damaged), ([RS], ["https://rs.foo.test:nonsense"]))
        turns.set_aside(self.connection, damaged, NOW)
        self.assertEqual(turns.eligible(self.connection, NOW, 9), ([RS], []))
        self.assertEqual(self.looked(RS), [2])

    def test_damaged_receipt(self) -> None:
        """A receipt whose job cannot be read is told apart from those that can."""
        for n in range(2):
            (number,) = jobs.add(self.connection, job(digest_of(bytes([n])), n))
            self.connection.execute(
                "INSERT INTO receipts (job, due, jti, tries, refusals, alone, sender, origin) "
                "SELECT job, 0, ?, 0, 0, 0, sender, origin FROM jobs WHERE job = ?",
                (f"j{n}", number),
            )
        self.connection.execute("UPDATE receipts SET origin = 'https://rs.foo.test:nonsense' WHERE job = 1")
        pending, damaged = outbox.due(self.connection, NOW, 9)
        self.assertEqual(([each.job for each in pending], damaged), ([2], [1]))
        outbox.set_aside(self.connection, damaged, NOW)
        self.assertEqual(outbox.due(self.connection, NOW, 9), (pending, []))

    def test_damaged_breaker(self) -> None:
        """A breaker that cannot be read is left out."""
        self.connection.execute("INSERT INTO breakers VALUES ('issuer', 'sts', 0, 0, 'nonsense', NULL, 0, 4, '', 0, 1)")
        self.assertEqual(healths.breakers(self.connection, "issuer"), [])

    def test_poison_that_waits_is_never_looked_at(self) -> None:
        """A thousand jobs that are due tomorrow, and a thousand of a destination that is left alone, cost a good job
        nothing: as many steps as if they were not there."""
        (good,) = jobs.add(self.connection, job(digest_of(b"good"), 1, OTHER_RS, "m2"))
        alone = self.steps(OTHER_RS)
        for n in range(1000):
            digest = digest_of(n.to_bytes(2, "big"))
            jobs.add(self.connection, with_due(job(digest, n, OTHER_RS, "m3"), 86_400))
            jobs.add(self.connection, job(digest, n, RS))
        turns.put_off(self.connection, [(RS, later(900))])
        turns.let(self.connection, OTHER_RS, NOW)
        self.assertEqual(turns.eligible(self.connection, NOW, 9), ([OTHER_RS], []))
        self.assertLessEqual(self.steps(OTHER_RS), alone + 10)
        self.assertEqual(self.looked(OTHER_RS), [good])

    def steps(self, origin: Origin) -> int:
        """How many instructions SQLite needs to look at the origin."""
        counted = [0]

        def count() -> None:
            counted[0] += 1

        self.connection.set_progress_handler(count, 1)
        self.looked(origin)
        self.connection.set_progress_handler(None, 0)
        return counted[0]

    def test_many_turns_are_shared_out(self) -> None:
        """Each recipient has some; what is not brought in is known to be there."""
        for n in range(200):
            one = evolve(job(digest_of(bytes([n])), n), recipient=parse_address(f"u{n % 100}@bar.test"))
            jobs.add(self.connection, one)
        (answer,) = turns.look(self.connection, [Ask(RS, 256)], NOW)
        self.assertEqual((len({each.recipient for each in answer.candidates}), answer.is_more), (64, True))
        (few,) = turns.look(self.connection, [Ask(RS, 8)], NOW)
        self.assertEqual((len(few.candidates), few.is_more), (8, True))
