"""What every test with real processes needs: a short folder, a deadline, no remains, no secret in a log."""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.pace import slowness

_CREDENTIAL = re.compile(r"eyJ[\w-]{8,}|(?:Bearer|Basic) [\w.~+/-]{8,}|PRIVATE KEY|\$argon2")
_LOOK_AGAIN = 0.005


class ProcessCase(SynchronousTestCase):
    """A test that ends within `seconds`, and all of its processes with it."""

    seconds = 150

    @override
    def setUp(self) -> None:
        # A unix socket's path is short: the folder is not the test runner's.
        self.root = Path(tempfile.mkdtemp(prefix="rrsd-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.secrets: set[str] = set()
        self.addCleanup(self._require_clean)
        before = signal.signal(signal.SIGALRM, self._late)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.alarm(round(self.seconds * slowness()))
        self.addCleanup(signal.alarm, 0)

    def run_to_end(self, command: list[str], **more: Any) -> "subprocess.CompletedProcess[bytes]":
        """What came of a process that ends by itself."""
        return subprocess.run(command, capture_output=True, check=False, timeout=self.seconds, **more)

    def until(self, what: str, holds: Callable[[], Any], seconds: float = 20.0) -> Any:
        """The first true answer of `holds`; the test fails when none comes in time."""
        end = time.monotonic() + seconds * slowness()
        while time.monotonic() < end:
            found = holds()
            if found:
                return found
            time.sleep(_LOOK_AGAIN)
        return self.fail(f"not within {seconds} s: {what}")

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def _late(self, *_: object) -> None:
        raise TimeoutError(f"the test takes longer than {self.seconds} s")

    def _require_clean(self) -> None:
        """Z-11: no token, assertion, password or private key stands in a log or an audit trail."""
        kept = Path(self.mktemp())
        for path in (*self.root.rglob("*.log"), *self.root.rglob("*.jsonl")):
            # The folder goes; what was written into it stays for `tests.secrets`.
            copy = kept / path.relative_to(self.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            text = path.read_text(errors="replace")
            self.assertEqual(_CREDENTIAL.findall(text), [], str(path))
            self.assertEqual([secret for secret in self.secrets if secret in text], [], str(path))
