"""Room for pulls: what users hold is counted as jobs change, nothing is leased without room, nobody is forgotten."""

from typing import Any

from attrs import evolve
from typing_extensions import override

from rrsd.core.refusals import Conflict, NoSpace
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.jobs import Change, Holding, Job, Lease, State, Taken
from rrsd.drivers.store.memory import MemoryFiles, MemoryStore
from rrsd.drivers.store.service import Store
from rrsd.drivers.store.sql import picking, room
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import BOB, CAROL, NOW, job, message_of

MIB = 1 << 20
A, B, C, D = (digest_of(each) for each in (b"a", b"b", b"c", b"d"))
PLANS = {
    "largest": (room._LARGEST, ("r", b""), "jobs_held (recipient=? AND digest=?)"),
    "over by size": (room._OVER_BY_SIZE, ("r", 5, 5), "jobs_over_size (recipient=? AND size<?)"),
    "over by age": (room._OVER_BY_AGE, ("r", 5), "jobs_over_age (recipient=?)"),
    "by size": (room._BY_SIZE, (5, 5), "jobs_space_size (size<?)"),
    "by age": (room._BY_AGE, (5,), "jobs_space_age"),
    "freed": (room._FREED, (5,), "holders_freed"),
    "count": (room._COUNT, ("r",), "jobs_held (recipient=?)"),
    "leased": (room._RESERVED, (), "jobs_state (state=?)"),
}


class RoomCase(StoreCase):
    """A store in memory on a disk of 100 MiB."""

    @override
    def open(self) -> Store:
        self.files = MemoryFiles(self.clock, 100 * MIB)
        return MemoryStore(self.clock, self.files)

    def add(self, digest: Digest, size: int, **changes: Any) -> int:
        """A job for the resource, in a message of its own."""
        name = f"m{len(self.jobs())}"
        one = evolve(job(digest, message=name), size=size, **changes)
        message = evolve(message_of(one, name=name), recipient=one.recipient)
        accepted = self.done(self.store.queue.accept(message, [one]))
        assert accepted is not None
        return accepted.parts[0].job

    def jobs(self) -> list[Job]:
        """All of them."""
        return list(self.done(self.store.queue.jobs(None, None, 0, 1000)))

    def take(self, *numbers: int, quota: int = 0) -> Taken:
        """Try to lease them; what has no room waits, as the agent lets it."""
        taken = self.done(self.store.queue.take(numbers, self.now, quota))
        for each in taken.short:
            after = evolve(each.job, state=State.NO_SPACE, condition=each.condition, due=each.job.deadline)
            self.done(self.store.queue.change([Change(after, "no_space", self.now, each.job.state)]))
        return taken

    def end(self, lease: Lease, state: State) -> None:
        """The lease is over."""
        due = self.now if state is State.READY else None
        after = evolve(lease.job, state=state, due=due, stored=NOW if state is State.STORED else None)
        self.done(self.store.queue.change([Change(after, "test", self.now, State.LEASED)]))

    def arrived(self, digest: Digest, size: int, **changes: Any) -> int:
        """A job whose resource has come."""
        number = self.add(digest, size, **changes)
        self.end(self.take(number).leases[0], State.STORED)
        return number

    def held(self, who: str = "bob@bar.test") -> Holding:
        """What one holds; what was noted is what there is."""
        self.assertEqual(self.done(self.store.queue.recount()), [])
        return self.done(self.store.queue.holdings()).get(who, Holding())

    def states(self) -> list[State]:
        """Of all jobs."""
        return [each.state for each in self.jobs()]


