"""Tests for rrsd.drivers.store.sql.picking: the length of the queue does not matter."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from rrsd.drivers.store.sql import healths, jobs, outbox, picking
from rrsd.drivers.store.sql.database import MemoryDatabase
from tests.drivers.store.samples import NOW, OTHER_RS, RS, job, later

PLANS = {
    "pick": (picking._PICK, ("o", 1, 0.0, 5), "jobs_waiting (origin=? AND priority=? AND due<?)"),
    "next due": (picking._NEXT_DUE, (0.0,), "INDEX jobs_due (due>? AND due<?)"),
    "counts": (jobs._COUNTS, (), "COVERING INDEX jobs_state"),
    "state": (jobs._LIST_STATE, ("new", 0, 5), "jobs_state (state=? AND job>?)"),
    "wake": (jobs._SLEEPING_AT, ("o", None), "jobs_waiting (origin=?)"),
    "recover": (jobs._RECOVER, (0.0,), "jobs_state (state=?)"),
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

    def test_origins_are_walked(self) -> None:
        """The question for due origins never scans jobs: every step is a search in the index of waiting jobs."""
        plan = self.plan(picking._ORIGINS, (0.0,))
        self.assertEqual(plan.count("SCAN jobs"), 1)  # the first origin: ORDER BY origin LIMIT 1, one step
        self.assertEqual(plan.count("jobs_waiting (origin=? AND priority=? AND due<?)"), 3)

    def test_damaged_row(self) -> None:
        """A row that cannot be read is set aside with a history row; the jobs behind it are leased."""
        for n in range(3):
            jobs.add(self.connection, job(digest_of(bytes([n])), n))
        self.connection.execute("UPDATE jobs SET blame = 'nonsense' WHERE job = 1")
        self.connection.execute("UPDATE jobs SET digest = 'short' WHERE job = 2")
        leases, damaged = picking.lease(self.connection, picking.pick(self.connection, RS, 5, NOW, ()), NOW)
        self.assertEqual([lease.job.job for lease in leases], [3])
        self.assertEqual(damaged, [1, 2])
        rows = jobs.history(self.connection, 1, 9)
        self.assertEqual([(row.event, row.after) for row in rows], [("damaged", State.QUARANTINED)])
        self.assertEqual([each.job for each in jobs.listed(self.connection, None, None, 0, 9)], [3])
        self.assertEqual(picking.due_origins(self.connection, NOW), [])

    def test_damage_outside_the_picker(self) -> None:
        """A row that no picker finds, for its state, due time or origin, is named by the self-check."""
        for n in range(4):
            jobs.add(self.connection, job(digest_of(bytes([n])), n))
        self.connection.execute("UPDATE jobs SET state = 'nonsense' WHERE job = 1")
        self.connection.execute("UPDATE jobs SET due = 'nonsense' WHERE job = 2")
        self.connection.execute("UPDATE jobs SET origin = 'https://rs.foo.test:nonsense' WHERE job = 3")
        self.assertEqual(jobs.stuck(self.connection), [1, 2, 3])
        self.assertEqual(picking.due_origins(self.connection, NOW), [RS])
        self.assertIsNone(picking.next_due(self.connection, NOW))

    def test_damaged_receipt(self) -> None:
        """A receipt whose job cannot be read is told apart from those that can."""
        for n in range(2):
            number = jobs.add(self.connection, job(digest_of(bytes([n])), n))
            self.connection.execute(
                "INSERT INTO receipts (job, due, jti, tries) VALUES (?, 0, ?, 0)", (number, f"j{n}")
            )
        self.connection.execute("UPDATE jobs SET origin = 'https://rs.foo.test:nonsense' WHERE job = 1")
        pending, damaged = outbox.due(self.connection, NOW, 9)
        self.assertEqual(([each.job for each in pending], damaged), ([2], [1]))
        outbox.drop(self.connection, damaged)
        self.assertEqual(outbox.due(self.connection, NOW, 9), (pending, []))

    def test_damaged_breaker(self) -> None:
        """A breaker that cannot be read is left out."""
        self.connection.execute("INSERT INTO breakers VALUES ('issuer', 'sts', 0, 0, 'nonsense', NULL, 0, 4, '', 0, 1)")
        self.assertEqual(healths.breakers(self.connection, "issuer"), [])

    def test_poison_jobs(self) -> None:
        """A thousand jobs whose digest is busy do not hide the good job behind them."""
        poison, good = digest_of(b"poison"), digest_of(b"good")
        for n in range(1001):
            jobs.add(self.connection, job(poison, n))
        number = jobs.add(self.connection, job(good, 1001))
        self.assertEqual(picking.pick(self.connection, RS, 1, NOW, {poison}), [number])

    def test_many_origins(self) -> None:
        """Each due origin is named once, those without due jobs not at all."""
        for n in range(50):
            jobs.add(self.connection, job(digest_of(bytes([n])), n, OTHER_RS if n % 2 else RS))
        self.assertEqual(picking.due_origins(self.connection, NOW), [RS, OTHER_RS])
        self.connection.execute("UPDATE jobs SET due = due + 60 WHERE origin = ?", (str(RS),))
        self.assertEqual(picking.due_origins(self.connection, NOW), [OTHER_RS])
        self.assertEqual(picking.next_due(self.connection, NOW), later(60))
