"""Real processes are killed, and what is wrong afterwards is seen from outside."""

import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from tests.architecture.tree import ROOT
from tests.crash.kills import Oracle


class Kills(SynchronousTestCase):
    """`make crash KILLS=…` in small."""

    def test_a_dozen(self) -> None:
        """Twelve processes are killed, the thirteenth finishes; nothing that was acknowledged is lost."""
        command = [sys.executable, "-m", "tests.crash", "--kills", "12"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("12 processes killed", done.stdout)


class Oracles(SynchronousTestCase):
    """The oracle finds what it is there for."""

    def setUp(self) -> None:
        """A store of one stored pull, as it looks from outside."""
        self.root = Path(tempfile.mkdtemp(prefix="rrsd-"))
        self.digest = digest_of(b"film")
        blob = self.root / "blobs" / f"{self.digest.raw[0]:02x}"
        blob.mkdir(parents=True)
        (blob / self.digest.b64).write_bytes(b"film")
        with closing(sqlite3.connect(self.root / "rrsd.sqlite")) as rows:
            rows.execute("CREATE TABLE jobs (job, message, state, digest)")
            rows.execute("CREATE TABLE uploads (upload, offset)")
            rows.execute("INSERT INTO jobs VALUES (1, 'm1', 'stored', ?)", (self.digest.raw,))
            rows.commit()
        self.oracle = Oracle(self.root)

    def wrong(self, *lines: str) -> list[str]:
        """What is wrong after these lines were heard."""
        for line in lines:
            self.oracle.hear(line)
        self.oracle.check()
        return [each.partition(":")[0] for each in self.oracle.wrong]

    def test_nothing_is_wrong(self) -> None:
        """What was heard is there."""
        self.assertEqual(self.wrong("accepted m1", "stored m1", f"kept {self.digest.b64}", "checkpoint 1 5"), [])

    def test_each_promise(self) -> None:
        """What was heard and is not there is wrong, each under its promise."""
        told = ("accepted m2", "stored m3", "receipted 1", "offset u1 5")
        self.assertEqual(self.wrong(*told), ["R1", "R2", "R8", "R1"])

    def test_bytes_are_looked_at(self) -> None:
        """A blob with other bytes is no blob."""
        (self.root / "blobs" / f"{self.digest.raw[0]:02x}" / self.digest.b64).write_bytes(b"flim")
        self.assertEqual(self.wrong(), ["R2"])

    def test_what_changes(self) -> None:
        """A receipt keeps its key, a transfer its checkpoints."""
        told = ("receipt 1 a", "receipt 1 b", "checkpoint 1 5", "resumed 1 4")
        self.assertEqual(self.wrong(*told), ["R8", "R4"])

    def test_unfinished(self) -> None:
        """After a process that nobody killed no job may wait."""
        self.oracle.require_finished()
        self.assertEqual([each.partition(":")[0] for each in self.oracle.wrong], ["R7"])