class Counting(RoomCase):
    """What users hold."""

    def test_what_is_leased_is_reserved_and_what_has_come_is_held(self) -> None:
        """And what did not come is neither."""
        number = self.add(A, 10)
        self.assertEqual(self.held(), Holding())
        (lease,) = self.take(number).leases
        self.assertEqual(self.held(), Holding(10, 10))
        self.end(lease, State.READY)
        self.assertEqual(self.held(), Holding())
        (lease,) = self.take(number).leases
        self.end(lease, State.STORED)
        self.assertEqual(self.held(), Holding(10, 0))

    def test_a_resource_counts_once_for_each_user(self) -> None:
        """However many of one's messages name it; another user's copy is another's."""
        for _ in range(3):
            self.arrived(A, 10)
        self.arrived(A, 10, recipient=CAROL)
        self.arrived(B, 5)
        self.assertEqual(self.held(), Holding(15))
        self.assertEqual(self.held("carol@bar.test"), Holding(10))

    def test_sizes_that_disagree_do_not_make_room_out_of_nothing(self) -> None:
        """Messages that name one resource with different sizes, leased and given up in any order: it counts as the
        largest, and never as less than nothing."""
        small, large = self.add(A, 10), self.add(A, 90)
        first = self.take(small).leases[0]
        second = self.take(large).leases[0]
        self.assertEqual(self.held(), Holding(90, 90))
        self.end(first, State.FAILED)
        self.assertEqual(self.held(), Holding(90, 90))
        self.end(second, State.FAILED)
        self.assertEqual(self.held(), Holding())

    def test_letters_are_one_users_whatever_their_case(self) -> None:
        """Bob@bar.test and bob@bar.test share a quota, for they share a mailbox."""
        self.arrived(A, 10)
        self.arrived(B, 5, recipient=evolve(BOB, local="Bob"))
        self.assertEqual(self.held(), Holding(15))

    def test_what_is_taken_away_is_not_held(self) -> None:
        """Rows that go, by whatever way, count no more."""
        first, second = self.arrived(A, 10), self.arrived(A, 10)
        for number, left in ((first, 10), (second, 0)):
            self.sql("DELETE FROM jobs WHERE job = ?", number)
            self.assertEqual(self.held(), Holding(left))

    def test_rows_that_come_complete_are_held(self) -> None:
        """As when a queue is put back from elsewhere."""
        self.add(A, 10, state=State.RECEIPTED)
        self.assertEqual(self.held(), Holding(10))

    def test_a_restart_keeps_what_has_come(self) -> None:
        """And gives back what was leased."""
        self.arrived(A, 10)
        self.take(self.add(B, 5))
        self.done(self.store.queue.recover(NOW))
        self.assertEqual(self.held(), Holding(10))

    def test_the_self_check_corrects(self) -> None:
        """What is wrong is said once, and is right then."""
        self.arrived(A, 10)
        self.sql("UPDATE holders SET bytes = -7")
        self.assertEqual(self.done(self.store.queue.recount()), [("bob@bar.test", -7, 10)])
        self.assertEqual(self.held(), Holding(10))

    def test_the_self_check_comes_to_everybody(self) -> None:
        """A page at a time."""
        for number in range(120):
            self.arrived(A, 10, recipient=evolve(BOB, local=f"u{number}"))
        self.sql("UPDATE holders SET bytes = 3")
        self.assertEqual(len(self.done(self.store.queue.recount())), 120)
        self.assertEqual(self.done(self.store.queue.counts()).held, 1200)

    def sql(self, statement: str, *values: object) -> None:
        """Change rows behind everybody's back."""

        async def change() -> None:
            await self.store._engine.write(lambda connection: connection.execute(statement, values).close())

        self.done(change())


