"""The memory of what may be used once, at 10^3 to 10^6 entries: what one more costs, and how large it is.

It needs neither a domain nor nginx:  python -m bench.replays [FOLDER]
"""

import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from attrs import define, field
from twisted.internet.defer import Deferred

from bench import machine, readings
from bench.figures import Sheet, in_one_table, shown
from rrsd.core.values.instants import Instant, instant
from rrsd.drivers.store.sql.database import FileDatabase
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.replays import Replays
from rrsd.runtime.workers import InlineWorkers

NAME, RRSD = "first uses, one commit each", "rrsd"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MIB = 1024 * 1024
MOST_GROWTH = 2.0
"""How much more processor time one use may take at the last size than at the first."""
LEAST_MEMORY = 64.0
_START = instant(1_800_000_000)
_LIFE = timedelta(seconds=300)


@define(eq=False)
class Memory:
    """One database, filled to each size in turn; `uses` are measured at each."""

    folder: Path
    sheet: Sheet
    uses: int = 2000
    _now: Instant = field(default=_START, init=False)
    _many: int = field(default=0, init=False)
    _replays: Replays = field(init=False)
    _engine: Engine = field(init=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "replays.sqlite"

    def run(self) -> None:
        """Every size, then the sweep of all that has expired."""
        inline = InlineWorkers()
        self._engine = Engine(FileDatabase(str(self.path)), inline, inline)
        _done(self._engine.start())
        self._replays = Replays(self._engine, lambda: self._now)
        readings.forget_peak(os.getpid())
        before = readings.peak_mib(os.getpid())
        for size in SIZES:
            self._fill(size)
            self._measure(f"at {size:,}")
        self.sheet.add(NAME, RRSD, {"memory that was added": (readings.peak_mib(os.getpid()) - before, "MiB")})
        self.sheet.add(NAME, RRSD, {"file": (self.path.stat().st_size / MIB, "MiB")})
        self._now = _START + timedelta(days=1)
        self._measure("while all has expired")
        _done(self._engine.stop())

    def _fill(self, size: int) -> None:
        """Entries as `Replays` makes them, many in one transaction."""
        with sqlite3.connect(self.path, isolation_level=None) as connection:
            end = (_START + _LIFE).timestamp()
            made = ((hashlib.sha256(f"fill {n}".encode()).digest(), end) for n in range(self._many, size))
            connection.execute("BEGIN")
            connection.executemany("INSERT OR IGNORE INTO replays (once, expires) VALUES (?, ?)", made)
            connection.execute("COMMIT")
        connection.close()
        self._many = size

    def _measure(self, when: str) -> None:
        slowest = 0.0
        wall, used = time.perf_counter(), time.process_time()
        for number in range(self.uses):
            began = time.perf_counter()
            if not _done(self._replays.first_use("client", f"{when} {number}", self._now + _LIFE)):
                raise RuntimeError("a first use that was none")
            slowest = max(slowest, time.perf_counter() - began)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        self.sheet.add(NAME, RRSD, {
            f"processor time {when}": (used / self.uses * 1e6, "µs"),
            f"time {when}": (wall / self.uses * 1e6, "µs"),
            f"slowest {when}": (slowest * 1e3, "ms"),
        })  # fmt: skip

    def judge(self) -> None:
        """The goals: one more costs the same, and nothing is held in memory."""
        first, last = (self.sheet.find(NAME, RRSD, f"processor time at {size:,}") for size in (SIZES[0], SIZES[-1]))
        grown = self.sheet.find(NAME, RRSD, "memory that was added")
        if first is None or last is None or grown is None:
            return
        times = last.median / first.median
        self.sheet.judge(f"{NAME}: insert time flat, 10^3 to 10^6", f"{shown(times)} times", times <= MOST_GROWTH)
        self.sheet.judge(f"{NAME}: memory bounded", f"{shown(grown.most)} MiB", grown.most <= LEAST_MEMORY)


def _done(work: "Coroutine[Any, Any, Any] | Deferred[Any]") -> Any:
    """What it comes to; everything here happens at once."""
    outcome: list[Any] = []
    waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    waiting.addBoth(outcome.append)
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return outcome[0]


def main(folder: str | None, say: Callable[[str], None], uses: int = 2000) -> Sheet:
    """Measure in a folder of its own, and say what was found."""
    sheet = Sheet(machine.describe(folder or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="rrsd-bench-", dir=folder) as own:
        memory = Memory(Path(own), sheet, uses)
        memory.run()
        memory.judge()
    say(in_one_table(sheet))
    return sheet


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
def command(folder: str | None) -> None:
    """Measure what one first use costs with 10^3 to 10^6 entries in the memory, in FOLDER or the temporary one."""
    main(folder, click.echo)


if __name__ == "__main__":
    command()
