"""An administrator's verbs against a daemon that is a process: what was laid down outlives kill -9, and the trail knows
who it was."""

import os
import sqlite3

from tests.processes.houses import RECIPIENT, SENDER, HouseCase, sum_of, trail_of


class Operator(HouseCase):
    """bar.test and its administrator."""

    def test_a_drained_daemon_pulled_after_it_was_killed(self) -> None:
        """It starts nothing until it is told to, and says why; what arrived and was damaged comes again."""
        self.start()
        alice = self.settle(SENDER)
        self.settle(RECIPIENT)
        self.assertEqual(self.rrsctl(self.bar, "pulls", "drain", "--reason", "disk is replaced"), (0, ""))
        message, (file,) = self.send(alice, 300_000)
        (number,) = self.deliver(message)
        self.bar.kill()
        self.start(self.bar)
        self.pause(1)
        with self.local(self.bar) as local:
            self.assertEqual(local.explain(number)["facts"]["waits_for"][0], "drained")
            _, ready = local.status("ready")
        self.assertIn("drained", ready["notes"][0])
        self.assertIn(self.job(number)["state"], ("new", "ready"))
        where = str(self.root / "queue.jsonl")
        self.assertEqual(self.rrsctl(self.bar, "pulls", "export", "-o", where), (0, ""))
        self.assertEqual(self.rrsctl(self.bar, "pulls", "import", where), (0, ""))
        self.assertEqual(self.rrsctl(self.bar, "pulls", "undrain"), (0, ""))
        self.await_state(number, "receipted")
        self.require_kept(file)
        said = ["drain (disk is replaced)", "export", "undrain"]
        lines = [line for line in trail_of(self.bar, "operate") if line["evidence"] in said]
        self.assertEqual({line["who"] for line in lines}, {f"operator uid {os.getuid()}"})
        self.assertEqual([line["evidence"] for line in lines], said)
        spoilt = self._spoil()
        self.assertEqual(self.rrsctl(self.bar, "pulls", "verify-store"), (0, ""))
        with self.local(self.bar) as local:
            self.until("all is looked at", lambda: local.verifying()["ended"])
            self.assertEqual([each["again"] for each in local.verifying()["damaged"]], [[number + 1]])
        self.await_state(number + 1, "receipted")
        (good,), (aside,) = self.store.rglob(f"blobs/*/{spoilt}"), self.store.rglob(f"quarantine/{spoilt}.*")
        self.assertEqual(sum_of(good), file.sha256)
        self.assertTrue(aside.read_bytes().endswith(b"XY"), "nothing is deleted")
        with sqlite3.connect(f"file:{self.store}/rrsd.sqlite?mode=ro", uri=True) as rows:
            self.assertEqual(rows.execute("SELECT count(*) FROM messages").fetchone(), (1,))

    def _spoil(self) -> str:
        """Other bytes of that length under the final name, which it is."""
        (path,) = (path for path in self.store.rglob("blobs/*/*") if path.stat().st_size == 300_000)
        path.write_bytes(b"X" * 299_999 + b"Y")
        return path.name
