"""One seed from its plan to what came of it; nothing of its world is left afterwards."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

from attrs import frozen

from tests.crash.files import Broken
from tests.simulate.plan import plan_of
from tests.simulate.scale import scaled
from tests.simulate.world import World


@frozen
class Outcome:
    """What a seed came to. `broken` is the promise that was not kept and what was seen, "" when all were."""

    seed: int
    broken: str
    digest: str
    lines: tuple[str, ...]
    pulls: int
    faults: int
    boots: int
    took: float


def simulate(seed: int) -> Outcome:
    """Run one seed. Collection of garbage waits until its end, because it would end coroutines at a time of its own."""
    began, broken = process_time(), ""
    gc.disable()
    world: World | None = World(plan_of(seed))
    assert world is not None
    try:
        with scaled():
            world.run()
    except Broken as promise:
        broken = str(promise)
    outcome = Outcome(
        seed, broken, world.story.digest, tuple(world.story.lines), world.pulls, world.network.faults,
        sum(machine.boots for machine in world.machines.values()), process_time() - began,
    )  # fmt: skip
    with _in_peace():
        world = None
        gc.collect(0)  # all of it is young: nothing has been collected meanwhile
    gc.enable()
    return outcome


@contextmanager
def _in_peace() -> Iterator[None]:
    """Coroutines that waited when their world ended are closed; what they say to that does not matter."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook
