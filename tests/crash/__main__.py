"""`python -m tests.crash`: end the process or the power at every call, and hold the promises against what is left."""

import argparse
import sys
import time

from rrsd.cli.output import table
from tests.crash.explore import Explorer, Failed, parse_replay
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


def _explore(asked: argparse.Namespace) -> int:
    names = asked.scenario or list(BY_NAME)
    began, cpu = time.monotonic(), time.process_time()
    rows, failed, total = [], [], 0
    for place, name in enumerate(names):
        weights = [BY_NAME[each].weight for each in names[place:]]
        share = (asked.states - total) * weights[0] // sum(weights)
        explorer = Explorer(BY_NAME[name], share, asked.seed)
        started = time.process_time()
        try:
            explorer.run()
        except Failed as state:
            failed.append(state)
        count = explorer.count
        total += count.states
        figures = (count.calls, f"{count.faults} of {count.most_faults}", count.crashes, count.states)
        rows.append((name, *map(str, figures), f"{time.process_time() - started:.1f} s"))
    took = time.process_time() - cpu
    print(table(("scenario", "calls", "failed in turn", "crashes", "distinct states", "processor"), rows))
    for each in failed:
        print(f"\nbroken: {each}\n    again: python -m tests.crash --seed {asked.seed} --replay '{each.replay}'")
    ran = f"{took:.0f} s of one processor ({time.monotonic() - began:.0f} s passed), seed {asked.seed}"
    print(f"crash: {total} distinct states after crashes, {len(rows)} scenarios, {len(failed)} broken, {ran}")
    is_late = asked.seconds and took > asked.seconds
    if is_late:
        print(f"crash: that is longer than {asked.seconds:.0f} s")
    if total < asked.states and not failed:
        print(f"crash: there are no {asked.states} states")
    return int(bool(failed or is_late or total < asked.states))


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