class Quotas(RoomCase):
    """Nobody holds more than their quota."""

    def test_over_quota(self) -> None:
        """What does not fit stays as it was, with what there is too little of; what fits is leased."""
        self.arrived(A, 60)
        large, small = self.add(B, 50), self.add(C, 40)
        taken = self.take(large, small, quota=100)
        self.assertEqual([each.job.job for each in taken.leases], [small])
        self.assertEqual([(s.condition, s.needed, s.free, s.most) for s in taken.short], [("quota", 50, 40, 100)])
        one = self.done(self.store.queue.find(large))
        self.assertEqual((one.attempts, one.epoch, one.state), (0, 0, State.NO_SPACE))

    def test_jobs_that_are_taken_together(self) -> None:
        """Count together, each resource once."""
        numbers = [self.add(A, 60), self.add(A, 60), self.add(B, 60), self.add(C, 40)]
        taken = self.take(*numbers, quota=100)
        self.assertEqual([each.job.job for each in taken.leases], [numbers[0], numbers[1], numbers[3]])

    def test_what_one_holds_already_needs_no_room(self) -> None:
        """Another message with the same resource is no reason to wait."""
        self.arrived(A, 100)
        self.assertEqual(len(self.take(self.add(A, 100), quota=100).leases), 1)
        (short,) = self.take(self.add(A, 130), quota=100).short
        self.assertEqual(short.needed, 30)

    def test_own_quota(self) -> None:
        """It goes before the domain's; 0 is none, and without one the domain's holds again."""
        number = self.add(A, 50)
        for quota, fits in ((40, False), (50, True), (0, True), (None, False)):
            self.done(self.store.queue.set_quota(BOB, quota))
            self.assertEqual(self.held().quota, quota)
            self.done(self.store.queue.wake(self.now, None, "quota"))
            taken = self.take(number, quota=45)
            self.assertEqual(bool(taken.leases), fits, quota)
            for lease in taken.leases:
                self.end(lease, State.READY)

    def wakes(self, quota: int) -> list[int]:
        """Those that are woken by a look."""
        before = {each.job for each in self.jobs() if each.state is State.READY}
        self.done(self.store.queue.make_room(self.now, quota))
        return [each.job for each in self.jobs() if each.state is State.READY and each.job not in before]

    def test_whoever_waits_is_woken_when_there_is_room(self) -> None:
        """Not before; and each that fits into what is left, the smallest first, so that none is woken in vain."""
        self.arrived(A, 10)
        waiting = [self.add(digest_of(bytes([size])), size) for size in (50, 90, 30, 20)]
        taken = self.take(self.add(B, 90), quota=100)
        self.take(*waiting, quota=100)
        self.assertEqual(self.wakes(100), [])
        self.assertFalse(self.done(self.store.queue.make_room(self.now, 100)))
        self.end(taken.leases[0], State.CANCELLED)
        self.assertEqual(self.wakes(100), [waiting[2], waiting[3]])

    def test_a_raised_quota_wakes(self) -> None:
        """The user's own, and the domain's when the daemon begins with it."""
        number = self.add(A, 50)
        self.take(number, quota=10)
        self.wakes(10)
        self.done(self.store.queue.set_quota(BOB, 60))
        self.assertEqual(self.wakes(10), [number])

    def test_room_that_is_made_between_the_look_and_the_wait_is_not_lost(self) -> None:
        """A job that is put aside is looked at once more, whatever happened meanwhile."""
        self.arrived(A, 60)
        number = self.add(B, 50)
        (short,) = self.done(self.store.queue.take([number], self.now, 100)).short
        self.done(self.store.queue.set_quota(BOB, 200))
        self.assertEqual(self.wakes(100), [])
        after = evolve(short.job, state=State.NO_SPACE, condition="quota", due=short.job.deadline)
        self.done(self.store.queue.change([Change(after, "no_space", self.now, State.NEW)]))
        self.assertEqual(self.wakes(100), [number])

    def test_a_thousand_that_wait_are_woken_a_few_at_a_time(self) -> None:
        """And all of them in the end."""
        numbers = [self.add(digest_of(number.to_bytes(2, "big")), 50) for number in range(150)]
        self.take(*numbers, quota=10)
        self.done(self.store.queue.set_quota(BOB, 0))
        self.assertEqual([len(self.wakes(10)) for _ in range(4)], [64, 64, 22, 0])

    def test_plans(self) -> None:
        """Every question is answered from an index, without sorting."""

        def plans(connection: Any) -> None:
            for name, (statement, values, index) in PLANS.items():
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
                plan = "; ".join(row[3] for row in rows)
                self.assertIn(index, plan, name)
                self.assertTrue(name == "leased" or "TEMP B-TREE" not in plan, plan)

        async def look() -> None:
            await self.store._engine.read(plans)

        self.done(look())


class Disk(RoomCase):
    """Nothing is leased that the disk has no room for."""

    def test_the_disk_is_shared_out_before_anything_begins(self) -> None:
        """What is leased has its bytes set apart until its lease is over, whatever becomes of it."""
        first, second = self.add(A, 60 * MIB), self.add(B, 60 * MIB)
        taken = self.take(first, second)
        (short,) = taken.short
        self.assertEqual((short.condition, short.needed, short.free, short.most),
                         ("space", 60 * MIB, 40 * MIB, 100 * MIB))  # fmt: skip
        counts = self.done(self.store.queue.counts())
        self.assertEqual((counts.reserved, counts.free), (60 * MIB, 40 * MIB))
        self.assertEqual(self.done(self.store.queue.make_room(self.now, 0)), 0)
        self.end(taken.leases[0], State.FAILED)
        self.assertEqual(self.done(self.store.queue.make_room(self.now, 0)), 1)
        self.assertEqual(self.done(self.store.queue.counts()).reserved, 0)

    def test_a_transfer_takes_over_what_its_lease_has(self) -> None:
        """Nothing is counted twice, nothing is left when it is over."""
        number = self.add(A, 60 * MIB)
        (lease,) = self.take(number).leases

        async def nothing(checkpoint: object) -> None:
            return None

        stream, _ = self.done(self.store.blobs.partial(lease, 60 * MIB, nothing))
        stream.write(bytes(MIB))
        self.assertEqual(self.done(self.store.queue.counts()).reserved, 59 * MIB)
        self.done(stream.close())
        self.assertEqual(self.done(self.store.queue.counts()).reserved, 0)
        self.end(lease, State.DEFERRED)
        self.assertEqual(self.done(self.store.queue.counts()).reserved, 0)

    def test_what_is_durable_needs_no_room(self) -> None:
        """The rest of a resource fits where the whole would not."""
        number = self.add(A, 60 * MIB)
        (lease,) = self.take(number).leases

        async def commit(checkpoint: Any) -> None:
            await self.store.queue.checkpoint(lease, '"v"', checkpoint)

        stream, _ = self.done(self.store.blobs.partial(lease, 60 * MIB, commit))
        stream.write(bytes(40 * MIB))
        self.done(stream.close())
        self.end(lease, State.READY)
        self.files.capacity = 65 * MIB
        self.assertEqual(len(self.take(number).leases), 1)

    def test_what_is_here_needs_no_room(self) -> None:
        """Another recipient of bytes that have come only proves their right."""
        data = bytes(1000)
        self.done(self.store.blobs.put(data))
        self.files.capacity = 1500
        (lease,) = self.take(self.add(digest_of(data), 1000)).leases
        self.assertTrue(lease.here)
        self.assertFalse(self.take(self.add(A, 200)).leases[0].here)

    def test_a_lease_that_could_not_be_written_holds_nothing(self) -> None:
        """Neither where the database refuses nor where the disk does not say how much is free."""
        number = self.add(A, 60 * MIB)

        def refuse(*given: Any) -> None:
            lease(*given)
            raise Conflict("test")

        lease, patch = picking.lease, self.patch(picking, "lease", refuse)
        self.refused(Conflict, self.store.queue.take([number], self.now, 0))
        patch.restore()
        self.assertEqual(self.done(self.store.queue.counts()).reserved, 0)
        self.patch(MemoryFiles, "free", self.broken)
        self.refused(NoSpace, self.store.queue.take([number], self.now, 0))

    @staticmethod
    def broken(files: MemoryFiles, path: str) -> int:
        """A disk that does not answer."""
        raise OSError(5, "broken")


