"""Tests for rrsd.drivers.store.blobs: pauses, checkpoints beside the stream, full and failing disks."""

from collections.abc import Coroutine, Sequence
from errno import EEXIST, EIO, ENOSPC, EOPNOTSUPP
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Conflict, NoSpace, Unknown
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Fetch, Lease
from rrsd.core.values.resources import CHUNK, Checkpoint
from rrsd.core.values.settings import Size
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.memory import MemoryFiles
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.database import MemoryDatabase
from rrsd.runtime.workers import InlineWorkers
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.manual import ManualWorkers
from tests.drivers.store.samples import NOW, RS, job, upload

MIB = 1 << 20


class SickFiles(MemoryFiles):
    """A disk that says what the test wants."""

    write_error = sync_error = nameless_error = folder_error = 0
    taken_links = 0

    def sync_folder(self, path: str) -> None:
        """May fail."""
        if self.folder_error:
            raise OSError(self.folder_error, "said the disk")

    def link(self, path: str, name: str) -> None:
        """May find the name taken by a file that is gone a moment later."""
        if self.taken_links:
            self.taken_links -= 1
            raise FileExistsError(EEXIST, "exists")
        super().link(path, name)

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """May fail."""
        if self.write_error:
            raise OSError(self.write_error, "said the disk")
        super().write(descriptor, blocks, offset)

    def sync(self, descriptor: int) -> None:
        """May fail."""
        if self.sync_error:
            raise OSError(self.sync_error, "said the disk")

    def create_nameless(self, folder: str) -> int:
        """May not be possible."""
        if self.nameless_error:
            raise OSError(self.nameless_error, "said the disk")
        return super().create_nameless(folder)


class Foreign:
    """A partial of somebody else's."""

    written = 5


