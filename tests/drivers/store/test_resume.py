"""A large transfer goes on at once: only its last chunk is looked at, the whole is hashed behind the writer."""

from collections.abc import Awaitable, Callable, Sequence
from errno import EIO

from attrs import evolve
from twisted.internet.defer import Deferred
from typing_extensions import override

from rrsd.core.refusals import Conflict, Damaged, NoSpace
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Lease
from rrsd.core.values.resources import CHUNK, Checkpoint
from rrsd.drivers.store.blobs import chunking, partial
from rrsd.drivers.store.blobs.chunking import Behind, chunk_start
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.memory import MemoryFiles, MemoryStore
from rrsd.drivers.store.service import Store
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.manual import ManualWorkers

DATA = bytes(range(251)) * 20_000
SIZE = len(DATA)
HALF = 2_500_000


class Resume(StoreCase):
    """A store in which nothing is so small that all of it is hashed first."""

    @override
    def open(self) -> Store:
        self.files = MemoryFiles(self.clock)
        store = MemoryStore(self.clock, self.files)
        store.blobs._desk.quick = 0
        return store

    @override
    def setUp(self) -> None:
        super().setUp()
        self.lease = evolve(self.one_lease(DATA))
        self.lease = evolve(self.lease, job=evolve(self.lease.job, size=SIZE))

    def committed(self, lease: Lease) -> Callable[[Checkpoint], Awaitable[None]]:
        """Commits as an attempt does."""

        async def commit(checkpoint: Checkpoint) -> None:
            await self.store.queue.checkpoint(lease, '"v"', checkpoint)

        return commit

    def begin(self, lease: Lease | None = None) -> tuple[Stream, Checkpoint | None]:
        """The transfer, and where it goes on."""
        lease = lease or self.lease
        stream, held = self.done(self.store.blobs.partial(lease, SIZE, self.committed(lease)))
        assert isinstance(stream, Stream)
        return stream, held

    def again(self) -> Lease:
        """The next lease."""
        self.done(self.store.queue.recover(self.now))
        return self.leased()[0]

    def half(self) -> Lease:
        """Half of it came, in two parts with a checkpoint each."""
        stream, _ = self.begin()
        for start in (0, HALF // 2):
            stream.write(DATA[start : start + HALF // 2])
            self.pass_seconds(3)
            stream.write(b"")
        self.done(stream.close())
        return self.again()

    def damage(self, place: int) -> None:
        """The disk changes a byte of the partial file."""
        (name,) = [name for name in self.files.nodes if "/partial/" in name]
        self.files.nodes[name].data[place] ^= 1

    def test_goes_on_after_its_last_chunk(self) -> None:
        """The checkpoint says of which bytes that is the digest; the whole is right in the end."""
        lease = self.half()
        stream, held = self.begin(lease)
        assert held is not None
        self.assertEqual((held.offset, held.tail), (HALF, digest_of(DATA[:HALF])))
        stream.write(DATA[HALF:])
        self.assertEqual(self.done(stream.finish(digest_of(DATA), SIZE)).size, SIZE)

    def test_goes_on_again_while_the_whole_is_hashed(self) -> None:
        """A second crash costs no more than the first: checkpoints are made that know no whole."""
        stream, _ = self.begin(self.half())
        self.pass_seconds(3)
        stream.write(DATA[HALF : HALF + 1000])
        self.done(stream.close())
        stream, held = self.begin(self.again())
        assert held is not None
        self.assertEqual((held.offset, held.prefix, held.tail), (HALF + 1000, None, digest_of(DATA[: HALF + 1000])))
        stream.write(DATA[HALF + 1000 :])
        self.done(stream.finish(digest_of(DATA), SIZE))

    def test_a_torn_last_chunk_is_cut_off(self) -> None:
        """The newest checkpoint before the damage holds."""
        lease = self.half()
        self.damage(HALF - 1)
        _, held = self.begin(lease)
        assert held is not None
        self.assertEqual(held.offset, HALF // 2)

    def test_a_file_that_is_too_short(self) -> None:
        """It holds what it has; where nothing holds, nothing is there."""
        lease = self.half()
        (name,) = [name for name in self.files.nodes if "/partial/" in name]
        del self.files.nodes[name].data[10:]
        _, held = self.begin(lease)
        self.assertIsNone(held)

    def test_damage_before_the_last_chunk_is_found_at_the_end(self) -> None:
        """Nothing gets a name; what is wrong is found, put right, and the whole is looked at anew."""
        lease = self.half()
        lease = evolve(lease, fetch=evolve(lease.fetch, checkpoints=lease.fetch.checkpoints[-1:]))
        self.patch(chunking, "CHUNK", 1_000_000)
        self.patch(partial, "CHUNK", 1_000_000)
        checkpoint = evolve(lease.fetch.checkpoints[0], tail=digest_of(DATA[2_000_000:HALF]))
        lease = evolve(lease, fetch=evolve(lease.fetch, checkpoints=(checkpoint,)))
        self.damage(5)
        stream, held = self.begin(lease)
        self.assertEqual(held, checkpoint)
        stream.write(DATA[HALF:])
        self.refused(Damaged, stream.finish(digest_of(DATA), SIZE))
        chunks = self.done(stream.chunks())
        good = [digest_of(DATA[start : start + 1_000_000]) for start in range(0, SIZE, 1_000_000)]
        self.assertEqual([place for place, each in enumerate(chunks) if each != good[place]], [0])
        self.done(stream.hold())
        self.successResultOf(stream.patch(5).write(DATA[5:7]))
        self.assertEqual(self.done(stream.finish(digest_of(DATA), SIZE)).size, SIZE)

    def test_what_is_held_is_mended_by_the_next(self) -> None:
        """All that came is there after a crash, though it was known to be damaged."""
        stream, _ = self.begin()
        stream.write(b"?" + DATA[1:])
        self.refused(Damaged, stream.finish(digest_of(DATA), SIZE))
        self.done(stream.hold())
        self.successResultOf(stream.patch(0).write(DATA[:1]))
        self.done(stream.close())
        stream, held = self.begin(self.again())
        self.assertEqual(held, Checkpoint(SIZE))
        self.done(stream.finish(digest_of(DATA), SIZE))

    def test_r9_what_a_failed_sync_was_to_hold_is_not_synced_again(self) -> None:
        """The lease that was to mend it ends without another checkpoint: a second fsync would lie (found by make crash,
        mended!31=EIO@42+)."""
        stream, _ = self.begin()
        stream.write(b"?" + DATA[1:])
        self.refused(Damaged, stream.finish(digest_of(DATA), SIZE))

        def fail(files: MemoryFiles, descriptor: int) -> None:
            raise OSError(EIO, "input/output error")

        patch = self.patch(MemoryFiles, "sync", fail)
        self.refused(NoSpace, stream.hold())
        patch.restore()
        self.refused(NoSpace, stream.finish(digest_of(DATA), SIZE))
        self.done(stream.close())
        self.assertEqual(self.again().fetch.checkpoints, ())

    def test_r9_what_was_mended_when_a_sync_failed_is_written_again(self) -> None:
        """The next lease sees it, and nobody knows whether the disk keeps it (make crash, mended!35=EIO@41+)."""
        stream, _ = self.begin()
        stream.write(b"?" + DATA[1:])
        self.refused(Damaged, stream.finish(digest_of(DATA), SIZE))
        self.done(stream.hold())
        self.successResultOf(stream.patch(0).write(DATA[:1]))
        self.done(stream.close())
        written: list[tuple[int, int]] = []
        write = MemoryFiles.write

        def note(files: MemoryFiles, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
            written.append((offset, sum(map(len, blocks))))
            write(files, descriptor, blocks, offset)

        self.patch(MemoryFiles, "write", note)
        stream, _ = self.begin(self.again())
        self.done(stream.finish(digest_of(DATA), SIZE))
        self.assertEqual((written[0][0], sum(size for _, size in written)), (0, SIZE))

    def test_a_file_is_not_closed_while_a_part_is_put_in_its_place(self) -> None:
        """Whoever stops in the middle waits for what the disk does: the descriptor might be another file's by then."""
        disk, store = ManualWorkers(), self.store
        stream, _ = self.begin()
        stream.write(DATA)
        self.refused(Damaged, stream.finish(digest_of(b"other"), SIZE))
        store.blobs._desk.workers = disk
        writing = stream.patch(0).write(b"late")
        closing = Deferred.fromCoroutine(stream.close())
        self.assertNoResult(closing)
        disk.flush()
        self.successResultOf(writing)
        self.successResultOf(closing)
        self.failureResultOf(stream.patch(0).write(b"too late"), Conflict)
        self.refused(Conflict, stream.chunks())

    def test_checkpoints_of_an_earlier_rrsd(self) -> None:
        """They know nothing of chunks: all is hashed before, as it was."""
        lease = self.half()
        old = tuple(Checkpoint(each.offset, each.prefix) for each in lease.fetch.checkpoints)
        self.damage(5)
        _, held = self.begin(evolve(lease, fetch=evolve(lease.fetch, checkpoints=old)))
        self.assertIsNone(held)

    def test_a_disk_that_fails_behind_the_writer(self) -> None:
        """It is noticed by who writes, at once."""
        lease = self.half()
        real = Behind._slice

        def fail(behind: Behind, start: int, end: int) -> None:
            real(behind, start, end)
            raise NoSpace("input/output error")

        self.patch(Behind, "_slice", fail)
        stream, _ = self.begin(lease)
        self.failureResultOf(stream.write(DATA[HALF:]), NoSpace)
        self.refused(NoSpace, stream.finish(digest_of(DATA), SIZE))
        self.done(stream.close())

    def test_a_file_that_shrinks_behind_the_writer(self) -> None:
        """Nobody waits for bytes that never come."""
        stream, _ = self.begin(self.half())
        (name,) = [name for name in self.files.nodes if "/partial/" in name]
        stream.write(DATA[HALF : HALF + 10])
        del self.files.nodes[name].data[HALF:]
        stream._behind = None
        stream._hash_behind()
        self.refused(Damaged, stream.finish(digest_of(DATA), SIZE))

    def test_a_small_transfer_has_no_parts(self) -> None:
        """It is fetched whole, whatever was wrong with it."""
        lease = self.one_lease(b"small")
        small, _ = self.done(self.store.blobs.partial(lease, 5, self.committed(lease)))
        self.assertEqual(self.done(small.chunks()), ())
        self.done(small.hold())
        self.assertRaises(Conflict, small.patch, 0)

    def test_where_a_chunk_begins(self) -> None:
        """A chunk that is complete is still the last one."""
        for offset, start in ((0, 0), (1, 0), (CHUNK, 0), (CHUNK + 1, CHUNK), (3 * CHUNK, 2 * CHUNK)):
            self.assertEqual(chunk_start(offset), start)
