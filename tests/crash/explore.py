"""Every crash of every scenario: which there are, what each leaves, and whether the next process gets through."""

import re
from collections.abc import Callable, Iterator
from errno import EIO, ENOSPC, errorcode
from itertools import chain, combinations
from random import Random  # noqa: TID251 (of a seed that is printed)

from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Refusal
from tests.crash.database import Versions
from tests.crash.disk import Loss, State, crashed, exists, killed, sectors_of
from tests.crash.files import Fault
from tests.crash.promises import Promises
from tests.crash.scenarios import Scenario
from tests.crash.world import ROOT, Moment, World, borrowed, recorded

EXHAUSTIVE = 5
"""Changes that are not synced, up to which every subset of them is lost in turn."""
DRAWN = 12
"""Subsets that are drawn when there are more."""
MOST_ALONE = 24
"""Of more changes than these, some are drawn to be lost, or to survive, alone."""


@frozen
class Step:
    """One process on the way to a state: the call that failed in it, where it ended, and what the crash took; without
    a loss only the process ended, and nothing is lost."""

    fault: Fault | None
    moment: int
    loss: Loss | None

    def __str__(self) -> str:
        fault = f"!{self.fault.call}={errorcode[self.fault.error]}" if self.fault else ""
        return f"{fault}@{self.moment}{'+' if self.loss is None else self.loss}"


class Failed(Exception):
    """A state that does not hold what was promised; `replay` is how to come to exactly this one again."""

    def __init__(self, replay: str, broken: BaseException) -> None:
        super().__init__(f"{replay}\n    {type(broken).__name__}: {broken}")
        self.replay = replay
        self.broken = broken


def losses(disk: State, random: Random) -> Iterator[Loss]:
    """What a crash may take of what is not synced: every subset of a few changes; of many each alone, all but each,
    all, none, and some that are drawn; and each write torn."""
    units = range(len(disk.units()))
    if len(units) <= EXHAUSTIVE:
        subsets: Iterator[tuple[int, ...]] = chain.from_iterable(combinations(units, n) for n in range(len(units) + 1))
        yield from (Loss(frozenset(lost)) for lost in subsets)
    else:
        yield from (Loss(), Loss(frozenset(units)))
        for unit in units if len(units) <= MOST_ALONE else random.sample(units, MOST_ALONE):
            yield from (Loss(frozenset((unit,))), Loss(frozenset(units) - {unit}))
        yield from (Loss(frozenset(unit for unit in units if random.random() < 0.5)) for _ in range(DRAWN))
    yield from _tears(disk, random)


def _tears(disk: State, random: Random) -> Iterator[Loss]:
    units = disk.units()
    for place, unit in enumerate(units):
        if not isinstance(unit, tuple):
            continue
        sectors = range(sectors_of(disk.contents[unit[0]].pending[unit[1]]))
        later = frozenset(other for other in range(place + 1, len(units)) if _is_of(unit[0], units[other]))
        pieces = [range(end) for end in sectors] + [range(begin, len(sectors)) for begin in sectors if begin]
        for each in pieces:
            yield Loss(frozenset(), place, frozenset(each))
            yield Loss(later, place, frozenset(each))


def _is_of(file: int, unit: object) -> bool:
    return isinstance(unit, tuple) and unit[0] == file


@define(eq=False)
class Count:
    """What was looked at."""

    crashes: int = 0
    states: int = 0
    calls: int = 0
    faults: int = 0
    most_faults: int = 0


