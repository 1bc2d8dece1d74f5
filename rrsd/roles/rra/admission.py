"""Room is set apart before anything of a pull begins; a pull for which there is none waits, and costs nobody an
attempt."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Change, Job, Shortage, State, Taken
from rrsd.roles.rra.room import lacking
from rrsd.roles.rra.rules import Outcome
from rrsd.roles.rra.settling import Settling

LOOK_EVERY = timedelta(seconds=15)


@define(eq=False, kw_only=True)
class Admission:
    """Leases what there is room for. `quota` is what a user may hold, in bytes, who has none of their own; 0 for no
    limit."""

    settling: Settling
    quota: int

    async def take(self, jobs: Sequence[int], now: Instant) -> Taken:
        """Those of the jobs that still wait and are due, leased; those without room are put aside. Refuses as the
        queue does."""
        taken = await self.settling.queue.take(jobs, now, self.quota)
        if taken.short:
            await self._put_aside(taken.short, now)
            self.settling.bell.ring()  # their slots are free
        return taken

    async def _put_aside(self, short: Sequence[Shortage], now: Instant) -> None:
        changes = []
        for each in short:
            planned = lacking(each, now, self.settling.health.chance())
            changes.append(Change(planned.job, planned.event, now, each.job.state, planned.job.evidence))
        whole = await self.settling.commit(changes)
        for change in changes:
            if whole or await self.settling.commit([change]):
                self._tell(change)

    def _tell(self, change: Change) -> None:
        self.settling.feed.changed(change.job)
        if change.before is State.NO_SPACE and change.job.state is State.NO_SPACE:
            return
        try:
            self.settling.audit.record(_event(change.job))
        except Unavailable:
            self.settling.health.pause()

    async def make_room(self) -> None:
        """Wake those for whom there is room by now."""
        try:
            woken = await self.settling.queue.make_room(self.settling.timers.now(), self.quota)
        except (NoSpace, Unavailable):
            return  # looked at again soon
        if woken:
            self.settling.bell.ring()


def _event(job: Job) -> Event:
    return Event(
        "pull",
        "failed",
        who=str(job.recipient),
        subject=str(job.subject),
        peer=str(job.origin),
        resource=job.digest.ni,
        refusal=Outcome.NO_ROOM,
        evidence=job.evidence,
        size=job.size,
    )
