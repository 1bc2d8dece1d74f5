"""The pull queue: how long it may be, whom it keeps waiting, and whom it bothers.

It needs neither a domain nor nginx, and no network: senders are played under a virtual clock (`bench.arena`).

    python -m bench.queue                       everything: 1,000,000 jobs, an hour of trouble, a day of a dead sender
    python -m bench.queue scale --jobs 100000
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import click
from attrs import define, field, frozen

from bench import arena, machine, readings
from bench.acceptance import accept
from bench.arena import BEGIN, Arena, done, message_of, origin_of
from bench.figures import Sheet, in_one_table, shown
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Job
from rrsd.drivers.store.blobs.space import Space
from rrsd.drivers.store.memory import MemoryFiles, MemoryStore
from rrsd.drivers.store.sql.database import FileDatabase
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.queue import Queue
from rrsd.drivers.store.sql.room import Room
from rrsd.roles.rra.picker import Picker
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.runtime.workers import InlineWorkers

RRSD, MIB = "rrsd", 1 << 20
HOME = Domain("bar.test")
PARTS = ("scale", "isolation", "politeness")
SINGLE, PICKS, BATCH = 2_000, 2_000, 100
DAY = 86_400.0
_BOUNDLESS = 1 << 62


@frozen
class Amounts:
    """How much of everything."""

    jobs: int = 1_000_000
    destinations: int = 10_000
    dead: int = 1_000
    drips: int = 100
    poison: int = 100_000
    minutes: int = 60
    behind_dead: int = 10_000
    limited: int = 2_000


def user(number: int) -> Address:
    """One of a hundred recipients."""
    return Address(f"u{number % 100}", HOME)


# --- scale


@define(eq=False)
class Scale:
    """A queue in a file, filled as messages come in; then a process of its own starts on it."""

    folder: Path
    sheet: Sheet
    amounts: Amounts
    _names: Iterator[int] = field(factory=lambda: iter(range(1 << 40)))

    NAME = "a long queue"

    def run(self) -> None:
        """Accept, fill, measure one by one at both ends, then start."""
        self._rate("accepted whole, one by one", SINGLE, *accept(self.folder, [user(n) for n in range(SINGLE)]))
        engine, queue = opened(self.folder)
        self._one_by_one(queue, "empty queue")
        self._fill(queue)
        self._one_by_one(queue, f"{self.amounts.jobs:,} jobs")
        done(engine.stop())
        size = (self.folder / "queue.sqlite").stat().st_size
        self.sheet.add(self.NAME, RRSD, {"file": (size / MIB, "MiB")})
        command = [sys.executable, "-m", "bench.queue", "start", str(self.folder)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.sheet.add(self.NAME, RRSD, {name: (value, unit) for name, value, unit in json.loads(told)})

    def _accept(self, queue: Queue, jobs: int) -> Any:
        number = next(self._names)
        origin = origin_of("good", number % self.amounts.destinations)
        return queue.accept(*message_of(origin, user(number), f"m{number}", [100_000] * jobs, BEGIN))

    def _one_by_one(self, queue: Queue, when: str) -> None:
        began, used = time.perf_counter(), time.process_time()
        for _ in range(SINGLE):
            done(self._accept(queue, 1))
        self._rate(f"enqueued one by one, {when}", SINGLE, time.perf_counter() - began, time.process_time() - used)

    def _rate(self, name: str, jobs: int, wall: float, used: float) -> None:
        rates = {name: (jobs / wall, "/s"), f"{name}, by processor time": (jobs / used, "/s")}
        self.sheet.add(self.NAME, RRSD, rates)

    def _fill(self, queue: Queue) -> None:
        """Messages of 100 attachments, each a commit of its own, to one recipient after the other."""
        left, wall, used = self.amounts.jobs - SINGLE, 0.0, 0.0
        messages = -(-left // BATCH)
        for _ in range(messages):
            waiting = self._accept(queue, BATCH)
            began, since = time.perf_counter(), time.process_time()
            done(waiting)
            wall, used = wall + time.perf_counter() - began, used + time.process_time() - since
        self._rate("enqueued in batches of 100", messages * BATCH, wall, used)

    def judge(self) -> None:
        """The goals of issue 5."""
        goals = (
            ("enqueued one by one, empty queue", "≥ 2,000/s", lambda v: v >= 2000),
            (f"enqueued one by one, {self.amounts.jobs:,} jobs", "≥ 2,000/s", lambda v: v >= 2000),
            ("enqueued in batches of 100", "≥ 20,000/s", lambda v: v >= 20000),
            ("start to first transfer", "≤ 30 s", lambda v: v <= 30),
            ("resident memory, at most", "≤ 500 MiB", lambda v: v <= 500),
            ("pick, 99 of 100 within", "≤ 5 ms", lambda v: v <= 5),
        )
        judge(self.sheet, self.NAME, goals)


def opened(folder: Path) -> tuple[Engine, Queue]:
    """The queue in the folder, every commit synced."""
    engine = Engine(FileDatabase(str(folder / "queue.sqlite")), InlineWorkers(), InlineWorkers())
    done(engine.start())
    space = Space(MemoryFiles(lambda: instant(0), _BOUNDLESS), "", 0)
    return engine, Queue(engine, lambda digest: False, space, Room(space))


def start(folder: Path) -> list[tuple[str, float, str]]:
    """What a start on that queue takes, and then `PICKS` picks: each fills the slot of a transfer that has ended."""
    since = time.time() - _age()
    engine, queue = opened(folder)
    first: list[float] = []
    house = Arena(queue=queue, behaviours={"good": arena.good}, started=lambda job, now: first.append(time.time()))
    picks, used, rounds = list[float](), list[float](), list[float]()
    measured(picks, used, rounds)
    house.begin()
    house.until(0.1)
    at = 0.1
    while len(picks) < PICKS:
        at += 0.05
        house.until(at)
    done(engine.stop())
    return [
        ("start to first transfer", first[0] - since, "s"),
        ("resident memory, at most", readings.peak_mib(os.getpid()), "MiB"),
        *spread("pick", picks, 1e3, "ms"),
        *spread("processor time of a pick", used, 1e3, "ms"),
        *spread("round with its durable leases", rounds, 1e3, "ms"),
        ("jobs known in memory, at most", float(len(house.scheduler.picker.fair)), ""),
    ]


def measured(picks: list[float], used_up: list[float], rounds: list[float]) -> None:
    """Let each pick and each round be timed."""
    pick, work = Picker.picks, Scheduler.round

    def picking(self: Picker, room: int, now: Instant) -> Any:
        began, used = time.perf_counter(), time.thread_time()
        found = pick(self, room, now)
        for _ in found:
            picks.append((time.perf_counter() - began) / len(found))
            used_up.append((time.thread_time() - used) / len(found))
        return found

    async def rounding(self: Scheduler) -> Any:
        began = time.perf_counter()
        sleep = await work(self)
        rounds.append(time.perf_counter() - began)
        return sleep

    setattr(Picker, "picks", picking)  # noqa: B010 (a class of somebody else's)
    setattr(Scheduler, "round", rounding)  # noqa: B010


def _age() -> float:
    """Seconds since this process began."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def spread(name: str, values: list[float], times: float, unit: str) -> list[tuple[str, float, str]]:
    """Median and the 99th of 100."""
    ordered = sorted(values)
    return [
        (f"{name}, median", ordered[len(ordered) // 2] * times, unit),
        (f"{name}, 99 of 100 within", ordered[int(len(ordered) * 0.99)] * times, unit),
    ]


# --- isolation


@define(eq=False)
class Isolation:
    """A healthy sender's twenty attachments every ten seconds, alone and beside others' trouble."""

    sheet: Sheet
    amounts: Amounts

    NAME = "isolation"
    WARM = 120.0

    def run(self) -> None:
        """The same hour twice."""
        for name, kind in (("alone", "alone"), ("beside trouble", "trouble")):
            late = self.latencies(kind == "trouble")
            self.sheet.add(self.NAME, RRSD, {quantity: (v, unit) for quantity, v, unit in spread(name, late, 1, "s")})

    def latencies(self, is_troubled: bool) -> list[float]:
        """Seconds from acceptance to start of each job of the healthy sender, once it is known to deliver."""
        begun: dict[int, float] = {}

        def started(job: Job, now: Instant) -> None:
            if job.origin == origin_of("healthy") and (job.accepted - BEGIN).total_seconds() > self.WARM:
                begun.setdefault(job.job, (now - job.accepted).total_seconds())

        store = MemoryStore(lambda: BEGIN)
        done(store.start())
        kinds = {"healthy": arena.good, "dead": arena.dead, "drip": arena.drip, "poison": arena.poison}
        house = Arena(queue=store.queue, behaviours=kinds, started=started)
        sent = iter(range(1 << 40))
        house.begin()
        for beat in range(int(self.WARM / 10) + self.amounts.minutes * 6):
            house.until(beat * 10)
            self._send(house, "healthy", 0, f"h{beat % 10}", 20, next(sent))
            if is_troubled and beat == self.WARM / 10:
                self._trouble(house, sent)
        house.until(self.WARM + self.amounts.minutes * 60)
        return list(begun.values())

    def _trouble(self, house: Arena, sent: Iterator[int]) -> None:
        for kind, senders, jobs in (
            ("dead", self.amounts.dead, 20),
            ("drip", self.amounts.drips, 20),
            ("poison", self.amounts.poison // 100, 100),
        ):
            for number in range(senders):
                self._send(
                    house, kind, number % 100 if kind == "poison" else number, f"u{number % 100}", jobs, next(sent)
                )

    def _send(self, house: Arena, kind: str, number: int, local: str, jobs: int, name: int) -> None:
        given = message_of(
            origin_of(kind, number), Address(local, HOME), f"m{name}", [100_000] * jobs, house.timers.now()
        )
        done(house.queue.accept(*given))
        house.bell.ring()

    def judge(self) -> None:
        """At most a tenth more."""
        alone = self.sheet.find(self.NAME, RRSD, "alone, 99 of 100 within")
        beside = self.sheet.find(self.NAME, RRSD, "beside trouble, 99 of 100 within")
        if alone is None or beside is None:
            return
        said = f"{shown(alone.median)} s alone, {shown(beside.median)} s beside"
        self.sheet.judge(
            "isolation: p99 from acceptance to start ≤ 10 % more", said, beside.median <= alone.median * 1.1
        )


# --- politeness


@define(eq=False)
class Politeness:
    """A server that hangs up on the sixth connection, and one that does not answer for a day."""

    sheet: Sheet
    amounts: Amounts

    NAME = "politeness"

    def run(self) -> None:
        """Both, under the virtual clock."""
        attempts, refused = self.limited()
        share = 100 * refused / attempts
        self.sheet.add(self.NAME, RRSD, {"attempts that a limiter of 5 refused": (share, "%")})
        for behind in (1, self.amounts.behind_dead):
            self.sheet.add(
                self.NAME, RRSD, {f"probes on the first day, {behind:,} behind it": (self.probes(behind), "")}
            )

    def limited(self) -> tuple[int, int]:
        """Attempts, and those that were refused."""
        counted = [0, 0]

        def started(job: Job, now: Instant) -> None:
            counted[0] += 1
            counted[1] += house.running[job.origin] > 5

        house = self._house("limiter", arena.limiter, self.amounts.limited, started)
        house.begin()
        house.until(self.amounts.limited)
        return counted[0], counted[1]

    def probes(self, behind: int) -> int:
        """Attempts at a dead server in the first day."""
        counted: list[Instant] = []
        house = self._house("dead", arena.dead, behind, lambda job, now: counted.append(now))
        house.begin()
        house.until(DAY)
        return len(counted)

    def _house(
        self, kind: str, behaviour: arena.Behaviour, jobs: int, started: Callable[[Job, Instant], None]
    ) -> Arena:
        store = MemoryStore(lambda: BEGIN)
        done(store.start())
        for number in range(-(-jobs // 100)):
            given = message_of(origin_of(kind), user(number), f"m{number}", [100_000] * min(100, jobs), BEGIN)
            done(store.queue.accept(*given))
        return Arena(queue=store.queue, behaviours={kind: behaviour}, started=started)

    def judge(self) -> None:
        """The goals of issue 5."""
        most = f"probes on the first day, {self.amounts.behind_dead:,} behind it"
        goals = (
            ("attempts that a limiter of 5 refused", "≤ 5 %", lambda v: v <= 5),
            (most, "≤ 150", lambda v: v <= 150),
        )
        judge(self.sheet, self.NAME, goals)


class Part(Protocol):
    """Something that is measured."""

    def run(self) -> None: ...
    def judge(self) -> None: ...


def judge(sheet: Sheet, name: str, goals: Any) -> None:
    """Set each goal beside what was measured."""
    for quantity, goal, is_met in goals:
        found = sheet.find(name, RRSD, quantity)
        if found is not None:
            sheet.judge(
                f"{name}: {quantity} {goal}", f"{shown(found.median)} {found.unit}".strip(), is_met(found.median)
            )


def main(parts: tuple[str, ...], amounts: Amounts, folder: str | None, say: Callable[[str], None]) -> Sheet:
    """Measure, and say what was found."""
    sheet = Sheet(machine.describe(folder or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="rrsd-bench-", dir=folder) as own:
        made: dict[str, Part] = {
            "scale": Scale(Path(own), sheet, amounts),
            "isolation": Isolation(sheet, amounts),
            "politeness": Politeness(sheet, amounts),
        }
        for name in parts:
            began = time.perf_counter()
            made[name].run()
            made[name].judge()
            sheet.notes.append(f"{name} took {time.perf_counter() - began:.0f} s; load {machine.load()}")
    say(in_one_table(sheet))
    return sheet


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1)
@click.option("--jobs", default=Amounts().jobs, show_default=True, help="How long the queue is.")
@click.option("--minutes", default=Amounts().minutes, show_default=True, help="Of trouble, on the virtual clock.")
@click.option("--folder", default=None, type=click.Path(exists=True, file_okay=False), help="Where the file goes.")
def command(parts: tuple[str, ...], jobs: int, minutes: int, folder: str | None) -> None:
    """Measure the queue: scale, isolation, politeness; all of them without PARTS.

    \b
      scale        enqueues, start, memory and picks with 1,000,000 jobs over 10,000 destinations
      isolation    a healthy sender beside 1,000 dead ones, 100 that drip and 100,000 poison jobs
      politeness   a server that bears five connections, and one that is dead for a day
    """
    if parts[:1] == ("start",):
        click.echo(json.dumps(start(Path(parts[1]))))
        return
    main(parts or PARTS, Amounts(jobs=jobs, minutes=minutes), folder, click.echo)


if __name__ == "__main__":
    command()
