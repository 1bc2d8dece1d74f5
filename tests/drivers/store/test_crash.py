"""Tests for the order of calls in rrsd.drivers.store.blobs.vault: the world ends before each of them in turn."""

from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import FailTest

from rrsd.core.refusals import Conflict, Unknown
from rrsd.core.values.digests import digest_of, parse_digest
from rrsd.core.values.jobs import Change, State
from rrsd.core.values.settings import Size
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.database import MemoryDatabase
from rrsd.runtime.workers import InlineWorkers
from tests.drivers.store.bytes_contract import joined
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.fragile import FragileFiles, FragileWorkers, Fuse, Platter, PowerLoss
from tests.drivers.store.samples import ALICE, NOW, RS, job, message_of, upload

DATA = bytes(range(250))
DIGEST = digest_of(DATA)
BLOCK = 50
UNLIMITED = 10**9


class CrashTests(StoreCase):
    """For every number of calls: run until the power fails, look at what is left, start again, go on to the end."""

    def setUp(self) -> None:
        """Nothing is started yet."""
        self.now = NOW
        self.step = 0

    def world(self, small: bool, fuse: Fuse) -> Store:
        """A store on what the platter and the database hold. Small transfers stay in memory if `small`."""
        workers = InlineWorkers()
        self.files = FragileFiles(self.clock, self.platter, fuse)
        settings = Settings(path="/memory", keep_free=Size(0), small=Size(1 << 20 if small else 0))
        threads = Threads(FragileWorkers(fuse), workers, workers)
        return Store(settings, threads, self.clock, self.tick, self.files, self.database)

    def tick(self) -> float:
        """With a step of three seconds every block is followed by a checkpoint, with one of zero none is."""
        self.ticks += self.step
        return float(self.ticks)

    def test_pull(self) -> None:
        """No crash leaves a job STORED without its bytes, a final name without its content, or takes a name away."""
        for small, step in ((True, 0), (False, 0), (False, 1), (False, 3)):
            for lose in (True, False):
                with self.subTest(small=small, step=step, lose=lose):
                    self.step = step
                    self.every_crash(self.pull, small, lose)

    def test_upload(self) -> None:
        """No crash leaves a complete upload without its blob, and every crash lets the upload go on."""
        for lose in (True, False):
            with self.subTest(lose=lose):
                self.every_crash(self.send, True, lose)

    def test_deposit(self) -> None:
        """No crash leaves a final name without its content, and what a crash left does not stay."""
        for lose in (True, False):
            with self.subTest(lose=lose):
                self.every_crash(self.deposit, True, lose)
                self.assertEqual([name for name in self.files.nodes if "/uploads/" in name], [])

    def every_crash(self, run: "Callable[[Store], None]", small: bool, lose: bool) -> None:
        """End the world before call 1, 2, 3 … until a run needs fewer calls than that."""
        calls, crashed = 0, True
        while crashed:
            calls += 1
            self.platter, self.database, self.ticks = Platter(), MemoryDatabase(), 0
            self.begin(small)
            crashed = self.crashes(run, small, Fuse(calls))
            if crashed and not lose:
                self.files.keep_everything()
            before = self.finals()
            self.assertFalse(self.crashes(run, small, Fuse(UNLIMITED)))
            self.assertLessEqual(before, self.finals())
            self.assertIn(DIGEST, self.finals())
        self.assertGreater(calls, 5)

    def begin(self, small: bool) -> None:
        """A message waits for its attachment, and an upload has begun."""
        store = self.world(small, Fuse(UNLIMITED))
        self.done(store.start())
        self.done(store.queue.accept(message_of(job(DIGEST)), [job(DIGEST)]))
        self.done(store.uploads.begin(upload(len(DATA))))

    def crashes(self, run: "Callable[[Store], None]", small: bool, fuse: Fuse) -> bool:
        """Whether the power failed before the run was over."""
        store = self.world(small, fuse)
        try:
            self.done(store.start())
            run(store)
        except (PowerLoss, FailTest):
            if not fuse.blown:
                raise
        self.flushLoggedErrors(PowerLoss)
        return fuse.blown

    def finals(self) -> set[object]:
        """The durable final names, each of which must be backed by its durable content."""
        names = {path: node for path, node in self.platter.names.items() if path.startswith("/memory/blobs/")}
        for path, node in names.items():
            name = path.rpartition("/")[2]
            self.assertEqual(digest_of(self.platter.bytes.get(node, b"")), parse_digest(name), "content")
        return {parse_digest(path.rpartition("/")[2]) for path in names}

    def pull(self, store: Store) -> None:
        """What the agent does after a start: recover, lease, go on where the bytes end, commit."""
        stored = self.done(store.queue.jobs(State.STORED, None, 0, 9))
        if stored:
            self.assertEqual(self.done(joined(store.blobs.read(DIGEST, 0, len(DATA)))), DATA)
            self.assertIn(DIGEST, self.finals())
            return
        self.done(store.queue.recover(NOW))
        (lease,) = self.done(store.queue.lease(RS, 1, NOW, frozenset()))

        async def committed(checkpoint: object) -> None:
            await store.queue.checkpoint(lease, "v", checkpoint)  # type: ignore[arg-type]

        partial, resumed = self.done(store.blobs.partial(lease, len(DATA), committed))
        if lease.fetch.checkpoints and DIGEST not in self.finals():
            self.assertEqual(resumed, lease.fetch.checkpoints[-1], "a committed checkpoint holds")
        if resumed is None:
            self.done(store.queue.forget(lease))
        start = resumed.offset if resumed else 0
        for offset in range(start, len(DATA), BLOCK):
            partial.write(DATA[offset : offset + BLOCK])
        self.done(partial.finish(DIGEST, len(DATA)))
        after = evolve(lease.job, state=State.STORED, stored=NOW)
        self.done(store.queue.change([Change(after, "stored", NOW, State.LEASED, receipt=True, forget=True)]))
        self.done(store.blobs.sweep(self.done(store.blobs.lying()), frozenset()))

    def send(self, store: Store) -> None:
        """What an uploading client does: ask for the offset, go on from there."""
        going = self.done(store.uploads.find("u1", ALICE))
        if going.digest is not None:
            self.assertIn(DIGEST, self.finals())
            return
        while going.digest is None:
            going = self.done(store.uploads.append(going, DATA[going.offset : going.offset + BLOCK]))
        self.assertEqual(going.digest, DIGEST)

    def deposit(self, store: Store) -> None:
        """What the way out does with an attachment that passes."""
        deposit = self.done(store.deposits.begin())
        for offset in range(0, len(DATA), BLOCK):
            self.done(deposit.append(DATA[offset : offset + BLOCK]))
        self.assertEqual(self.done(deposit.finish()).digest, DIGEST)
        self.assertIn(DIGEST, self.finals())


