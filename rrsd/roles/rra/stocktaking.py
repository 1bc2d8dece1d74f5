"""`verify-store` and `gc --dry-run`: everything that is stored, hashed again at a bounded rate; and what the next
collection would remove. Neither deletes anything."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Conflict, Damaged, Malformed, Refusal, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.roles.rra import rules
from rrsd.roles.rra.acting import OPERATOR, Acts
from rrsd.roles.rra.books import Leftovers, Shelves
from rrsd.roles.rra.leftovers import partials
from rrsd.roles.rra.ports import Audit, Queue, Timers

FOLDERS = 256
RATE, LEAST_RATE = 50 << 20, 1 << 16
"""Bytes per second, unless an operator says otherwise, and at least."""
MOST_NAMED = 1000


@define(eq=False)
class Stocktaking:
    """How far one run is. `folders` of 256 are done; `damaged` names the first thousand that were not what their name
    says, each with the pulls that bring them again; `unreadable` those that the disk does not give."""

    started: Instant
    rate: int
    folders: int = 0
    looked: int = 0
    bytes: int = 0
    ended: Instant | None = None
    failed: str = ""
    damaged: list[dict[str, Any]] = field(factory=list)
    unreadable: list[str] = field(factory=list)


@define(eq=False, kw_only=True)
class Stock:
    """At most one run at a time; a restart ends it, and it is begun anew by hand."""

    _log = Logger()

    shelves: Shelves
    partial: Leftovers
    queue: Queue
    acts: Acts
    timers: Timers
    audit: Audit
    spawn: Callable[[Coroutine[Any, Any, None], str], object]
    grace: timedelta = timedelta(0)
    keep: timedelta = timedelta(0)
    run: Stocktaking | None = field(default=None, init=False)

    def verify(self, rate: int = RATE, who: str = OPERATOR) -> Stocktaking:
        """The run that goes on; a new one if there is none.

        Raises:
            Malformed: nothing would ever be done at that rate.
        """
        if rate < LEAST_RATE:
            raise Malformed(f"a rate is at least {LEAST_RATE} bytes per second")
        if self.run is not None and self.run.ended is None:
            return self.run
        self.audit.record(Event("operate", "granted", who=who, resource="store", evidence=f"verify-store {rate}"))
        self.run = Stocktaking(self.timers.now(), rate)
        self.spawn(self._verify(self.run), "verify-store")
        return self.run

    async def _verify(self, run: Stocktaking) -> None:
        try:
            for folder in range(FOLDERS):
                for digest in await self.shelves.names(folder):
                    await self._look(run, digest)
                run.folders = folder + 1
        except Refusal as refusal:
            run.failed = str(refusal)
        finally:
            run.ended = self.timers.now()

    async def _look(self, run: Stocktaking, digest: Digest) -> None:
        async def pace(size: int) -> None:
            run.bytes += size
            await self.timers.sleep(timedelta(seconds=size / run.rate))

        run.looked += 1
        try:
            if not await self.shelves.verify(digest, pace):
                await self._damaged(run, digest)
        except Unknown:
            return  # collected meanwhile
        except Refusal as refusal:
            self._log.critical("rra: {digest} cannot be read: {refusal}", digest=digest.ni, refusal=str(refusal))
            run.unreadable = [*run.unreadable, digest.ni][:MOST_NAMED]

    async def _damaged(self, run: Stocktaking, digest: Digest) -> None:
        """Aside with it, and whoever has it is sent for it again, where the sender still keeps it. They are looked for
        when it is gone: who found it before that has it by then."""
        if not await self.shelves.set_aside(digest):
            return
        pulls, last = list[int](), 0
        while some := await self.shelves.pulls_of(digest, last):
            pulls, last = [*pulls, *some], some[-1]
        again = [found for found in [await self._again(number) for number in pulls] if found is not None]
        several = f"{again[:MOST_NAMED]}, {len(again)} in all" if len(again) > MOST_NAMED else f"{again or 'nothing'}"
        said = f"{digest.ni} is not what its name says and was set aside; pulled again: {several}"
        self._log.critical("rra: {said}", said=said)
        self.audit.record(Event("check", "failed", who="rrsd", resource=digest.ni, evidence=said))
        if len(run.damaged) < MOST_NAMED:
            run.damaged.append({"digest": digest.ni, "pulls": pulls, "again": again})

    async def _again(self, number: int) -> int | None:
        try:
            job = await self.acts.find(number)
            if job.state not in rules.ARRIVED or (job.not_after is not None and job.not_after <= self.timers.now()):
                return None
            fresh = await self.acts.requeue(job)
        except (Unknown, Damaged, Conflict):
            return None
        self.acts.bell.ring()
        return fresh.job if fresh is not None else None

    async def removable(self, most: int) -> dict[str, Any]:
        """What the next collection and sweep would remove, at most `most` of each kind, and how much in all."""
        now, seconds = self.timers.now(), (self.grace.total_seconds(), self.keep.total_seconds())
        left = await self.partial.leftovers(await partials(self.queue))
        found, count, total = list[tuple[Digest, int]](), len(left), sum(size for _, size in left)
        for folder in range(FOLDERS):
            some = await self.shelves.unreferenced(folder, now, *seconds)
            found += some[: most - len(found)]
            count, total = count + len(some), total + sum(size for _, size in some)
        return {
            "partials": [{"name": name, "size": size, "why": "no pull continues it"} for name, size in left[:most]],
            "resources": [
                {"digest": digest.ni, "size": size, "why": "no message, grant or upload refers to it"}
                for digest, size in found
            ],
            "count": count,
            "bytes": total,
        }
