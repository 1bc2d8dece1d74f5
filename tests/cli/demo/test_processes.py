"""The demo's daemons as the real processes that they are, and a small demo as a whole."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.demo.daemons import Daemon, prepare, socket_path
from rrsd.cli.session import clock
from rrsd.core.refusals import Unavailable
from rrsd.core.values.instants import instant


class Processes(SynchronousTestCase):
    """One daemon."""

    def setUp(self) -> None:
        """Prepare foo.test."""
        found = tempfile.TemporaryDirectory(prefix="rrsd-")  # a trial folder's path is too long for a socket
        self.addCleanup(found.cleanup)
        self.root = Path(found.name)
        daemons = prepare(
            self.root, ("foo.test",), instant(clock()), lambda name: socket_path(self.root, name, self.root)
        )
        self.daemon: Daemon = daemons["foo.test"]
        self.addCleanup(self.daemon.stop)

    def test_killed_and_started_again(self) -> None:
        """After SIGKILL the daemon comes back with what it knew."""
        self.daemon.start()
        self.daemon.wait_ready()
        self.daemon.local().add_user("alice@foo.test", "correct horse")
        first = self.daemon.pid
        self.daemon.kill()
        self.daemon.start()
        self.daemon.wait_ready()
        self.assertNotEqual(self.daemon.pid, first)
        users = self.daemon.local().users()["users"]
        self.assertEqual([user["address"] for user in users], ["alice@foo.test"])

    def test_cannot_start(self) -> None:
        """A daemon that ends at once is not waited for; its last words are passed on."""
        self.daemon.plan.config.write_text("[domain]\nname = foo.test\nissuer = nonsense\n")
        self.daemon.start()
        refusal = self.assertRaises(Unavailable, self.daemon.wait_ready)
        self.assertIn("ended: ", refusal.detail)

    def test_never_started(self) -> None:
        """Stopping and killing what does not run is nothing."""
        self.daemon.kill()
        self.daemon.stop()
        self.assertEqual(self.daemon.pid, 0)


class Whole(SynchronousTestCase):
    """rrsctl demo."""

    def test_nothing_lost(self) -> None:
        """The story ends well: bar.test died in mid-transfer, and every sum is the same; nothing is left behind."""
        with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
            command = [sys.executable, "-m", "rrsd.cli.main", "demo", "--size", "96MiB"]
            environ = {**os.environ, "TMPDIR": folder}
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=110)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(list(Path(folder).iterdir()), [])
        self.assertIn("nothing was lost", done.stdout)
        self.assertEqual(done.stdout.count("the same"), 3)
        steps = re.findall(r"^  (\d)  \S", done.stdout, re.MULTILINE)
        self.assertEqual(steps, [str(number) for number in range(1, 10)])
        # A machine that is busy with other tests may let the pull finish before the demo looks at it again.
        self.assertTrue("SIGKILL" in done.stdout or "too late" in done.stdout)
        self.assertNotIn("\x1b", done.stdout)