class Ageing(RoomCase):
    """A large one that never fits beside small ones gets its room together in the end, and they theirs."""

    def look(self, minutes: float) -> None:
        """Time passes, and somebody looks."""
        self.pass_seconds(minutes * 60)
        self.done(self.store.queue.make_room(self.now, 0))

    def fill(self, size: int) -> list[Lease]:
        """Transfers of 10 MiB that are at work."""
        numbers = [self.add(digest_of(str(len(self.jobs())).encode() + bytes([n])), 10 * MIB) for n in range(size)]
        return list(self.take(*numbers).leases)

    def test_half_of_what_becomes_free_is_put_by(self) -> None:
        """For the one that has waited for half an hour; what is up to 8 MiB is never kept out."""
        going = self.fill(9)
        large = self.add(A, 80 * MIB)
        self.take(large)
        self.look(31)
        for lease in going[:6]:
            self.end(lease, State.FAILED)
        self.look(1)
        self.assertEqual(len(self.fill(7)), 3)  # 70 MiB are free, 35 of them are put by
        small = self.add(B, 8 * MIB)
        self.assertEqual(len(self.take(small).leases), 1)
        for each in self.jobs():
            if each.state is State.LEASED:
                self.end(Lease(each, None), State.FAILED)  # type: ignore[arg-type]
        self.look(1)
        self.assertIs(self.done(self.store.queue.find(large)).state, State.READY)
        self.assertEqual(len(self.fill(3)), 2)
        self.assertEqual(len(self.take(large).leases), 1)

    def test_what_can_never_fit_keeps_nobody_out(self) -> None:
        """Nothing is put by for it."""
        self.take(self.add(A, 200 * MIB))
        self.look(31)
        self.assertEqual(len(self.fill(10)), 10)

    def test_another_has_its_turn_after_a_day(self) -> None:
        """One that does not come together keeps something from others for a day at most."""
        going = self.fill(9)
        first, second = self.add(A, 95 * MIB), self.add(B, 94 * MIB)
        self.take(first, second)
        self.look(31)
        saving = self.store.queue._room._savings[room.SPACE]
        self.assertEqual(saving.job, first)
        self.look(25 * 60)
        self.assertEqual(saving.job, second)
        self.look(25 * 60)
        self.assertEqual(saving.job, first)
        for lease in going:
            self.end(lease, State.FAILED)
        self.look(1)
        self.end(self.take(first).leases[0], State.FAILED)
        self.look(1)
        self.assertEqual(saving.job, second)

    def test_quota(self) -> None:
        """The same within what a user may hold; another user is not asked to give."""
        quota = 100 * MIB
        self.arrived(C, 90 * MIB)
        large = self.add(A, 50 * MIB)
        self.take(large, quota=quota)
        self.pass_seconds(3600)
        self.done(self.store.queue.set_quota(BOB, 110 * MIB))
        self.done(self.store.queue.make_room(self.now, quota))
        (short,) = self.take(self.add(B, 15 * MIB), quota=quota).short
        self.assertEqual((short.needed, short.free), (15 * MIB, 20 * MIB))
        self.assertEqual(len(self.take(self.add(D, 9 * MIB), quota=quota).leases), 1)