class StreamTests(StoreCase):
    """A stream whose disk work runs when the test says so."""

    def open(self) -> Store:
        """A store with manual disk threads."""
        self.disk, inline = ManualWorkers(), InlineWorkers()
        self.files = SickFiles(self.clock)
        settings = Settings(path="/memory", keep_free=Size(0), small=Size(10))
        threads = Threads(inline, inline, self.disk)
        self.seen: list[Checkpoint] = []
        self.database = MemoryDatabase()
        self.parts = settings, threads, self.clock, lambda: self.now.timestamp(), self.files, self.database
        return self.open_again()

    def open_again(self) -> Store:
        """Another store on the same disk."""
        return Store(*self.parts)

    def setUp(self) -> None:
        """Start, with the disk at work."""
        self.now = NOW
        self.store = self.open()
        starting = Deferred.fromCoroutine(self.store.start())
        self.disk.flush()
        self.successResultOf(starting)

    async def committed(self, checkpoint: Checkpoint) -> None:
        """Remember the checkpoint."""
        self.seen.append(checkpoint)

    def begun(self, size: int, checkpoints: tuple[Checkpoint, ...] = (), epoch: int = 1) -> "Deferred[Stream]":
        """A stream of zeros."""
        digest = digest_of(bytes(size))
        lease = Lease(evolve(job(digest), epoch=epoch), Fetch(RS, digest, epoch, "", checkpoints))

        async def open_it() -> Stream:
            partial, _ = await self.store.blobs.partial(lease, size, self.committed)
            assert isinstance(partial, Stream)
            return partial

        opening = Deferred.fromCoroutine(open_it())
        self.disk.flush()
        return opening

    def test_pause(self) -> None:
        """Above 4 MiB in flight the sender is paused, below 1 MiB it goes on."""
        stream = self.successResultOf(self.begun(8 * MIB))
        for _ in range(4):
            self.assertIsNone(stream.write(bytes(MIB)))
        paused = stream.write(bytes(MIB))
        assert paused is not None
        self.assertIs(stream.write(b""), paused)
        for _ in range(4):
            self.disk.step()
        self.assertNoResult(paused)
        self.disk.flush()
        self.successResultOf(paused)
        self.assertEqual((stream.offset, stream.written), (5 * MIB, 5 * MIB))

    def test_small_writes_become_one(self) -> None:
        """Small writes that wait are handed to the disk together."""
        stream = self.successResultOf(self.begun(2 * MIB))
        for _ in range(100):
            stream.write(bytes(1000))
        self.disk.step()
        self.disk.step()
        self.assertEqual(len(self.disk.waiting), 2)
        self.disk.step()
        self.disk.step()
        self.assertEqual(stream.written, 100_000)

    def test_checkpoint_beside_the_stream(self) -> None:
        """After 8 MiB the file is synced while bytes go on coming; the checkpoint covers those before the sync."""
        stream = self.successResultOf(self.begun(2 * CHUNK))
        for _ in range(8):
            stream.write(bytes(MIB))
            self.disk.step()
            self.disk.step()
        self.assertEqual(len(self.disk.waiting), 1)
        stream.write(bytes(MIB))
        self.disk.step(1)
        self.disk.step(1)
        self.assertEqual((stream.written, self.seen), (9 * MIB, []))
        self.disk.step()
        self.assertEqual(self.seen, [Checkpoint(CHUNK, digest_of(bytes(CHUNK)))])

    def test_full_disk(self) -> None:
        """A disk that is full while bytes come refuses with NoSpace: the pause, later writes, and the end."""
        stream = self.successResultOf(self.begun(8 * MIB))
        self.files.write_error = ENOSPC
        for _ in range(4):
            stream.write(bytes(MIB))
        paused = stream.write(bytes(MIB))
        assert paused is not None
        self.disk.flush()
        self.failureResultOf(paused, NoSpace)
        again = stream.write(b"more")
        assert again is not None
        self.failureResultOf(again, NoSpace)
        self.refused(NoSpace, stream.finish(digest_of(b""), 5))
        closing = Deferred.fromCoroutine(stream.close())
        self.disk.flush()
        self.successResultOf(closing)

    def test_failing_sync(self) -> None:
        """A sync that fails ends the transfer: no checkpoint, no name, no second try."""
        stream = self.successResultOf(self.begun(2 * CHUNK))
        self.files.sync_error = EIO
        for _ in range(8):
            self.assertIsNone(stream.write(bytes(MIB)))
            self.disk.flush()
        self.assertEqual(self.seen, [])
        self.refused(NoSpace, stream.finish(digest_of(b""), 5))

    def test_failing_last_sync(self) -> None:
        """A sync that fails at the end refuses, and no final name is given."""
        stream = self.successResultOf(self.begun(MIB))
        stream.write(bytes(MIB))
        self.disk.flush()
        self.files.sync_error = EIO
        ending = Deferred.fromCoroutine(stream.finish(digest_of(bytes(MIB)), MIB))
        self.disk.flush()
        self.failureResultOf(ending, NoSpace)
        finding = Deferred.fromCoroutine(self.store.blobs.find(digest_of(bytes(MIB))))
        self.disk.flush()
        self.failureResultOf(finding, Unknown)

    def test_close_without_a_last_checkpoint(self) -> None:
        """Closing keeps the checkpoint before when the last one cannot be made."""
        stream = self.successResultOf(self.begun(MIB))
        stream.write(bytes(1000))
        self.disk.flush()
        self.files.sync_error = EIO
        closing = Deferred.fromCoroutine(stream.close())
        self.disk.flush()
        self.successResultOf(closing)
        self.assertEqual(self.seen, [])
        self.refused(Conflict, stream.finish(digest_of(bytes(1000)), 1000))

    def test_no_room(self) -> None:
        """A transfer that does not fit beside those that were promised room is refused before it begins."""
        self.files.capacity = 10 * MIB
        first = self.successResultOf(self.begun(8 * MIB))
        self.failureResultOf(self.begun(4 * MIB, epoch=2), NoSpace)
        self.successResultOf(self.begun(1 * MIB, epoch=3))
        ending = Deferred.fromCoroutine(first.discard())
        self.disk.flush()
        self.successResultOf(ending)
        self.successResultOf(self.begun(4 * MIB, epoch=4))

    def test_no_room_for_small(self) -> None:
        """Small bodies and uploads are refused as well when the disk is full, and taken when it is not any more."""
        self.files.capacity = 5
        lease = Lease(job(digest_of(b"")), Fetch(RS, digest_of(b""), 1))
        for work in (self.store.blobs.partial(lease, 9, self.committed), self.store.uploads.begin(upload(9))):
            asked: Deferred[object] = Deferred.fromCoroutine(work)
            self.disk.flush()
            self.failureResultOf(asked, NoSpace)
        self.files.capacity = 500
        beginning = Deferred.fromCoroutine(self.store.uploads.begin(upload(9)))
        self.disk.flush()
        self.successResultOf(beginning)

    def test_room_for_uploads(self) -> None:
        """An upload keeps the room for what has not come, also over a restart, until it is cancelled or complete."""

        def run(work: "Coroutine[Any, Any, Any]") -> "Deferred[Any]":
            asked: Deferred[Any] = Deferred.fromCoroutine(work)
            self.disk.flush()
            return asked

        self.files.capacity = 100
        first = upload(60)
        self.successResultOf(run(self.store.uploads.begin(first)))
        self.failureResultOf(run(self.store.uploads.begin(first)), NoSpace)
        self.failureResultOf(run(self.store.uploads.begin(upload(60, "u2"))), NoSpace)
        self.successResultOf(run(self.store.uploads.begin(upload(30, "u3"))))
        self.failureResultOf(run(self.store.uploads.begin(upload(5, "u3"))), Conflict)
        first = self.successResultOf(run(self.store.uploads.append(first, bytes(20))))
        self.successResultOf(run(self.store.uploads.cancel(first)))
        self.successResultOf(run(self.store.uploads.begin(upload(60, "u4"))))
        again = self.open_again()
        self.successResultOf(run(again.start()))
        self.failureResultOf(run(again.uploads.begin(upload(20, "u5"))), NoSpace)
        self.successResultOf(run(again.uploads.begin(upload(10, "u6"))))

    def test_without_nameless_files(self) -> None:
        """Where files cannot be without a name they get one for a moment; any other error refuses."""
        self.files.nameless_error = EOPNOTSUPP
        putting = Deferred.fromCoroutine(self.store.blobs.put(b"abc"))
        self.disk.flush()
        self.assertEqual(self.successResultOf(putting).size, 3)
        self.assertEqual(self.files.names("/memory/uploads"), [])
        self.files.nameless_error = EIO
        putting = Deferred.fromCoroutine(self.store.blobs.put(b"abcd"))
        self.disk.flush()
        self.failureResultOf(putting, NoSpace)

    def test_failing_folder(self) -> None:
        """A folder that cannot be synced refuses; the same bytes are stored once it can."""
        self.files.folder_error = EIO
        putting = Deferred.fromCoroutine(self.store.blobs.put(b"abc"))
        self.disk.flush()
        self.failureResultOf(putting, NoSpace)
        self.files.folder_error = 0
        putting = Deferred.fromCoroutine(self.store.blobs.put(b"abc"))
        self.disk.flush()
        self.successResultOf(putting)

    def test_name_that_goes(self) -> None:
        """A final name that is taken, and collected before it is looked at, is simply given again."""
        self.files.taken_links = 1
        putting = Deferred.fromCoroutine(self.store.blobs.put(b"abc"))
        self.disk.flush()
        finding = Deferred.fromCoroutine(self.store.blobs.find(self.successResultOf(putting).digest))
        self.disk.flush()
        self.assertEqual(self.successResultOf(finding).size, 3)

    def test_leftovers(self) -> None:
        """What a crash left of a small body is removed at the start."""
        self.files.close(self.files.create("/memory/uploads/whole.3"))
        starting = Deferred.fromCoroutine(self.store.start())
        self.disk.flush()
        self.successResultOf(starting)
        self.assertEqual(self.files.names("/memory/uploads"), [])

    def test_giving_up_on_the_end(self) -> None:
        """Who gives up waiting for the end does not stop it half-way."""
        stream = self.successResultOf(self.begun(MIB))
        stream.write(bytes(MIB))
        ending = Deferred.fromCoroutine(stream.finish(digest_of(bytes(MIB)), MIB))
        ending.addErrback(lambda reason: None)
        ending.cancel()
        closing = Deferred.fromCoroutine(stream.close())
        self.disk.flush()
        self.successResultOf(closing)
        finding = Deferred.fromCoroutine(self.store.blobs.find(digest_of(bytes(MIB))))
        self.disk.flush()
        self.assertEqual(self.successResultOf(finding).size, MIB)

    def test_follow_of_a_stranger(self) -> None:
        """Only what `partial` handed out can be followed."""
        self.assertRaises(Unknown, self.store.blobs.follow, Foreign(), 0, 1)
