"""A full disk: nothing is lost, everybody is told what to do, and it goes on by itself when there is space again."""

import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest
from typing_extensions import override

from tests.processes.houses import MIB, HouseCase, set_key, trail_of


class FullDisk(HouseCase):
    """bar.test's store is on a file system of its own, of 40 MiB."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.store = self.root / "small"
        self.store.mkdir()
        mounted = shutil.which("mount") and self.run_to_end(
            ["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "rrsd-test", str(self.store)]
        )
        if not mounted or mounted.returncode:
            raise SkipTest("needs the right to mount a file system")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.store)], check=True)
        set_key(self.bar, "store", "path", str(self.store))
        set_key(self.bar, "store", "keep_free", "1MiB")
        self.start()
        self.settle("bob@bar.test")
        self.alice = self.settle("alice@foo.test")

    def test_pull_that_does_not_fit(self) -> None:
        """It waits as NO_SPACE without blaming the sender, says so, and goes on by itself once there is space."""
        message, (film, letter) = self.send(self.alice, 16 * MIB, 1000)
        filler = self._fill(30 * MIB)
        large, small = self.deliver(message)
        waits = self.await_state(large, "no_space")
        self.assertEqual((waits["blame"], waits["condition"], waits["attempts"]), ("ourselves", "space", 0))
        with self.local(self.bar) as local:
            text = local.explain(large)["text"]
        self.assertRegex(text, r"no space.*Free disk space; the pull goes on by itself")
        self.assertEqual(
            [row["refusal"] for row in trail_of(self.bar, "pull") if row["size"] == film.size], ["no_room"]
        )
        filler.unlink()
        self._let_pass(large, small)
        for number, file in ((large, film), (small, letter)):
            self.await_state(number, "receipted")
            self.require_kept(file)

    def test_disk_that_fills_up_in_mid_transfer(self) -> None:
        """What was durable stays, and the rest comes when there is space: nothing is fetched from the start again."""
        message, (film,) = self.send(self.alice, 24 * MIB)
        self.gate.most = 14 * MIB
        (number,) = self.deliver(message)
        self.until("the transfer is in its middle", lambda: self.gate.is_holding and self.job(number)["durable"])
        filler = self._fill(60 * MIB)
        self.gate.open()
        self.await_state(number, "no_space", "leased")
        self.until("the daemon is still there", lambda: self.bar.local().status("health")[0])
        filler.unlink()
        self.await_state(number, "no_space", "stored", "receipted")
        self._let_pass(number)
        self.await_state(number, "receipted")
        self.require_kept(film)
        self.assertLess(self.fetched(number), film.size)

    def test_quota(self) -> None:
        """A user who has enough: nobody is asked, what fits comes, and more quota is noticed while the daemon runs."""
        message, (film, letter) = self.send(self.alice, 4 * MIB, 1000)
        self._set_quota("1MiB")
        large, small = self.deliver(message)
        waits = self.await_state(large, "no_space")
        self.assertEqual((waits["blame"], waits["condition"], waits["attempts"]), ("ourselves", "quota", 0))
        with self.local(self.bar) as local:
            self.assertRegex(local.explain(large)["text"], r"4096 KiB are more than the whole quota.*set-quota")
        self.await_state(small, "receipted")
        self.require_kept(letter)
        self._set_quota("default")
        self.await_state(large, "receipted")
        self.require_kept(film)
        with self.local(self.bar) as local:
            (bob,) = [user for user in local.users()["users"] if user["address"] == "bob@bar.test"]
        self.assertEqual((bob["held"], bob["reserved"], bob["quota"]), (film.size + letter.size, 0, None))

    def _set_quota(self, size: str) -> None:
        status, said = self.rrsctl(self.bar, "users", "set-quota", "bob@bar.test", size)
        self.assertEqual(status, 0, said)

    def test_deliver(self) -> None:
        """The mail server is asked to keep the message (EX_TEMPFAIL); with space again it is taken, once."""
        message, _ = self.send(self.alice, 1000)
        filler = self._fill(60 * MIB)
        status, said = self.rrsctl(self.bar, "deliver", "-f", "alice@foo.test", "bob@bar.test", given=message)
        self.assertEqual(status, os.EX_TEMPFAIL, said)
        self.assertRegex(said, r"^[^\n]*(?:space|disk)[^\n]*\n$")
        with self.local(self.bar) as local:
            self.assertEqual(local.queue()["by_state"], {})
        self._require_told()
        filler.unlink()
        status, said = self.rrsctl(self.bar, "deliver", "-f", "alice@foo.test", "bob@bar.test", given=message)
        self.assertEqual((status, said), (0, ""))
        self.await_state(1, "receipted")

    def _require_told(self) -> None:
        """One line in the log, and /ready, say what to do."""
        sentence = (
            f"less than {MIB} bytes are free on the disk of {self.store}; free some, what waits goes on by itself"
        )
        lines = self.until("the log says so", lambda: [line for line in self._log() if sentence in line], 15)
        self.assertEqual(len(lines), 1)
        with self.local(self.bar) as local:
            ready, said = local.status("ready")
        self.assertFalse(ready)
        self.assertIn(sentence, said["checks"]["store"])

    def _log(self) -> list[str]:
        return self.bar.log.read_text().splitlines()

    def _fill(self, size: int) -> Path:
        """A file of that size, or of all that is left."""
        filler = self.store / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                for _ in range(size // MIB):
                    file.write(bytes(MIB))
                while size > 40 * MIB:
                    file.write(bytes(512))
            except OSError:
                pass
        return filler

    def _let_pass(self, *numbers: int) -> None:
        """The minute until the next attempt, as the queue sees it; the daemon is started again."""
        with self.rows() as rows:
            for number in numbers:
                rows.execute("UPDATE jobs SET due = due - 60 WHERE job = ? AND state = 'no_space'", (number,))
