"""The agent at work: the queue's loop, the receipts' loop, and news for those who watch."""

from datetime import timedelta

from attrs import define, field
from twisted.logger import Logger

from rrsd.roles.rra.feed import Feed, news_of
from rrsd.roles.rra.live import Transfers
from rrsd.roles.rra.ports import Blobs, Queue, Timers
from rrsd.roles.rra.receipts import Receipts
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.runtime.loops import Nursery

NEWS_EVERY = timedelta(milliseconds=500)
SELF_CHECK_EVERY = timedelta(hours=1)


@define(eq=False, kw_only=True)
class Agent:
    """Starts where the last stop or crash left off; on stop, transfers are cut and their bytes kept."""

    _log = Logger()

    scheduler: Scheduler
    receipts: Receipts
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
        self.nursery.spawn(self.scheduler.run(), "pull queue")
        self.nursery.spawn(self.receipts.run(), "receipts")
        self.nursery.spawn(self._tell(), "news")
        self.nursery.spawn(self._check(), "self-check")

    async def stop(self) -> None:
        """Begin nothing new, cut what runs, keep its bytes."""
        self.scheduler.stop()
        await self.nursery.stop()

    async def _tell(self) -> None:
        while True:
            for transfer in self.transfers.all():
                job = transfer.lease.job
                if self.feed.listened(job.recipient):
                    self.feed.tell(job.recipient, news_of(job, "arriving", transfer.done))
            await self.timers.sleep(NEWS_EVERY)

    async def _check(self) -> None:
        """The promise R7, looked after: a job that waits for nothing would wait for ever."""
        while True:
            for number in await self.queue.stuck():
                advice = "rra: pull {number} waits for nothing; run: rrsctl pulls explain {number}"
                self._log.critical(advice, number=number)
            await self.timers.sleep(SELF_CHECK_EVERY)
