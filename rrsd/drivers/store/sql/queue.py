"""The durable pull queue (scheduler semantics 5.1, 5.2)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from attrs import evolve, frozen
from twisted.logger import Logger

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import (
    Adjustment,
    Ask,
    Breaker,
    Change,
    Counts,
    Fetch,
    HistoryRow,
    Holding,
    Job,
    Lease,
    Looked,
    PendingReceipt,
    Shortage,
    State,
    Taken,
)
from rrsd.core.values.messages import Message
from rrsd.core.values.operations import Ruling
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Checkpoint
from rrsd.drivers.store.blobs.space import Key, Space
from rrsd.drivers.store.sql import books, contacts, healths, mailbox, outbox, picking, room, transfers, turns, watching
from rrsd.drivers.store.sql import jobs as rows
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.room import Room

_READ = 1000  # jobs among which a lease finds its own
_COUNT_AT_ONCE = 50  # users per look
_WAKE_AT_ONCE = 2000  # jobs per transaction, so that nobody waits long behind a wake-up


@frozen
class Queue:
    """Jobs, transfers, breakers and receipts; satisfies the port of the same name of the Resource Retrieval Agent."""

    _log = Logger()

    _engine: Engine
    _is_stored: Callable[[Digest], bool]
    _space: Space
    _room: Room

    async def accept(self, message: Message, jobs: Sequence[Job]) -> Message | None:
        """Store the message and its jobs, or None when this recipient has this message."""
        return await self._engine.write(lambda connection: mailbox.accept(connection, message, jobs))

    async def has(self, message: Message) -> bool:
        """Whether this recipient has this message."""
        return await self._engine.read(lambda connection: mailbox.has(connection, message))

    async def mailboxes_of(self, granted: Address) -> Sequence[Address]:
        """Whose mailboxes got what was granted to that address, which is none of theirs; the first hundred."""
        return await self._engine.read(lambda connection: rows.mailboxes_of(connection, granted))

    async def latest(self) -> Instant | None:
        """The newest time that jobs and their history name."""
        return await self._engine.read(rows.latest)

    async def recover(self, now: Instant, held: Collection[int] = ()) -> int:
        """Turn every LEASED job but these into READY; how many."""

        def recover(connection: Connection) -> int:
            turns.recover(connection)
            outbox.recover(connection, now)
            return rows.recover(connection, now, held)

        return await self._engine.write(recover)

    async def eligible(self, now: Instant, most: int) -> Sequence[Origin]:
        """The destinations whose time has come, longest first."""

        async def put_off(damaged: list[str]) -> None:
            await self._engine.write(lambda connection: turns.set_aside(connection, damaged, now))

        return await self._engine.readable(lambda connection: turns.eligible(connection, now, most), put_off)

    async def look(self, asks: Sequence[Ask], now: Instant) -> Sequence[Looked]:
        """What could run next of each of the destinations."""
        return await self._engine.write(lambda connection: turns.look(connection, asks, now))

    async def put_off(self, waits: Sequence[tuple[Origin, Instant]]) -> None:
        """Do not look at these destinations before their times."""
        await self._engine.write(lambda connection: turns.put_off(connection, waits))

    async def lease(self, origin: Origin, most: int, now: Instant, busy: frozenset[Digest]) -> Sequence[Lease]:
        """Up to `most` due jobs of the origin, LEASED from now on."""

        def pick(connection: Connection) -> list[int]:
            return [each.job for each in turns.ready(connection, origin, _READ, now, busy)][:most]

        return await self._lease(pick, now)

    async def probe(self, origin: Origin, now: Instant, busy: frozenset[Digest]) -> Sequence[int]:
        """The number of the smallest of the next due jobs of the origin; none when none is due."""
        return await self._engine.read(lambda connection: turns.probe(connection, origin, now, busy))

    async def take(self, jobs: Sequence[int], now: Instant, quota: int) -> Taken:
        """Those of the jobs that still wait and are due, LEASED from now on while there is room for them."""
        taken: list[Key] = []

        def take(connection: Connection) -> tuple[list[Lease], list[int], list[Shortage]]:
            taking, short, here = self._room.taking(connection, quota), list[Shortage](), set[int]()
            taken.clear()

            def keeps_out(job: Job) -> bool:
                if self._is_stored(job.digest):
                    here.add(job.job)
                lack = taking.short(job, job.job in here)
                taken[:] = taking.keys
                if lack is not None:
                    short.append(lack)
                return lack is not None

            chosen = picking.chosen(connection, jobs, now)
            leases, damaged = picking.lease(connection, chosen, now, keeps_out)
            return [evolve(each, here=each.job.job in here) for each in leases], damaged, short

        try:
            leases, damaged, short = await self._engine.write(take)
        except BaseException:
            self._space.let_go(taken)
            raise
        self._tell_damage(damaged)
        return Taken(tuple(leases), tuple(short))

    async def _lease(self, pick: Callable[[Connection], list[int]], now: Instant) -> Sequence[Lease]:
        def take(connection: Connection) -> tuple[list[Lease], list[int]]:
            leases, damaged = picking.lease(connection, pick(connection), now)
            return [evolve(each, here=self._is_stored(each.job.digest)) for each in leases], damaged

        leases, damaged = await self._engine.write(take)
        self._tell_damage(damaged)
        return leases

    def _tell_damage(self, damaged: Sequence[int]) -> None:
        for number in damaged:
            self._log.error(
                "store: the row of pull {number} is damaged and was set aside; ask the sender to send it again",
                number=number,
            )

    async def next_due(self, now: Instant) -> Instant | None:
        """When the next destination's time comes after `now`."""
        return await self._engine.read(lambda connection: turns.next_due(connection, now))

    async def change(self, changes: Sequence[Change]) -> None:
        """Write all of them or none; refuses with Conflict."""
        await self._engine.write(lambda connection: rows.change(connection, changes))
        ended = [each.job for each in changes if each.before is State.LEASED and each.job.state is not State.LEASED]
        self._space.let_go((job.job, job.epoch) for job in ended)

    async def checkpoint(self, lease: Lease, validator: str, checkpoint: Checkpoint) -> None:
        """Add a durable checkpoint; refuses with Conflict when the epoch has moved on."""
        await self._engine.write(
            partial(transfers.checkpoint, fetch=lease.fetch, validator=validator, reached=checkpoint)
        )

    async def forget(self, lease: Lease) -> None:
        """Drop checkpoints and validator; Conflict as above."""
        await self._engine.write(lambda connection: transfers.forget(connection, lease.fetch))

    async def rewind(self, lease: Lease, offset: int) -> None:
        """Drop the checkpoints beyond `offset`; Conflict as above."""
        await self._engine.write(lambda connection: transfers.rewind(connection, lease.fetch, offset))

    async def find(self, job: int) -> Job:
        """The job; refuses with Unknown or Damaged."""
        return await self._engine.read(lambda connection: rows.find(connection, job))

    async def jobs(self, state: State | None, origin: Origin | None, after: int, most: int) -> Sequence[Job]:
        """Jobs by number, those after `after`."""
        return await self._engine.read(lambda connection: rows.listed(connection, state, origin, after, most))

    async def begun(self, after: int, most: int) -> Sequence[Job]:
        """Jobs that were leased and may still be, by number, those after `after`."""
        return await self._engine.read(lambda connection: rows.begun(connection, after, most))

    async def fetch(self, origin: Origin, digest: Digest) -> Fetch:
        """The shared transfer."""
        return await self._engine.read(lambda connection: transfers.find(connection, origin, digest))

    async def history(self, job: int, most: int) -> Sequence[HistoryRow]:
        """The job's newest transitions, oldest first."""
        return await self._engine.read(lambda connection: rows.history(connection, job, most))

    async def counts(self) -> Counts:
        """The queue in numbers."""
        counts = await self._engine.read(rows.counts)
        held = await self._engine.read(room.total)
        return evolve(counts, held=held, reserved=self._space.promised, free=max(0, self._space.free))

    async def wake(self, now: Instant, origin: Origin | None, condition: str | None) -> int:
        """Make waiting jobs READY, due now; how many."""
        if origin is None:
            return await self._wake_everywhere(now, condition)
        sleeping = await self._engine.read(lambda connection: rows.sleeping_at(connection, origin, condition))
        woken = 0
        for start in range(0, len(sleeping), _WAKE_AT_ONCE):
            some = sleeping[start : start + _WAKE_AT_ONCE]
            woken += await self._engine.write(partial(rows.wake, jobs=some, now=now))
        await self._engine.write(lambda connection: turns.let(connection, origin, now))
        return woken

    async def _wake_everywhere(self, now: Instant, condition: str | None) -> int:
        """A page at a time: they may be as many as the queue is long."""
        woken = 0
        for state in rows.ASLEEP:
            look, after = partial(rows.sleeping, state=state, condition=condition, most=_WAKE_AT_ONCE), 0
            while some := await self._engine.read(partial(look, after=after)):
                woken, after = woken + await self._engine.write(partial(rows.wake, jobs=some, now=now)), some[-1][0]
        return woken

    async def origins_of(self, sender: Domain, condition: str, most: int) -> Sequence[Origin]:
        """Where jobs of the sender's messages wait with that condition."""
        return await self._engine.read(lambda connection: contacts.origins(connection, sender, condition, most))

    async def wake_some(self, now: Instant, sender: Domain, origin: Origin, condition: str, most: int) -> int:
        """Make some of them READY, due now; how many."""

        def wake(connection: Connection) -> int:
            jobs = contacts.asleep(connection, sender, origin, condition, most)
            turns.let(connection, origin, now)
            return rows.wake(connection, jobs, now)

        return await self._engine.write(wake)

    async def make_room(self, now: Instant, quota: int) -> int:
        """Wake those that wait for room that there is now; how many."""
        if not await self._engine.read(self._room.is_wanted):
            return 0
        return await self._engine.write(lambda connection: self._room.make(connection, quota, now))

    async def holdings(self) -> Mapping[str, Holding]:
        """What everybody holds, by the key of the address."""
        return await self._engine.read(room.holdings)

    async def set_quota(self, address: Address, quota: int | None) -> None:
        """The user's own quota, 0 for none, None for the domain's."""
        await self._engine.write(lambda connection: room.set_quota(connection, address, quota))

    async def recount(self) -> Sequence[tuple[str, int, int]]:
        """Count again what everybody holds, and correct it: who, what was noted, what it is."""
        found, after = list[tuple[str, int, int]](), ""
        while True:
            wrong, after = await self._engine.read(partial(room.miscounted, after=after, most=_COUNT_AT_ONCE))
            for recipient, _, _ in wrong:
                await self._engine.write(partial(room.correct, recipient=recipient))
            found += wrong
            if not after:
                return found

    async def breakers(self, kind: str) -> Sequence[Breaker]:
        """The saved breakers of a kind."""
        return await self._engine.read(lambda connection: healths.breakers(connection, kind))

    async def save_breaker(self, kind: str, breaker: Breaker, adjustment: Adjustment | None = None) -> None:
        """Remember a breaker by its name, and the change that led there."""
        await self._engine.write(lambda connection: healths.save(connection, kind, breaker, adjustment))

    async def adjustments(self, name: str, most: int) -> Sequence[Adjustment]:
        """The changes of the breakers of that name, of all when it is "", newest first."""
        return await self._engine.read(lambda connection: healths.adjustments(connection, name, most))

    async def watch(self, now: Instant, most: int) -> Sequence[Job]:
        """Jobs whose deadlines are to be looked at, longest due first."""

        async def put_off(damaged: list[int]) -> None:
            await self._engine.write(lambda connection: watching.set_aside(connection, damaged, now))

        return await self._engine.readable(lambda connection: watching.due(connection, now, most), put_off)

    async def mend(self, beyond: Instant, now: Instant, most: int) -> int:
        """Let up to `most` waiting jobs that are due after `beyond` be due now; how many."""
        return await self._engine.write(lambda connection: watching.mend(connection, beyond, now, most))

    async def watch_anew(self, now: Instant, most: int) -> int:
        """Let the deadlines of up to `most` jobs that are to be looked at later be looked at now; how many."""
        return await self._engine.write(lambda connection: watching.anew(connection, now, most))

    async def watched(self, looks: Sequence[tuple[int, Instant]]) -> None:
        """Each of the jobs is to be looked at again then."""
        await self._engine.write(lambda connection: watching.looked(connection, looks))

    async def rates(self, most: int) -> Sequence[tuple[str, float]]:
        """The newest saved rates of destinations."""
        return await self._engine.read(lambda connection: healths.rates(connection, most))

    async def save_rate(self, origin: Origin, rate: float, now: Instant) -> None:
        """Remember a destination's rate."""
        await self._engine.write(lambda connection: healths.save_rate(connection, origin, rate, now))

    async def rulings(self) -> Sequence[Ruling]:
        """What operators have laid down."""
        return await self._engine.read(books.rulings)

    async def receipts_due(self, now: Instant, most: int) -> Sequence[PendingReceipt]:
        """Receipts whose time has come, earliest first."""

        async def give_up(damaged: list[int]) -> None:
            await self._engine.write(lambda connection: outbox.set_aside(connection, damaged, now))
            for number in damaged:
                self._log.error("store: the receipt of pull {number} is damaged and was given up", number=number)

        return await self._engine.readable(lambda connection: outbox.due(connection, now, most), give_up)

    async def receipts_sent(self, jobs: Sequence[int], now: Instant) -> None:
        """They were acknowledged."""
        await self._engine.write(lambda connection: outbox.sent(connection, jobs, now))

    async def receipts_deferred(self, receipts: Sequence[PendingReceipt], evidence: str, now: Instant) -> None:
        """They wait as they say now."""
        await self._engine.write(lambda connection: outbox.deferred(connection, receipts, evidence, now))

    async def receipts_put_off(
        self, sender: Domain, origin: Origin, now: Instant, until: Instant, is_try: bool
    ) -> None:
        """What is due there waits."""
        put_off = partial(outbox.put_off, sender=sender, origin=origin, now=now, until=until, is_try=is_try)
        while await self._engine.write(put_off) == outbox.AT_ONCE:
            pass

    async def receipts_wake(self, sender: Domain, now: Instant, most: int) -> int:
        """Some that nobody refused go now."""
        return await self._engine.write(lambda connection: outbox.wake(connection, sender, now, most))

    async def receipt_again(self, job: int, now: Instant) -> bool:
        """Tell again one that was given up."""
        return await self._engine.write(lambda connection: outbox.again(connection, job, now))

    async def next_receipt(self) -> Instant | None:
        """When the next receipt is due."""
        return await self._engine.read(outbox.next_receipt)