@define(eq=False)
class Explorer:
    """One scenario, in the order: crashes of a process without trouble, of processes in which a call fails, and of
    those that come after a crash. `wanted` states are enough."""

    scenario: Scenario
    wanted: int
    seed: int = 0
    trace: Callable[[str], object] | None = None
    count: Count = field(factory=Count)
    _versions: Versions = field(factory=Versions, init=False)
    _promises: Promises = field(init=False)
    _seen: set[int] = field(factory=set, init=False)
    _left: dict[int, tuple[int, list[tuple[Loss, State]]]] = field(factory=dict, init=False)
    _found: list[tuple[tuple[Step, ...], Moment]] = field(factory=list, init=False)
    _random: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(f"{self.seed} {self.scenario.name}")
        self._promises = Promises(self._versions)

    def run(self) -> Count:
        """Look until there is enough; raises Failed."""
        first = self.beginning()
        world = self._recorded((), first, None)
        self._crashes((), None, world)
        self.count.most_faults = len(list(self._faults(world)))
        for fault in self._faults(world):
            # Every call fails once, whether or not there is enough already.
            self.count.faults += 1
            self._crashes((), fault, self._recorded((), first, fault))
        self._later()
        return self.count

    @property
    def _is_enough(self) -> bool:
        return self.count.states >= self.wanted

    def beginning(self) -> Moment:
        """An empty disk, or one on which the store has been started once and everything is synced."""
        first = Moment(0, "begin", State(), (self._versions.first(),), ())
        if not self.scenario.traits.formatted:
            return first
        world = recorded(self.scenario.traits, self._versions, first)
        self.scenario.before(world)
        after = crashed(world.files.state, Loss())
        return evolve(world.moments[-1], disk=after)

    @staticmethod
    def _faults(world: World) -> Iterator[Fault]:
        for call in range(1, world.calls.made + 1):
            yield from (Fault(call, EIO), Fault(call, ENOSPC))

    def _later(self) -> None:
        """Crashes of the processes that came after a crash: first after one that lost nothing, for what it saw and did
        not make durable may still go."""
        found = self._found
        killed_first = sorted(range(len(found)), key=lambda at: (found[at][0][-1].loss is not None, _spread(at)))
        for at in killed_first:
            if self._is_enough:
                return
            steps, moment = found[at]
            self._crashes(steps, None, self._recorded(steps, moment, None))

    # --- one process

    def _recorded(self, steps: tuple[Step, ...], moment: Moment, fault: Fault | None) -> World:
        world = recorded(self.scenario.traits, self._versions, moment, fault)
        world.calls.trace = self.trace
        self._live(steps, world)
        self.count.calls += world.calls.made
        return world

    def _live(self, steps: tuple[Step, ...], world: World) -> None:
        """Let the process run to its end; one in which a call fails may give up, but may not lie."""
        try:
            self.scenario.run(world)
            self._promises.complete(world)
        except Refusal as refusal:
            if world.calls.fault is None:
                raise Failed(self.replay(steps), refusal) from refusal
        except Exception as broken:
            end = (*steps, Step(world.calls.fault, len(world.moments), None)) if world.calls.fault else steps
            raise Failed(self.replay(end), broken) from broken

    def _crashes(self, steps: tuple[Step, ...], fault: Fault | None, world: World) -> None:
        """Crash at each of its moments."""
        for moment in world.moments:
            if self._is_enough:
                return
            made, outcomes = self._outcomes(moment.disk)
            self.count.crashes += made
            for loss, disk in outcomes:
                for commits in range(len(moment.versions)):
                    step = Step(fault, moment.number, evolve(loss, commits=commits))
                    self._crash((*steps, step), moment, disk)
            if not moment.disk.doomed:
                self._kill((*steps, Step(fault, moment.number, None)), moment)

    def _outcomes(self, disk: State) -> tuple[int, list[tuple[Loss, State]]]:
        """How many losses were tried, and one for each disk that they leave. Many moments have the same disk."""
        found = self._left.get(disk.whole_key())
        if found is None:
            left: dict[int, tuple[Loss, State]] = {}
            tried = list(losses(disk, self._random))
            for loss in tried:
                after = crashed(disk, loss)
                left.setdefault(after.key(), (loss, after))
            found = self._left[disk.whole_key()] = (len(tried), list(left.values()))
        return found

    def _crash(self, steps: tuple[Step, ...], moment: Moment, disk: State) -> None:
        after = self._after(moment, steps[-1].loss, disk)
        if self._is_new((after.disk.key(), after.version, after.facts)):
            self._reopen(steps, after)

    def _after(self, moment: Moment, loss: Loss | None, disk: State | None = None) -> Moment:
        """What the next process begins with, on that disk if it is known."""
        if loss is None:
            return evolve(moment, disk=killed(moment.disk))
        disk = disk or crashed(moment.disk, loss)
        left = moment.versions[: len(moment.versions) - loss.commits]
        if not exists(disk.kept, ROOT):
            left = (self._versions.first(),)  # the rows went with the folder
        return evolve(moment, disk=disk, versions=left)

    def _kill(self, steps: tuple[Step, ...], moment: Moment) -> None:
        """Only the process ends. What is seen now is a state of its own while something of it may still be lost."""
        self.count.crashes += 1
        after = self._after(moment, None)
        if after.disk.units() and self._is_new((after.disk, after.version, after.facts)):
            self._reopen(steps, after)

    def _is_new(self, key: object) -> bool:
        known = len(self._seen)
        self._seen.add(hash(key))
        self.count.states += len(self._seen) - known
        return len(self._seen) > known

    def _reopen(self, steps: tuple[Step, ...], moment: Moment) -> None:
        """Hold the promises against what is left, then let the next process go to the end."""
        try:
            if steps[-1].loss is not None:
                self._promises.hold(moment.disk, moment.version, moment.facts)
            world = borrowed(self.scenario.traits, self._versions, moment)
            world.calls.trace = self.trace
            self.scenario.run(world)
            self._promises.complete(world)
        except Exception as broken:
            raise Failed(self.replay(steps), broken) from broken
        if len(steps) < 2:
            self._found.append((steps, moment))

    # --- exactly one state

    def replay(self, steps: tuple[Step, ...]) -> str:
        """What leads to this state again."""
        return self.scenario.name + "".join(map(str, steps))

    def reach(self, steps: tuple[Step, ...]) -> Moment:
        """The state, and every promise on the way to it; raises Failed."""
        moment = self.beginning()
        for place, step in enumerate(steps):
            self._say(f"process {place + 1}")
            world = self._recorded(steps[:place], moment, step.fault)
            moment = world.moments[min(step.moment, len(world.moments) - 1)]
            self._say(f"crash after: {moment.what}; not synced: {moment.disk.units()}; told: {moment.facts}")
            if step.loss is None:
                self._kill(steps[: place + 1], moment)
            else:
                self._crash(steps[: place + 1], moment, crashed(moment.disk, step.loss))
            moment = self._after(moment, step.loss)
        if not steps:
            self._recorded((), moment, None)
        return moment

    def _say(self, what: str) -> None:
        if self.trace is not None:
            self.trace(what)


