"""Programs of this host: real ones, on the real reactor."""

import sys
from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from rrsd.core.refusals import Unavailable
from rrsd.runtime.processes import Processes
from rrsd.runtime.timers import Timers

CHATTER = "import sys; sys.stdout.write('x' * 5000); sys.stdout.flush(); sys.exit(3)"
SELF = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
INPUT = "import sys; sys.exit(len(sys.stdin.read()))"


class Programs(TestCase):
    """What becomes of them."""

    def setUp(self) -> None:
        """The reactor that trial runs."""
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def run_python(self, code: str, patience: float = 20) -> Deferred[int]:
        """The status of a Python that runs the code."""
        processes = Processes(self.reactor, Timers(self.reactor), timedelta(seconds=patience))
        return Deferred.fromCoroutine(processes.run([sys.executable, "-c", code]))

    async def test_status(self) -> None:
        """The program's own, or the signal that ended it; it has no input, and no shell reads its arguments."""
        for code, status in (("pass", 0), (CHATTER, 3), (SELF, -15), (INPUT, 0), ("import sys; sys.exit('$(id)')", 1)):
            self.assertEqual(await self.run_python(code), status)

    async def test_what_it_says(self) -> None:
        """Words are found wherever they stand, and nothing of the rest is kept; one that fails has said nothing."""
        code = (
            "import sys; w = sys.stdout.write; [w('x' * 65530 + 'needle') for _ in range(20)]; sys.stderr.write('no')"
        )
        processes = Processes(self.reactor, Timers(self.reactor))
        words = [b"needle", b"xneedlex", b"straw", b"no"]
        found = await processes.find([sys.executable, "-c", code], words)
        self.assertEqual(found, {b"needle", b"xneedlex"})
        self.assertEqual(await processes.find([sys.executable, "-c", code], []), frozenset())
        with self.assertRaises(Unavailable):
            await processes.find([sys.executable, "-c", "print('needle'); raise SystemExit(69)"], words)

    async def test_patience(self) -> None:
        """One that takes too long is killed, and refused."""
        with self.assertRaises(Unavailable):
            await self.run_python("import time; time.sleep(60)", 0.3)
        await deferLater(self.reactor, 1.0)  # until the killed one is buried

    async def test_nowhere(self) -> None:
        """One that is not there is refused."""
        processes = Processes(self.reactor, Timers(self.reactor))
        with self.assertRaises(Unavailable):
            await processes.run(["/nowhere/postqueue", "-i", "4A"])
