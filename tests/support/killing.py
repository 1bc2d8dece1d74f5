"""kill -9 of a server with all its processes, so that none of them ends in order."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tests.support.running import until


@frozen
class Process:
    """One that runs."""

    pid: int
    parent: int
    name: str
    state: str


def family(master: int) -> list[Process]:
    """The master and those whom it started."""
    return [each for each in _processes() if master in (each.pid, each.parent)]


def kill_family(master: int, *last: str) -> list[str]:
    """SIGKILL to the master and to every process of its own; the names of those that died.

    Processes called `last` write the log: they die when the others are dead, as a syslog would that is nobody's child,
    so that what was said before is in the log.
    """
    _send(master, signal.SIGSTOP)  # it starts no other
    until("the master stands still", lambda: any(each.pid == master and each.state == "T" for each in _processes()))
    dying = family(master)
    first = [each for each in dying if each.name not in last]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another die, and says so
        for each in first:
            _send(each.pid, number)
    _wait_gone(first)
    for each in dying:
        if each not in first:
            _send(each.pid, signal.SIGKILL)
    _wait_gone(dying)
    return [each.name for each in dying]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it had come to its end by itself
        os.kill(pid, number)


def _wait_gone(processes: list[Process]) -> None:
    until("they are dead", lambda: not {each.pid for each in processes} & {each.pid for each in _processes()})


def _processes() -> Iterator[Process]:
    """Everybody but those that are dead and not yet asked for."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            before, _, after = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        state, parent = after.split()[:2]
        if state not in "ZX":
            yield Process(int(folder.name), int(parent), before.partition("(")[2], state)