def _spread(at: int) -> int:
    """A place in an order in which neighbours are far apart."""
    return at * 2654435761 % (1 << 32)


_STEP = re.compile(r"(?:!(\d+)=(\w+))?@(\d+)(?:(\+)|-([\d.]*)(?:~(\d+):([\d.]*))?(?:c(\d+))?)")


def parse_replay(text: str) -> tuple[str, tuple[Step, ...]]:
    """The scenario's name and the steps; ValueError when it is no such text."""
    name = re.split(r"[!@]", text, maxsplit=1)[0]
    steps, place = [], len(name)
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            raise ValueError(f"not a step: {text[place:]}")
        steps.append(_step(*found.groups()))
        place = found.end()
    return name, tuple(steps)


def _step(call: str | None, error: str | None, moment: str, kill: str | None, *lost: str | None) -> Step:
    fault = Fault(int(call), {"EIO": EIO, "ENOSPC": ENOSPC}[error or ""]) if call else None
    if kill:
        return Step(fault, int(moment), None)
    gone, torn, sectors, commits = lost
    loss = Loss(_numbers(gone), int(torn) if torn else None, _numbers(sectors), int(commits or 0))
    return Step(fault, int(moment), loss)


def _numbers(text: str | None) -> frozenset[int]:
    return frozenset(int(each) for each in (text or "").split(".") if each)
