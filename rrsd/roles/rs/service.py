"""The Resource Server as a room: what it does without being asked."""

from datetime import timedelta
from typing import Protocol

from attrs import define
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.roles.rs.ports import Blobs, Timers, Uploads
from rrsd.roles.rs.settings import Settings
from rrsd.runtime.loops import Nursery


class Pauses(Timers, Protocol):
    """Time that can be waited for."""

    async def sleep(self, delay: timedelta) -> None: ...


@define(eq=False)
class Collection:
    """Every minute, removes resources that nobody refers to any more, and uploads that nobody finished."""

    _log = Logger()

    settings: Settings
    blobs: Blobs
    uploads: Uploads
    timers: Pauses
    nursery: Nursery
    name: str = "rs"

    async def start(self) -> None:
        """Begin; the first round comes after one period."""
        self.nursery.spawn(self._run(), "collection")

    async def stop(self) -> None:
        """End, in the middle of a round if need be."""
        await self.nursery.stop()

    async def collect(self) -> int:
        """One round; how many resources and uploads went."""
        now = self.timers.now()
        grace = self.settings.grace.total_seconds()
        swept = await self.uploads.sweep(now)
        removed = await self.blobs.collect(now, grace, self.settings.collect_most)
        return swept + len(removed)

    async def _run(self) -> None:
        while True:
            await self.timers.sleep(self.settings.collect_every)
            try:
                await self.collect()
            except Refusal as refusal:
                self._log.warn("collection waits for its next turn: {refusal}", refusal=str(refusal))
