"""What is being pulled this moment, for those who wait for it and those who watch."""

from collections import deque
from datetime import timedelta

from attrs import define, field

from rrsd.core.refusals import Unavailable
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, Lease, Phase
from rrsd.roles.rra.ports import Partial, Reply, Timers
from rrsd.runtime.expiring import Expiring

LOOK_AGAIN = timedelta(milliseconds=50)
MOST_UNWANTED = 10_000
UNWANTED_FOR = timedelta(hours=1)
PACE_OVER = 10.0
"""Seconds over which the pace of a transfer is taken."""
IDLE = timedelta(seconds=60)
"""How long a body may stand still before its attempt ends, unless the settings say otherwise."""


@define(eq=False, kw_only=True)
class Transfer:
    """One attempt at work: where it is, and its growing file once there is one.

    `generation` counts how often the file was begun anew: bytes read from an earlier generation are void. `begun` is
    with how many bytes it was taken up.
    """

    lease: Lease
    started: Instant
    timers: Timers
    phase: Phase = Phase.INTRODUCE
    partial: Partial | None = None
    reply: Reply | None = None
    generation: int = 0
    begun: int = 0
    progressed: bool = False
    authorized: bool = False
    reached: bool = False
    interrupted: bool = False
    stored: bool = False
    ended: bool = False
    _marks: deque[tuple[float, int]] = field(factory=deque, init=False)
    _came: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._came = self.timers.monotonic()
        self._marks.append((self._came, self.lease.fetch.offset))

    def look(self) -> None:
        """See how far it is: what its pace, and how long nothing came, is known by."""
        moment, done = self.timers.monotonic(), self._came_so_far()
        if done != self._marks[-1][1]:
            self._came = moment
        if done < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((moment, done))
        while len(self._marks) > 1 and self._marks[1][0] <= moment - PACE_OVER:
            self._marks.popleft()

    def _came_so_far(self) -> int:
        here = self.partial.offset if self.partial is not None else self.lease.fetch.offset
        return here + (self.reply.held if self.reply is not None else 0)

    @property
    def rate(self) -> float:
        """Bytes per second of late."""
        (began, before), (moment, done) = self._marks[0], self._marks[-1]
        return (done - before) / (moment - began) if moment > began else 0.0

    @property
    def quiet(self) -> float:
        """Seconds for which the resource server has given nothing of what is still to come; 0 before it is asked."""
        waits = self.phase in (Phase.CONNECT, Phase.BODY) and self._marks[-1][1] < self.size
        return self._marks[-1][0] - self._came if waits else 0.0

    @property
    def is_whole(self) -> bool:
        """Whether all has come and is being checked."""
        return self.phase in (Phase.VERIFY, Phase.COMMIT)

    @property
    def size(self) -> int:
        """Bytes that the resource must have."""
        return self.lease.job.size

    @property
    def moved(self) -> int:
        """Bytes that came in this attempt."""
        return self.partial.offset - self.begun if self.partial is not None else 0

    @property
    def done(self) -> int:
        """Bytes of it that are in the file."""
        if self.stored:
            return self.size
        return self.partial.written if self.partial is not None else self.lease.fetch.offset

    async def advanced(self, beyond: int) -> bool:
        """True as soon as more than `beyond` bytes are written or all are stored; False when the attempt ends
        before."""
        while not self.ended:
            if self.partial is not None and self.partial.written > beyond:
                return True
            await self.timers.sleep(LOOK_AGAIN)
        return self.stored

    def require_wanted(self) -> None:
        """Returns None while nobody interrupted.

        Raises:
            Unavailable: somebody did.
        """
        if self.interrupted:
            raise Unavailable("interrupted by an operator")


@define(eq=False)
class Transfers:
    """The attempts at work, by job."""

    timers: Timers
    idle: timedelta = IDLE
    _by_job: dict[int, Transfer] = field(factory=dict, init=False)
    _unwanted: Expiring[tuple[int, int], bool] = field(factory=lambda: Expiring(MOST_UNWANTED), init=False)

    def begin(self, lease: Lease) -> Transfer:
        """The transfer of a lease that starts now, interrupted where it was cut before."""
        transfer = Transfer(lease=lease, started=self.timers.now(), timers=self.timers)
        key = (lease.job.job, lease.job.epoch)
        transfer.interrupted = self._unwanted.get(key, self.timers.monotonic()) is not None
        self._by_job[lease.job.job] = transfer
        return transfer

    def end(self, transfer: Transfer, stored: bool) -> None:
        """Take the transfer off the board."""
        transfer.stored, transfer.ended = stored, True
        self._by_job.pop(transfer.lease.job.job, None)

    def of(self, job: Job) -> Transfer | None:
        """The transfer that brings the bytes of `job`: its own, or another recipient's of the same resource."""
        own = self._by_job.get(job.job)
        if own is not None:
            return own
        same = (each for each in self._by_job.values() if _same(each.lease.job, job))
        return next(same, None)

    async def cut(self, job: Job) -> None:
        """End the attempt that the job was leased for, under its epoch. One that has not begun yet asks nobody."""
        transfer = self._by_job.get(job.job)
        if transfer is None or transfer.lease.job.epoch != job.epoch:
            until = self.timers.monotonic() + UNWANTED_FOR.total_seconds()
            self._unwanted.put((job.job, job.epoch), True, until)
            return
        transfer.interrupted = True
        if transfer.reply is not None:
            await transfer.reply.abort()

    def look(self) -> None:
        """See how far each is."""
        for each in self._by_job.values():
            each.look()

    def all(self) -> tuple[Transfer, ...]:
        """Every transfer, in order of start."""
        return tuple(self._by_job.values())


def _same(one: Job, other: Job) -> bool:
    return one.digest == other.digest and one.origin == other.origin
