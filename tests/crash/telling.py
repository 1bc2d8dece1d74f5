"""The notifier over the store, and who hears of what it says."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice, Plight
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.telling import Waits
from tests.crash.world import World
from tests.drivers.store.samples import BOB, NOW

HOUR = timedelta(hours=1)


def say(world: World) -> None:
    """Say what has to be said of message m1, and hand it over: both parties hear of it, by one key each (R8)."""
    everything = Drawer(world)
    notifier = Notifier(
        facts=world.store.facts, notices=everything, bounces=everything, waits=Waits(HOUR, HOUR),
        explain=lambda lost: explain(lost, None, NOW), ours=BOB.domain, timers=everything, bell=everything,
        audit=everything,
    )  # fmt: skip
    world.insist(lambda: world.done(notifier.round()))
    for each in world.insist(lambda: world.done(world.store.outbox.due(NOW, 9))):
        world.tell("notice", "m1", each.key)
        world.insist(lambda: world.done(world.store.outbox.end(each.key)))  # noqa: B023 (called at once)
    keys = {fact[2] for fact in world.facts if fact[0] == "notice"}
    world.require("R8", len(keys) == 2, f"told: {sorted(map(str, keys))}")


@frozen
class Drawer:
    """Whatever a notifier needs beside the rows: notices go into the outbox, everybody may have them."""

    world: World

    async def send(self, notice: Notice) -> None:
        """Keep it."""
        await self.world.store.outbox.add(notice, NOW)

    async def bounced(self, plight: Plight) -> bool | None:
        """Nothing bounces."""
        return False

    def record(self, event: Event) -> None:
        """Nobody reads the trail."""

    def now(self) -> Instant:
        """Time stands still."""
        return NOW

    def monotonic(self) -> float:
        """In every way."""
        return 0.0

    async def sleep(self, delay: timedelta) -> None:
        """Nobody waits."""

    def ring(self) -> None:
        """Nobody hears it."""

    async def wait(self, delay: timedelta | None) -> None:
        """Nobody rings."""
