"""The Resource Server as a room: what it does without being asked."""

from datetime import timedelta
from typing import Protocol

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.roles.rs.ports import Blobs, Grants, Timers, Uploads
from rrsd.roles.rs.settings import Settings
from rrsd.roles.rs.steady import Steady
from rrsd.runtime.loops import Nursery


class Pauses(Timers, Protocol):
    """Time that can be waited for."""

    async def sleep(self, delay: timedelta) -> None: ...


@define(eq=False)
class Collection:
    """Every minute, removes resources that nobody refers to any more, uploads that nobody finished, and receipts that
    were kept long enough."""

    _log = Logger()

    settings: Settings
    blobs: Blobs
    uploads: Uploads
    timers: Pauses
    nursery: Nursery
    grants: Grants
    name: str = "rs"
    _steady: Steady = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._steady = Steady(self.timers)

    async def start(self) -> None:
        """Begin; the first round comes after one period."""
        self.nursery.spawn(self._run(), "collection")

    async def stop(self) -> None:
        """End, in the middle of a round if need be."""
        await self.nursery.stop()

    async def collect(self) -> int:
        """One round; how many resources, uploads and receipts went."""
        settings, now = self.settings, self._steady.now()
        grace, keep = settings.grace.total_seconds(), settings.keep_after_receipt.total_seconds()
        swept = await self.uploads.sweep(now)
        removed = await self.blobs.collect(now, grace, settings.collect_most, keep)
        forgotten = await self.grants.forget_custody(now - settings.keep_receipts, settings.collect_most)
        return swept + len(removed) + forgotten

    async def _run(self) -> None:
        while True:
            await self.timers.sleep(self.settings.collect_every)
            try:
                await self.collect()
            except Refusal as refusal:
                self._log.warn("collection waits for its next turn: {refusal}", refusal=str(refusal))
