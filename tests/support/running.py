"""Servers that a test starts: programs in a folder, ready when they answer, stopped without remains."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import define, field

from tests.support.nameservers import PATH, Missing
from tests.support.pace import slowness

PATIENCE = 30.0
"""Seconds that a server has to come up, or to go, on a slow machine."""
LOOPBACK = "127.0.0.1"


@define(eq=False)
class Running:
    """Programs that stay in the foreground, each with a log in the folder."""

    folder: Path
    _processes: dict[str, "subprocess.Popen[bytes]"] = field(factory=dict, init=False)

    def start(self, name: str, command: list[str]) -> None:
        """Start one; it is not ready yet."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def pid(self, name: str) -> int:
        """The process."""
        return self._processes[name].pid

    def stop(self, *names: str) -> None:
        """End these, or all; those that take long are ended side by side."""
        ending = [self._processes.pop(name) for name in names or tuple(self._processes)]
        for process in ending:
            process.terminate()
        for process in ending:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def dead(self) -> list[str]:
        """Those that have ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]


def environment() -> dict[str, str]:
    """Ours, with the folders that servers are in."""
    return {**os.environ, "PATH": PATH}


def run(*command: str, may_fail: bool = False, given: str = "") -> str:
    """What a program printed.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, input=given, timeout=PATIENCE, check=False
    )
    if done.returncode and not may_fail:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def require_programs(packages: Mapping[str, str]) -> None:
    """Raises:
    Missing: a program is not there; it says which packages to install.
    """
    missing = {package for program, package in packages.items() if shutil.which(program, path=PATH) is None}
    if missing:
        raise Missing(f"install {' '.join(sorted(missing))}, as in apt-get install, without starting what they bring")


def until(what: str, holds: Callable[[], bool], logs: Iterable[Path] = (), seconds: float = PATIENCE) -> None:
    """Return when it holds.

    Raises:
        AssertionError: it does not in time; the text ends with the ends of the logs.
    """
    end = time.monotonic() + seconds * slowness()
    while not holds():
        if time.monotonic() > end:
            told = "\n".join(f"{path}:\n{path.read_text(errors='replace')[-2000:]}" for path in logs if path.exists())
            raise AssertionError(f"not within {seconds:.0f} s: {what}\n{told}")
        time.sleep(0.02)


def greets(port: int, greeting: bytes = b"") -> bool:
    """Whether somebody listens on the port of loopback, and begins with these bytes."""
    try:
        with socket.create_connection((LOOPBACK, port), 1.0) as probe:
            probe.settimeout(5.0)
            return not greeting or probe.recv(200).startswith(greeting)
    except OSError:
        return False
