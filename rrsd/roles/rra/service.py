"""The agent at work: the queue's loop, the receipts' loop, and news for those who watch."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from rrsd.roles.rra.admission import LOOK_EVERY
from rrsd.roles.rra.contacts import Waker
from rrsd.roles.rra.feed import Feed, news_of
from rrsd.roles.rra.greetings import Greeter
from rrsd.roles.rra.leftovers import partials
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.ports import Blobs, Queue, Timers
from rrsd.roles.rra.receipts import Receipts
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.selfcheck import SelfCheck
from rrsd.roles.rra.watch import Watch
from rrsd.runtime.loops import Nursery

NEWS_EVERY = timedelta(milliseconds=500)
SELF_CHECK_EVERY = timedelta(hours=1)
PACE_EVERY = timedelta(seconds=30)
SWEEP_EVERY = timedelta(days=1)
AGAIN = timedelta(seconds=30)


@define(eq=False, kw_only=True)
class Agent:
    """Starts where the last stop or crash left off; on stop, transfers are cut and their bytes kept."""

    _log = Logger()

    scheduler: Scheduler
    receipts: Receipts
    waker: Waker
    greeter: Greeter
    notifier: Notifier
    watch: Watch
    self_check: SelfCheck
    transfers: Transfers
    feed: Feed
    queue: Queue
    blobs: Blobs
    timers: Timers
    nursery: Nursery
    name: str = field(default="rra", init=False)

    async def start(self) -> None:
        """Put what was leased back into the queue, then work."""
        recovered = await self.scheduler.recover()
        if recovered:
            self._log.info("rra: {number} pulls go on where they were", number=recovered)
        for work, name in (
            (self.scheduler.run, "pull queue"),
            (self.receipts.run, "receipts"),
            (self.waker.run, "wake-ups"),
            (self.notifier.run, "notices about attachments"),
            (self.watch.run, "deadlines"),
            (self.watch.renewals.run, "renewals"),
            (self._tell, "news"),
            (self._check, "self-check"),
            (self._pace, "slow transfers"),
            (self._sweep, "partial files"),
            (self._make_room, "room"),
        ):
            self.nursery.spawn(self._tended(work, name), name)
        self.nursery.spawn(self.greeter.run(), "greetings")

    async def stop(self) -> None:
        """Begin nothing new, cut what runs, keep its bytes."""
        self.scheduler.stop()
        await self.nursery.stop()

    async def _tell(self) -> None:
        while True:
            self.transfers.look()
            for transfer in self.transfers.all():
                job = transfer.lease.job
                if self.feed.listened(job.recipient) and not transfer.interrupted:
                    self.feed.tell(job.recipient, news_of(job, "arriving", transfer.done))
            await self.timers.sleep(NEWS_EVERY)

    async def _check(self) -> None:
        """The promise R7, looked after: a job that waits for nothing would wait for ever."""
        while True:
            await self.self_check.run()
            for who, noted, held in await self.queue.recount():
                self._log.critical(
                    "rra: {noted} bytes were noted for {who}, who holds {held}; that is corrected",
                    who=who, noted=noted, held=held,
                )  # fmt: skip
            lost = await self.scheduler.wishes.reclaim()
            if lost:
                self._log.critical("rra: {number} pulls were leased and nobody worked on them", number=lost)
            await self.timers.sleep(SELF_CHECK_EVERY)

    async def _pace(self) -> None:
        while True:
            await self.timers.sleep(PACE_EVERY)
            await self.scheduler.wishes.slow_down()

    async def _make_room(self) -> None:
        while True:
            await self.scheduler.admission.make_room()
            await self.timers.sleep(LOOK_EVERY)

    async def _sweep(self) -> None:
        """Files of transfers that no pull will ever continue are removed."""
        while True:
            lying = await self.blobs.lying()
            swept = await self.blobs.sweep(lying, await partials(self.queue)) if lying else 0
            if swept:
                self._log.info("rra: {number} files of transfers that were given up are removed", number=swept)
            await self.timers.sleep(SWEEP_EVERY)

    async def _tended(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """The loop `work`; one that ends unexpectedly is reported by the nursery and begins again a little later."""
        try:
            await work()
        finally:
            self.nursery.spawn(self._again(work, name), name)

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        await self.timers.sleep(AGAIN)
        await self._tended(work, name)
