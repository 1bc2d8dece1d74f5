"""Tests for rrsd.drivers.store.sql.database: created at once or not at all, checked, upgraded with a copy kept."""

import os
import sqlite3
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Damaged, NoSpace, Refusal
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Ask, State
from rrsd.drivers.store.sql import rows, turns
from rrsd.drivers.store.sql.database import FileDatabase, migrations
from tests.drivers.store.samples import NOW, RS, job


class DatabaseTests(SynchronousTestCase):
    """One file in a new folder."""

    def setUp(self) -> None:
        """Name the file."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.path = f"{folder}/rrsd.sqlite"
        self.database = FileDatabase(self.path)

    def said(self, kind: type[Refusal]) -> str:
        """What opening refuses with."""
        refusal = self.assertRaises(kind, self.database.writer)
        assert isinstance(refusal, Refusal)
        return refusal.detail

    def test_created(self) -> None:
        """A new database is private, in WAL mode, synced at every commit, and checks foreign keys."""
        connection = self.database.writer()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        facts = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        self.assertEqual(facts, ["wal", 2])
        self.assertEqual(connection.execute("PRAGMA foreign_keys").fetchone(), (1,))
        self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (len(migrations()),))
        connection.close()

    def test_half_made(self) -> None:
        """What a crash left of a database in the making is made anew."""
        Path(f"{self.path}.new").write_bytes(b"half")
        self.database.writer().close()
        self.assertFalse(Path(f"{self.path}.new").exists())

    def test_reader_changes_nothing(self) -> None:
        """A reader cannot write."""
        self.database.writer().close()
        reader = self.database.reader()
        self.assertRaises(sqlite3.OperationalError, reader.execute, "DELETE FROM users")
        reader.close()

    def test_no_database(self) -> None:
        """A file that is no database is Damaged, with what to do in one line."""
        Path(self.path).write_bytes(b"x" * 8192)
        detail = self.said(Damaged)
        self.assertIn("backup", detail)
        self.assertNotIn("\n", detail)

    def test_cut_off(self) -> None:
        """A database that lost its end is Damaged."""
        self.database.writer().close()
        os.truncate(self.path, 4096 + 100)
        self.assertIn("backup", self.said(Damaged))

    def test_of_another_program(self) -> None:
        """Another program's database is refused and left alone."""
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
        other.close()
        self.assertIn("not one of rrsd", self.said(Damaged))

    def test_newer(self) -> None:
        """A database of a newer rrsd is a Conflict that says so."""
        connection = self.database.writer()
        connection.execute("PRAGMA user_version = 999")
        connection.close()
        self.assertIn("install the newer rrsd", self.said(Conflict))

    def test_upgrade(self) -> None:
        """An older database is copied, then led through the steps that it has not seen."""
        self.database.writer().close()
        steps = [*migrations(), "CREATE TABLE added (x);\nINSERT INTO added VALUES (1);"]
        self.database = FileDatabase(self.path, steps)
        connection = self.database.writer()
        self.assertEqual(connection.execute("SELECT x FROM added").fetchall(), [(1,)])
        connection.close()
        copy = f"{self.path}.schema-{len(migrations())}"
        self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
        old = FileDatabase(copy).writer()
        self.assertRaises(sqlite3.OperationalError, old.execute, "SELECT x FROM added")
        old.close()

    def test_upgrade_from_the_first(self) -> None:
        """A database of the first version keeps its rows and gets what came later, held messages among it."""
        self.database = FileDatabase(self.path, migrations()[:1])
        connection = self.database.writer()
        connection.execute("INSERT INTO users VALUES ('bob@bar.test', 'bob@bar.test', '', 0, 1.0)")
        connection.execute("INSERT INTO replays VALUES (x'00', 1.0)")
        connection.execute("INSERT INTO grants VALUES (1, 'm', x'00', 1, 's', 's', 'r', 'r', 1.0, 't', 'n', 0, NULL)")
        known = {name for _, name, *_ in connection.execute("PRAGMA table_info(jobs)")}
        self.assertNotIn("granted", known)
        connection.close()
        connection = FileDatabase(self.path).writer()
        self.assertEqual(connection.execute("SELECT key FROM users").fetchall(), [("bob@bar.test",)])
        self.assertEqual(connection.execute("SELECT count(*) FROM replays").fetchall(), [(1,)])
        self.assertEqual(connection.execute("SELECT filename, downloaded FROM grants").fetchall(), [("n", None)])
        self.assertEqual(connection.execute("SELECT count(granted) FROM jobs").fetchall(), [(0,)])
        later = ("epoch", "clients", "revocations", "holds", "passages")
        for table in (*later, "links", "link_codes", "link_sessions", "notices"):
            connection.execute(f"SELECT count(*) FROM {table}")
        self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (len(migrations()),))
        connection.close()
        self.assertTrue(Path(f"{self.path}.schema-1").exists())

    def test_upgrade_of_the_breakers(self) -> None:
        """A breaker that was open stays open; nothing is known yet of what its destination bears."""
        self.database = FileDatabase(self.path, migrations()[:8])
        connection = self.database.writer()
        connection.execute("INSERT INTO breakers VALUES ('destination', 'd', 5, 1.5, 1.0, 2.0, 3, 2, 'down')")
        connection.close()
        connection = FileDatabase(self.path).writer()
        row = connection.execute("SELECT failures, most, ceiling, patience FROM breakers").fetchall()
        self.assertEqual(row, [(5, 2, 0, 1)])
        self.assertEqual(connection.execute("SELECT count(*) FROM adjustments").fetchall(), [(0,)])
        connection.close()

    def test_upgrade_of_the_queue(self) -> None:
        """Jobs that wait since before there were turns have their turn; those that are over have none."""
        self.database = FileDatabase(self.path, migrations()[:10])
        connection = self.database.writer()
        for number, state in enumerate(("new", "deferred", "failed")):
            columns = rows.JOB.partition(", granted")[0][5:] + ", granted"  # those that there were
            row = rows.job_row(evolve(job(digest_of(bytes([number])), number), state=State(state)))
            row = row[: columns.count(",") + 1]
            connection.execute(f"INSERT INTO jobs ({columns}, refusals) VALUES ({'?, ' * len(row)}0)", row)
        connection.close()
        connection = FileDatabase(self.path).writer()
        self.assertEqual(turns.eligible(connection, NOW, 9), ([RS], []))
        (looked,) = turns.look(connection, [Ask(RS, 9)], NOW)
        self.assertEqual([each.job for each in looked.candidates], [1, 2])
        connection.close()

    def test_upgrade_of_the_ledger(self) -> None:
        """What was handed on before there were offers is known to be there."""
        self.database = FileDatabase(self.path, migrations()[:6])
        connection = self.database.writer()
        connection.execute("INSERT INTO passages VALUES (x'00', 'bob@bar.test', 1.0)")
        connection.close()
        connection = FileDatabase(self.path).writer()
        self.assertEqual(connection.execute("SELECT delivery FROM passages").fetchall(), [("",)])
        connection.close()

    def test_upgrade_that_fails(self) -> None:
        """An upgrade that fails half-way changes nothing."""
        self.database.writer().close()
        self.database = FileDatabase(
            self.path, [*migrations(), "CREATE TABLE added (x);\nINSERT INTO nowhere VALUES (1);"]
        )
        self.assertIn("does not fit", self.said(Damaged))
        self.database = FileDatabase(self.path)
        self.database.writer().close()

    def test_no_folder(self) -> None:
        """A file that cannot be made is NoSpace."""
        self.database = FileDatabase("/proc/nowhere/rrsd.sqlite")
        self.said(NoSpace)
