"""Real processes in a real store, killed at any moment; what they said is durable is remembered and checked outside."""

import hashlib
import os
import select
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import NoReturn

from attrs import define, field, frozen

from rrsd.core.values.digests import Digest, parse_digest
from tests.crash import victim

LONGEST = 0.4
"""Seconds until the kill, at most: of one process in four from its fork, of the others from the end of its start."""
_PATIENCE = 60.0  # seconds that a start may take on a machine that does much else


@define(eq=False)
class Oracle:
    """What was acknowledged, by whoever heard it. It has never seen the inside of the store."""

    folder: Path
    accepted: set[str] = field(factory=set)
    stored: set[str] = field(factory=set)
    receipted: set[int] = field(factory=set)
    receipts: dict[int, str] = field(factory=dict)
    offsets: dict[str, int] = field(factory=dict)
    kept: set[str] = field(factory=set)
    checkpoints: dict[int, int] = field(factory=dict)
    wrong: list[str] = field(factory=list)
    _verified: set[str] = field(factory=set)

    def hear(self, line: str) -> None:
        """One line of a process."""
        what, name, *more = [*line.split(" ", 2), ""]
        if what in ("accepted", "stored", "kept"):
            getattr(self, what).add(name)
        elif what == "receipted":
            self.receipted.add(int(name))
        elif what == "offset":
            self.offsets[name] = int(more[0])
        elif what == "checkpoint":
            self.checkpoints[int(name)] = int(more[0])
        elif what == "receipt" and self.receipts.setdefault(int(name), more[0]) != more[0]:
            self.wrong.append(f"R8: the receipt of job {name} has another key")
        elif what == "resumed" and int(more[0]) < self.checkpoints.get(int(name), 0):
            self.wrong.append(f"R4: job {name} went on at {more[0]}, {self.checkpoints[int(name)]} was durable")
        elif what == "failed":
            self.wrong.append(line)

    def check(self) -> None:
        """Hold what was heard against the files and rows, read from outside."""
        if not (self.folder / "rrsd.sqlite").exists():
            self.wrong += ["R1: the database is gone"] if self.accepted else []
            return
        with closing(sqlite3.connect(self.folder / "rrsd.sqlite")) as rows:
            jobs = rows.execute("SELECT job, message, state, digest FROM jobs").fetchall()
            offsets = dict(rows.execute("SELECT upload, offset FROM uploads").fetchall())
        stored = {row[1]: Digest(row[3]).b64 for row in jobs if row[2] in ("stored", "receipted")}
        self._miss("R1: acknowledged and gone", self.accepted - {row[1] for row in jobs})
        self._miss("R2: said to be stored, and is not", self.stored - set(stored))
        self._miss("R8: acknowledged twice", self.receipted - {row[0] for row in jobs if row[2] == "receipted"})
        self._miss("R1: bytes of an upload", {name for name, at in self.offsets.items() if offsets.get(name, 0) < at})
        self._miss(
            "R2: without its bytes", {each for each in {*stored.values(), *self.kept} if not self._is_whole(each)}
        )

    def require_finished(self) -> None:
        """After a process that nobody killed every message has its bytes."""
        with closing(sqlite3.connect(self.folder / "rrsd.sqlite")) as rows:
            waiting = rows.execute("SELECT message FROM jobs WHERE state <> 'receipted'").fetchall()
        self._miss("R7: never brought to its end", {str(name) for (name,) in waiting})

    def _miss(self, what: str, names: "set[str] | set[int]") -> None:
        if names:
            self.wrong.append(f"{what}: {sorted(map(str, names))[:5]}")

    def _is_whole(self, name: str) -> bool:
        """Whether the blob is there; its bytes are read once."""
        raw = parse_digest(name).raw
        path = self.folder / "blobs" / f"{raw[0]:02x}" / name
        if name in self._verified or not path.exists():
            return path.exists()
        with path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").digest() == raw
        self._verified |= {name} if whole else set()
        return whole


@frozen
class Kill:
    """After so many seconds, counted from the fork or from the first word."""

    seconds: float
    early: bool

    def strike(self, child: int, reading: int) -> None:
        """Wait, and kill."""
        if not self.early:
            select.select((reading,), (), (), _PATIENCE)
        time.sleep(self.seconds)
        os.kill(child, signal.SIGKILL)


def _run(folder: str, run: int, kill: Kill | None) -> Iterator[str]:
    """The lines of one process that is killed, or of one that may finish what the others began."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _live(folder, run, writing, victim.FOREVER if kill else 0)
    os.close(writing)
    if kill is not None:
        kill.strike(child, reading)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    # What stands before the last end of line was heard; a line that was cut off was not.
    yield from said.decode().rpartition("\n")[0].splitlines()


def _live(folder: str, run: int, writing: int, most: int) -> NoReturn:
    try:
        victim.live(folder, lambda line: _say(writing, line), run, most)
    finally:
        os._exit(0)


def _say(writing: int, line: str) -> None:
    os.write(writing, f"{line}\n".encode())


def kill_loop(kills: int, seed: int) -> int:
    """Kill so many processes, let the last one finish, print what was acknowledged; the exit status."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rrsd-crash-"))
    oracle, chance = Oracle(folder / "store"), Random(seed)
    for run in range(kills):
        for line in _run(str(oracle.folder), run, Kill(chance.uniform(0.0, LONGEST), chance.random() < 0.25)):
            oracle.hear(line)
        oracle.check()
        if oracle.wrong:
            break
    else:
        for line in _run(str(oracle.folder), kills, None):
            oracle.hear(line)
        oracle.check()
        oracle.require_finished()
    print(
        f"crash: {kills} processes killed; {len(oracle.accepted)} messages, {len(oracle.stored)} stored pulls, "
        f"{len(oracle.receipted)} receipts and {len(oracle.kept)} uploads acknowledged, {len(oracle.wrong)} broken, "
        f"{time.monotonic() - began:.0f} s, seed {seed}"
    )
    for each in oracle.wrong:
        print(f"broken: {each}\n    the store is left in {oracle.folder}")
    if not oracle.wrong:
        shutil.rmtree(folder)
    return int(bool(oracle.wrong))
