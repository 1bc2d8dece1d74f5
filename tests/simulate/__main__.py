"""`python -m tests.simulate`: whole domains live through a fault plan that follows from a seed."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import cast

from twisted.logger import ILogObserver, globalLogBeginner

from tests.simulate.runner import Outcome, simulate

_WORDS = """
Each seed is a small world: one or two senders, a receiver, each a whole daemon on a disk in memory that forgets what
was not synced, and one clock for all. The seed decides what is sent and what goes wrong: connections that are refused,
silent, reset, stalled, shortened or damaged at any byte, servers that push back, disks that are full or fail, loss of
power and kill -9 at any call, operators. The promises R1-R10 of docs/operator/promises.rst are held all the time, and
when all troubles have ended everything must come to its end within nine hours of virtual time.

  make simulate                    2,000 seeds
  make simulate SEEDS=100000       the long run; SIMULATE="--state FILE" lets it go on where it was stopped
  make simulate SEED=17            one seed again, with its story: the same seed is the same story, always
"""
REPORT_EVERY = 30.0
AT_ONCE = 20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulate", epilog=_WORDS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2000, metavar="N", help="how many seeds (2000)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them (1)")
    parser.add_argument("--seed", type=int, metavar="SEED", help="replay this one and print its story")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="at once (all cores)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="remember what is done, and go on there next time")
    parser.add_argument("--digests", action="store_true", help="print the digest of each story")
    return parser.parse_args()


def main() -> int:
    """The exit status: 0 when every promise was kept in every seed."""
    asked = _arguments()
    if asked.seed is not None:
        _quiet()
        return _tell(simulate(asked.seed))
    return _run(asked)


def _quiet() -> None:
    """The log of the daemons goes nowhere; what must not stand in it is looked at by the world."""
    nobody = cast(ILogObserver, lambda event: None)
    globalLogBeginner.beginLoggingTo([nobody], redirectStandardIO=False, discardBuffer=True)


def _tell(outcome: Outcome) -> int:
    print("\n".join(outcome.lines))
    print(f"story {outcome.digest}: {outcome.pulls} attempts, {outcome.faults} faults on the network, "
          f"{outcome.boots} starts of daemons")  # fmt: skip
    print(f"broken: {outcome.broken}" if outcome.broken else "every promise is kept")
    return int(bool(outcome.broken))


def _run(asked: argparse.Namespace) -> int:
    began, cpu = time.monotonic(), 0.0
    done, failed = _done(asked.state), 0
    seeds = range(asked.first + done, asked.first + asked.seeds)
    total, attempts, faults, said = done, 0, 0, began
    for outcome in _outcomes(seeds, asked.processes):
        total, attempts, faults = total + 1, attempts + outcome.pulls, faults + outcome.faults
        cpu += outcome.took
        if asked.digests:
            print(outcome.seed, outcome.digest)
        if outcome.broken:
            failed += 1
            print(f"\nseed {outcome.seed} broken: {outcome.broken}\n  again: make simulate SEED={outcome.seed}")
            print("\n".join(f"    {line}" for line in outcome.lines[-40:]), flush=True)
        if time.monotonic() - said > REPORT_EVERY:
            said = time.monotonic()
            print(f"simulate: {total} of {asked.seeds} seeds, {failed} broken, {said - began:.0f} s", flush=True)
        if asked.state and total % AT_ONCE == 0 and not failed:
            asked.state.write_text(f"{total}\n")
    figures = f"{attempts} attempts, {faults} faults on the network"
    each = f"{cpu:.0f} s of processor time, {time.monotonic() - began:.0f} s passed"
    print(f"simulate: {total} seeds, {failed} broken ({figures}; {each})")
    return int(bool(failed))


def _done(state: Path | None) -> int:
    return int(state.read_text()) if state is not None and state.exists() else 0


def _outcomes(seeds: range, processes: int) -> Iterator[Outcome]:
    """In the order of the seeds. Each batch has processes of its own: what a world leaves behind does not add up."""
    batch = AT_ONCE * processes * 4
    for start in range(0, len(seeds), batch):
        with ProcessPoolExecutor(processes, initializer=_quiet) as pool:
            yield from pool.map(simulate, seeds[start : start + batch], chunksize=AT_ONCE // 4)


if __name__ == "__main__":
    sys.exit(main())