class DamageTests(StoreCase):
    """What is under a final name is not what the name says."""

    def open(self) -> Store:
        """A store over files that the test can damage."""
        workers = InlineWorkers()
        self.files = FragileFiles(self.clock, Platter(), Fuse(UNLIMITED))
        settings = Settings(path="/memory", keep_free=Size(0))
        threads = Threads(workers, workers, workers)
        return Store(settings, threads, self.clock, lambda: 0.0, self.files, MemoryDatabase())

    def test_damaged_blob_is_put_aside(self) -> None:
        """A damaged file under the final name is kept in quarantine, and good bytes take its place."""
        digest = self.done(self.store.blobs.put(DATA)).digest
        final = f"/memory/blobs/{digest.raw[0]:02x}/{digest.b64}"
        for number, damage in enumerate((b"rot", DATA + b"more"), 1):
            self.files.nodes[final].data[:] = damage
            self.done(self.store.blobs.put(DATA))
            self.assertEqual(self.done(joined(self.store.blobs.read(digest, 0, len(DATA)))), DATA)
            kept = self.files.nodes[f"/memory/quarantine/{digest.b64}.{number}"]
            self.assertEqual(bytes(kept.data), damage)

    def test_foreign_names(self) -> None:
        """A file whose name is no digest is nobody's and is never collected."""
        self.files.close(self.files.create("/memory/blobs/00/notes.txt"))
        self.pass_seconds(1e6)
        self.assertEqual(self.done(self.store.blobs.collect(self.now, 0, 9)), [])

    def test_two_parts_at_once(self) -> None:
        """While a part of an upload is on its way another one, and cancelling, are refused."""
        going = upload(len(DATA))
        self.done(self.store.uploads.begin(going))
        self.store.uploads._busy.add(going.upload_id)
        self.refused(Conflict, self.store.uploads.append(going, DATA))
        self.refused(Conflict, self.store.uploads.cancel(going))

    def test_lost_bytes(self) -> None:
        """An upload whose file is gone is Unknown, not made up."""
        going = upload(len(DATA))
        self.done(self.store.uploads.begin(going))
        going = self.done(self.store.uploads.append(going, DATA[:9]))
        self.store.uploads._known.clear()
        for path in [path for path in self.files.nodes if "/uploads/" in path]:
            self.files.unlink(path)
        self.failureResultOf(Deferred.fromCoroutine(self.store.uploads.append(going, DATA[9:])), Unknown)
