"""`python -m tests.crash`: end the process or the power at every call, and hold the promises against what is left."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

from attrs import frozen

from rrsd.cli.output import table
from tests.crash.explore import Count, Explorer, Failed, parse_replay
from tests.crash.kills import kill_loop
from tests.crash.scenarios import BY_NAME, SCENARIOS

_WORDS = """
Each scenario (--list) is run over a disk in memory that forgets what was not synced. At every call of the store the
power fails: un-synced writes and names are lost in any subset, writes are torn; or only the process ends; or the call
fails with EIO or ENOSPC, once, for every call. What is left is opened again, the promises R1-R10 of the scheduler are
held against it, and the next process has to go on to the end, and may be ended at every call itself.

A state counts once, however many crashes lead to it. A state in which a promise is broken is printed with the word that
leads to exactly this state again: python -m tests.crash --replay WORD.
"""
LANES = 4
"""However many processes work on them: the same seed looks at the same states everywhere."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", epilog=_WORDS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--states", type=int, default=100_000, metavar="N", help="states that are enough (100000)")
    parser.add_argument(
        "--seconds", type=float, default=0, metavar="S", help="fail when it takes longer, of processor time (no limit)"
    )
    parser.add_argument("--seed", type=int, default=5, metavar="N", help="of what is drawn from too many (5)")
    parser.add_argument("--scenario", action="append", choices=sorted(BY_NAME), help="only this one; may be repeated")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="at once (all cores)")
    parser.add_argument("--replay", metavar="WORD", help="come to one state again, and say which calls lead there")
    parser.add_argument(
        "--kills", type=int, metavar="N", help="kill so many real processes instead (make crash KILLS=N)"
    )
    parser.add_argument("--list", action="store_true", help="say what the scenarios are")
    return parser.parse_args()


def main() -> int:
    """The exit status: 0 when every promise was kept in as many states as were asked for."""
    asked = _arguments()
    if asked.list:
        print(table(("scenario", "what happens"), [(each.name, each.about) for each in SCENARIOS]))
        return 0
    if asked.kills is not None:
        return kill_loop(asked.kills, asked.seed)
    return _replay(asked) if asked.replay else _explore(asked)


@frozen
class Row:
    """What came of one scenario: its name, what was looked at, processor seconds; and what is broken, with the word
    that leads there again."""

    name: str
    count: Count
    took: float
    broken: str
    replay: str

    @property
    def told(self) -> tuple[str, ...]:
        """As a line of the table."""
        count = self.count
        figures = (count.calls, f"{count.faults} of {count.most_faults}", count.crashes, count.states)
        return (self.name, *map(str, figures), f"{self.took:.1f} s")


def _explore(asked: argparse.Namespace) -> int:
    names, began = asked.scenario or list(BY_NAME), time.monotonic()
    lanes = [each for each in (names[place::LANES] for place in range(LANES)) if each]
    shares = _shares(asked.states, [sum(BY_NAME[name].weight for name in lane) for lane in lanes])
    with ProcessPoolExecutor(asked.processes) as pool:
        found = [*pool.map(_lane, lanes, shares, [asked.seed] * len(lanes))]
    rows = sorted((row for lane in found for row in lane), key=lambda row: names.index(row.name))
    print(table(("scenario", "calls", "failed in turn", "crashes", "distinct states", "processor"),
                [each.told for each in rows]))  # fmt: skip
    failed = [each for each in rows if each.broken]
    for each in failed:
        print(f"\nbroken: {each.broken}\n    again: python -m tests.crash --seed {asked.seed} --replay '{each.replay}'")
    total, took = sum(each.count.states for each in rows), sum(each.took for each in rows)
    ran = f"{took:.0f} s of processor time ({time.monotonic() - began:.0f} s passed), seed {asked.seed}"
    print(f"crash: {total} distinct states after crashes, {len(rows)} scenarios, {len(failed)} broken, {ran}")
    is_late = asked.seconds and took > asked.seconds
    if is_late:
        print(f"crash: that is longer than {asked.seconds:.0f} s")
    if total < asked.states and not failed:
        print(f"crash: there are no {asked.states} states")
    return int(bool(failed or is_late or total < asked.states))


def _shares(states: int, weights: Sequence[int]) -> list[int]:
    """So many states, divided by weight; none is lost in rounding."""
    ends = [states * sum(weights[:place]) // sum(weights) for place in range(len(weights) + 1)]
    return [end - begin for begin, end in pairwise(ends)]


def _lane(names: Sequence[str], states: int, seed: int) -> list[Row]:
    """These scenarios, one after the other: what one of them does not have is the next one's to find."""
    rows: list[Row] = []
    for place, name in enumerate(names):
        weights = [BY_NAME[each].weight for each in names[place:]]
        left = states - sum(each.count.states for each in rows)
        explorer = Explorer(BY_NAME[name], left * weights[0] // sum(weights), seed)
        started, broken, replay = time.process_time(), "", ""
        try:
            explorer.run()
        except Failed as state:
            broken, replay = str(state), state.replay
        rows.append(Row(name, explorer.count, time.process_time() - started, broken, replay))
    return rows


def _replay(asked: argparse.Namespace) -> int:
    name, steps = parse_replay(asked.replay)
    if name not in BY_NAME:
        print(f"no scenario {name}: see --list", file=sys.stderr)
        return 2
    explorer = Explorer(BY_NAME[name], sys.maxsize, asked.seed, trace=print)
    try:
        explorer.reach(steps)
    except Failed as state:
        print(f"broken: {state}")
        return 1
    print("every promise is kept here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
