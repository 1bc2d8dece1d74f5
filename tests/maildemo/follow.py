"""Logs and trails while they are being written."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import define, field

from rrsd.cli.demo.daemons import Daemon
from tests.maildemo.telling import Told, of_log, of_trail


@define(eq=False)
class Follower:
    """One file; `tell` makes words of a line."""

    path: Path
    tell: Callable[[str], Told | None]
    _offset: int = field(default=0, init=False)
    _told: list[Told] = field(factory=list, init=False)

    @classmethod
    def of_log(cls, domain: str, path: Path) -> "Follower":
        """Postfix's log."""
        return cls(path, lambda line: of_log(domain, line))

    @classmethod
    def of_trail(cls, domain: str, daemon: Daemon | None) -> "Follower | None":
        """The daemon's audit trail, where there is a daemon."""
        return cls(daemon.audit, lambda line: of_trail(domain, json.loads(line))) if daemon else None

    def skip(self) -> None:
        """What is there by now is no news."""
        self._offset = self.path.stat().st_size

    def news(self) -> Iterator[Told]:
        """The lines that are whole by now; what is said again and again is said once."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole + end)
        for line in whole.decode(errors="replace").splitlines():
            told = self.tell(line)
            if told is not None and told not in self._told:
                self._told.append(told)
                yield told
