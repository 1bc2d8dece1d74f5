"""A process that works in a real store until it is killed, and says what it was told is durable, a line for each."""

import time
from collections.abc import Callable
from random import Random  # noqa: TID251 (of a name: the sender's bytes are the same after every kill)

from attrs import evolve, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rrsd.cli.session import clock
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.jobs import Change, Lease, State
from rrsd.core.values.resources import Checkpoint
from rrsd.core.values.settings import Size
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.runtime.workers import ThreadWorkers
from tests.drivers.store.samples import RS, job, message_of, upload

SIZES = (900, 70_000, 9_000_000)
"""Of what is pulled: kept in memory, in a file, with a checkpoint by its size."""
_BLOCK = 65_536
_SMALL = 4096
FOREVER = 10**6


def bytes_of(name: str, size: int) -> bytes:
    """What the sender has under that name."""
    return Random(name).randbytes(size)


@frozen(eq=False)
class Victim:
    """Takes messages, pulls what they name, acknowledges receipts, takes uploads."""

    store: Store
    say: Callable[[str], None]
    run: int

    async def work(self, most: int) -> None:
        """Finish what an earlier process began, then take `most` new messages."""
        await self.store.start()
        self.say("started")
        await self.store.queue.recover(_now())
        await self._pull()
        for number in range(most):
            await self._take(f"{self.run}.{number}", SIZES[number % len(SIZES)])
            await self._upload(f"u{self.run}.{number}")
            await self._pull()
        await self.store.stop()

    async def _take(self, name: str, size: int) -> None:
        raw, data = b"placeholder " + name.encode(), bytes_of(name, size)
        kept = await self.store.blobs.put(raw)
        wanted = evolve(job(digest_of(data), message=name), size=size, accepted=_now(), due=_now())
        message = evolve(message_of(wanted, name=name), raw=kept.digest, raw_size=len(raw))
        await self.store.queue.accept(message, [wanted])
        self.say(f"accepted {name}")

    async def _upload(self, name: str) -> None:
        data = bytes_of(name, 3 * _BLOCK)
        going = evolve(upload(len(data), name), expires=instant(clock() + 86400))
        await self.store.uploads.begin(going)
        while going.digest is None:
            going = await self.store.uploads.append(going, data[going.offset : going.offset + _BLOCK])
            self.say(f"offset {name} {going.offset}")
        self.say(f"kept {digest_of(data).b64}")

    async def _pull(self) -> None:
        while leases := await self.store.queue.lease(RS, 4, _now(), frozenset()):
            for lease in leases:
                await self._attempt(lease)
        pending = await self.store.queue.receipts_due(_now(), 99)
        for each in pending:
            self.say(f"receipt {each.job} {each.jti}")
        await self.store.queue.receipts_sent([each.job for each in pending], _now())
        for each in pending:
            self.say(f"receipted {each.job}")

    async def _attempt(self, lease: Lease) -> None:
        if not lease.here:
            await self._transfer(lease)
        after = evolve(lease.job, state=State.STORED, stored=_now())
        await self.store.queue.change([Change(after, "stored", _now(), State.LEASED, receipt=True, forget=True)])
        self.say(f"stored {lease.job.message}")

    async def _transfer(self, lease: Lease) -> None:
        data = bytes_of(lease.job.message, lease.job.size)

        async def committed(checkpoint: Checkpoint) -> None:
            await self.store.queue.checkpoint(lease, '"v"', checkpoint)
            self.say(f"checkpoint {lease.job.job} {checkpoint.offset}")

        part, held = await self.store.blobs.partial(lease, len(data), committed)
        start = held.offset if held else 0
        self.say(f"resumed {lease.job.job} {start}")
        for offset in range(start, len(data), _BLOCK):
            waiting = part.write(data[offset : offset + _BLOCK])
            if waiting is not None:
                await waiting
        await part.finish(lease.job.digest, lease.job.size)
        await part.close()


def _now() -> Instant:
    return instant(clock())


def live(folder: str, say: Callable[[str], None], run: int, most: int = FOREVER) -> None:
    """The whole life of the process; returns only if nobody kills it."""
    from twisted.internet import reactor

    workers = [ThreadWorkers(reactor, size, name) for size, name in ((1, "writer"), (2, "readers"), (4, "disk"))]  # type: ignore[arg-type]
    settings = Settings(path=folder, keep_free=Size(0), small=Size(_SMALL))
    store = Store(settings, Threads(*workers), _now, time.monotonic)

    async def everything() -> None:
        for each in workers:
            await each.start()
        await Victim(store, say, run).work(most)
        for each in workers:
            await each.stop()

    def end(failure: Failure | None) -> None:
        if failure is not None:
            say(f"failed {failure.getErrorMessage()}")
        reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(everything()).addBoth(end))
    reactor.run()
