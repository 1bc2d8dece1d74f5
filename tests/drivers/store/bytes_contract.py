"""The contract of blobs, transfers and uploads."""

import hashlib
from collections.abc import AsyncIterator, Awaitable

from attrs import evolve

from rrsd.core.refusals import Conflict, Damaged, TooLarge, Unknown
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Lease, partial_name
from rrsd.core.values.resources import CHUNK, Blob, Checkpoint
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.blobs.small import Small
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, NOW, custody, grant, job, later, upload

LARGE = bytes(range(256)) * 8192  # 2 MiB, above the size that is kept in memory


async def joined(blocks: AsyncIterator[bytes]) -> bytes:
    """All blocks in one."""
    return b"".join([block async for block in blocks])


class BytesContract(StoreCase):
    """What the store promises about bytes."""

    def committed(self, lease: Lease) -> "Commits":
        """Where the checkpoints of a lease go."""
        return Commits(self, lease)

    def begun(self, lease: Lease, size: int) -> tuple[Stream | Small, Checkpoint | None]:
        """The lease's transfer."""
        return self.done(self.store.blobs.partial(lease, size, self.committed(lease)))

    def test_put_and_read(self) -> None:
        """Stored bytes are found and read, any span of them."""
        blob = self.done(self.store.blobs.put(b"hello"))
        self.assertEqual(blob, Blob(digest_of(b"hello"), 5, (digest_of(b"hello"),)))
        self.assertEqual(self.done(self.store.blobs.find(blob.digest)), blob)
        self.assertEqual(self.done(joined(self.store.blobs.read(blob.digest, 1, 4))), b"ell")
        self.assertEqual(self.done(self.store.blobs.put(b"hello")), blob)

    def test_read_in_blocks(self) -> None:
        """Many bytes come in several blocks that make up the span."""
        digest = self.done(self.store.blobs.put(LARGE)).digest
        self.assertEqual(self.done(joined(self.store.blobs.read(digest, 3, len(LARGE)))), LARGE[3:])

    def test_missing_blob(self) -> None:
        """A blob that is not there is Unknown, whatever is asked of it; a span beyond its end is Damaged."""
        nothing = digest_of(b"?")
        self.refused(Unknown, self.store.blobs.find(nothing))
        self.refused(Unknown, joined(self.store.blobs.read(nothing, 0, 0)))
        self.refused(Unknown, joined(self.store.blobs.read(nothing, 0, 5)))
        self.done(self.store.blobs.put(b"abc"))
        self.refused(Damaged, joined(self.store.blobs.read(digest_of(b"abc"), 0, 5)))

    def test_small_transfer(self) -> None:
        """A small transfer is stored when it finishes, and can be followed from then on."""
        partial, resumed = self.begun(self.one_lease(b"hello"), 5)
        self.assertIsNone(resumed)
        for data in (b"he", b"llo"):
            self.assertIsNone(partial.write(data))
        self.assertEqual((partial.offset, partial.written), (5, 0))
        self.assertEqual(self.done(partial.finish(digest_of(b"hello"), 5)).size, 5)
        self.assertEqual(self.done(joined(self.store.blobs.follow(partial, 0, partial.written))), b"hello")
        self.refused(Conflict, partial.finish(digest_of(b"hello"), 5))
        self.failureResultOf(partial.write(b"!"), Conflict)

    def test_large_transfer(self) -> None:
        """A large transfer can be followed while it comes and after it got its name."""
        partial, _ = self.begun(self.one_lease(LARGE), len(LARGE))
        partial.write(LARGE[:1000])
        self.assertEqual(self.done(joined(self.store.blobs.follow(partial, 10, partial.written))), LARGE[10:1000])
        partial.write(LARGE[1000:])
        self.done(partial.finish(digest_of(LARGE), len(LARGE)))
        self.assertEqual(self.done(joined(self.store.blobs.follow(partial, 0, len(LARGE)))), LARGE)
        self.assertEqual(self.done(joined(self.store.blobs.read(digest_of(LARGE), 0, len(LARGE)))), LARGE)
        self.done(partial.close())
        self.done(partial.discard())
        self.failureResultOf(partial.write(b"!"), Conflict)

    def test_wrong_bytes(self) -> None:
        """Bytes of another digest or length get no name, small or large."""
        for data in (b"hello", LARGE):
            lease = self.one_lease(data)
            for epoch, came in enumerate((data[:-1], data[:-1] + b"?", data + b"?"), 1):
                partial, _ = self.begun(evolve(lease, fetch=evolve(lease.fetch, epoch=epoch)), len(data))
                partial.write(came)
                self.refused(Damaged, partial.finish(digest_of(data), len(data)))
                self.done(partial.discard())
            self.refused(Unknown, self.store.blobs.find(digest_of(data)))

    def again(self) -> Lease:
        """The next lease of what waits."""
        self.done(self.store.queue.recover(self.now))
        return self.leased()[0]

    def test_resume(self) -> None:
        """A transfer that was closed goes on from its last checkpoint under the next epoch."""
        lease = self.one_lease(LARGE)
        partial, _ = self.begun(lease, len(LARGE))
        partial.write(LARGE[:1_500_000])
        self.done(partial.close())
        lease = self.again()
        partial, resumed = self.begun(lease, len(LARGE))
        self.assertEqual(resumed, Checkpoint(1_500_000, digest_of(LARGE[:1_500_000])))
        self.assertEqual((partial.offset, partial.written), (1_500_000, 1_500_000))
        partial.write(LARGE[1_500_000:])
        self.done(partial.finish(digest_of(LARGE), len(LARGE)))

    def test_resume_checks_the_bytes(self) -> None:
        """A checkpoint whose bytes have changed does not hold; the newest before it does."""
        lease = self.one_lease(LARGE)
        partial, _ = self.begun(lease, len(LARGE))
        for start in (0, 700_000):
            partial.write(LARGE[start : start + 700_000])
            self.pass_seconds(3)
            partial.write(LARGE[start + 700_000 : start + 700_000])
        self.done(partial.close())
        fetch = self.done(self.store.queue.fetch(lease.fetch.origin, lease.fetch.digest))
        self.assertEqual([point.offset for point in fetch.checkpoints], [700_000, 1_400_000])
        lease = self.again()
        wrong = (fetch.checkpoints[0], evolve(fetch.checkpoints[1], prefix=digest_of(b"")))
        lease = evolve(lease, fetch=evolve(lease.fetch, checkpoints=wrong))
        partial, resumed = self.begun(lease, len(LARGE))
        self.assertEqual(resumed, fetch.checkpoints[0])
        partial.write(LARGE[700_000:])
        self.done(partial.finish(digest_of(LARGE), len(LARGE)))

    def test_nothing_to_resume(self) -> None:
        """Checkpoints without a file, or none of which holds, start again from byte 0."""
        lease = self.one_lease(LARGE)
        invented = (Checkpoint(100, digest_of(b"?")),)
        partial, resumed = self.begun(evolve(lease, fetch=evolve(lease.fetch, checkpoints=invented)), len(LARGE))
        self.assertIsNone(resumed)
        partial.write(LARGE[:500])
        self.done(partial.close())
        lease = self.again()
        partial, resumed = self.begun(evolve(lease, fetch=evolve(lease.fetch, checkpoints=invented)), len(LARGE))
        self.assertEqual((resumed, partial.offset), (None, 0))
        self.done(partial.discard())

    def test_late_epoch(self) -> None:
        """A transfer whose lease is over learns so at its next checkpoint and cannot finish."""
        partial, _ = self.begun(self.one_lease(LARGE), len(LARGE))
        self.again()
        self.pass_seconds(3)
        partial.write(LARGE)
        self.failureResultOf(partial.write(b"!"), Conflict)
        self.refused(Conflict, partial.finish(digest_of(LARGE), len(LARGE)))
        self.done(partial.close())

    def test_two_winners(self) -> None:
        """Two transfers of one digest both succeed and leave one blob; none takes anything away."""
        lease = self.one_lease(LARGE)
        partials = [self.begun(evolve(lease, fetch=evolve(lease.fetch, epoch=n)), len(LARGE))[0] for n in (1, 2)]
        for partial in partials:
            partial.write(LARGE)
        for partial in partials:
            self.assertEqual(self.done(partial.finish(digest_of(LARGE), len(LARGE))).digest, digest_of(LARGE))
        self.assertEqual(self.swept(), 0)

    def test_attempt_that_continues_nothing(self) -> None:
        """An attempt that begins at byte 0 takes away what the one before it left; nothing is left to sweep."""
        lease = self.one_lease(LARGE)
        partial, _ = self.begun(lease, len(LARGE))
        partial.write(LARGE[:10])
        self.done(partial.close())
        again, resumed = self.begun(evolve(lease, fetch=evolve(lease.fetch, epoch=2)), len(LARGE))
        self.assertIsNone(resumed)
        self.assertEqual(self.swept(), 0)
        again.write(LARGE)
        self.done(again.finish(digest_of(LARGE), len(LARGE)))

    def swept(self, live: frozenset[str] = frozenset()) -> int:
        """How many partial files go, of all that lie there now."""
        return self.done(self.store.blobs.sweep(self.done(self.store.blobs.lying()), live))

    def test_sweep_leaves_what_was_begun_while_it_asked_who_is_live(self) -> None:
        """A pull that begins and breaks off meanwhile is in no list, and goes on where it was (promise R4)."""
        lying = self.done(self.store.blobs.lying())
        partial, _ = self.begun(self.one_lease(LARGE), len(LARGE))
        partial.write(LARGE[:10])
        self.assertEqual(self.done(self.store.blobs.lying()), frozenset())
        self.done(partial.close())
        self.assertEqual(self.done(self.store.blobs.sweep(lying, frozenset())), 0)
        self.assertEqual(self.swept(), 1)

    def test_sweep(self) -> None:
        """Sweeping takes partial files that no fetch refers to, and none that is written or to be continued."""
        lease = self.one_lease(LARGE)
        partial, _ = self.begun(lease, len(LARGE))
        partial.write(LARGE[:10])
        self.assertEqual(self.swept(), 0)
        self.done(partial.close())
        live = frozenset({partial_name(evolve(lease.fetch, epoch=7))})
        self.assertEqual(self.swept(live), 0)
        self.assertEqual(self.swept(), 1)

    def test_upload_in_parts(self) -> None:
        """An upload comes in parts and is a blob of its owner after the last one."""
        going = upload(5)
        self.done(self.store.uploads.begin(going))
        for data in (b"he", b"", b"llo"):
            going = self.done(self.store.uploads.append(going, data))
        self.assertEqual((going.offset, going.digest), (5, digest_of(b"hello")))
        self.assertEqual(self.done(self.store.uploads.find("u1", ALICE)), going)
        self.assertEqual(self.done(joined(self.store.blobs.read(digest_of(b"hello"), 0, 5))), b"hello")
        self.refused(Conflict, self.store.uploads.append(evolve(going, digest=None), b""))

    def test_whole_uploads(self) -> None:
        """An upload of one part, also an empty one, is a blob at once."""
        for name, data in (("u1", b"hello"), ("u2", b"")):
            going = upload(len(data), name)
            self.done(self.store.uploads.begin(going))
            self.assertEqual(self.done(self.store.uploads.append(going, data)).digest, digest_of(data))
            self.assertEqual(self.done(self.store.blobs.find(digest_of(data))).size, len(data))

    def test_upload_chunks(self) -> None:
        """An upload of more than one chunk is found with the digests of its chunks."""
        data = LARGE * 5
        going = upload(len(data))
        self.done(self.store.uploads.begin(going))
        for start in range(0, len(data), 3_000_000):
            going = self.done(self.store.uploads.append(going, data[start : start + 3_000_000]))
        expected = Blob(digest_of(data), len(data), (digest_of(data[:CHUNK]), digest_of(data[CHUNK:])))
        self.assertEqual(self.done(self.store.blobs.find(digest_of(data))), expected)
        self.assertEqual(self.done(self.store.uploads.owned(ALICE, [digest_of(data)])), [expected])

    def test_unknown_chunks(self) -> None:
        """A large blob that came by a transfer has no chunk digests until somebody uploads it."""
        data = LARGE * 5
        partial, _ = self.begun(self.one_lease(data), len(data))
        partial.write(data)
        self.done(partial.finish(digest_of(data), len(data)))
        self.assertEqual(self.done(self.store.blobs.find(digest_of(data))), Blob(digest_of(data), len(data)))

    def test_upload_offsets(self) -> None:
        """A part that does not begin where the upload is, or ends behind its size, is refused and changes nothing."""
        going = upload(5)
        self.done(self.store.uploads.begin(going))
        self.refused(TooLarge, self.store.uploads.append(going, b"123456"))
        grown = self.done(self.store.uploads.append(going, b"he"))
        self.refused(Conflict, self.store.uploads.append(going, b"he"))
        self.refused(Conflict, self.store.uploads.begin(going))
        self.assertEqual(self.done(self.store.uploads.append(grown, b"llo")).digest, digest_of(b"hello"))

    def test_upload_is_private(self) -> None:
        """Another owner's upload is Unknown, and so is a cancelled one."""
        going = upload(5)
        self.done(self.store.uploads.begin(going))
        self.refused(Unknown, self.store.uploads.find("u1", BOB))
        going = self.done(self.store.uploads.append(going, b"he"))
        self.done(self.store.uploads.cancel(going))
        self.refused(Unknown, self.store.uploads.find("u1", ALICE))
        self.refused(Unknown, self.store.uploads.append(going, b"llo"))

    def test_uploads_expire(self) -> None:
        """An upload whose time is over is swept, with its bytes."""
        self.done(self.store.uploads.begin(upload(5)))
        self.done(self.store.uploads.begin(evolve(upload(5, "u2"), expires=later(999999))))
        self.assertEqual(self.done(self.store.uploads.sweep(later(86400))), 1)
        self.refused(Unknown, self.store.uploads.find("u1", ALICE))

    def test_owned(self) -> None:
        """Who uploaded or granted a resource owns it; who only knows its digest does not."""
        going = upload(5)
        self.done(self.store.uploads.begin(going))
        self.done(self.store.uploads.append(going, b"hello"))
        foreign = self.done(self.store.blobs.put(b"foreign")).digest
        granted = self.done(self.store.blobs.put(b"granted")).digest
        self.done(self.store.grants.add([grant(granted)]))
        asked = [digest_of(b"hello"), foreign, granted, digest_of(b"?")]
        self.assertEqual(
            [blob.digest for blob in self.done(self.store.uploads.owned(ALICE, asked))], [digest_of(b"hello"), granted]
        )
        self.assertEqual(self.done(self.store.uploads.owned(BOB, asked)), [])

    def test_collect(self) -> None:
        """Only a blob that nothing refers to, and that nobody touched during the grace, is collected."""
        contents = {name: name.encode() for name in ("granted", "part", "raw", "upload", "free")}
        digests: dict[str, Digest] = {}
        for name, data in contents.items():
            digests[name] = self.done(self.store.blobs.put(data)).digest
        self.done(self.store.grants.add([grant(digests["granted"])]))
        going = upload(6)
        self.done(self.store.uploads.begin(going))
        self.done(self.store.uploads.append(going, b"upload"))
        self.accepted(job(digests["part"]), name="raw")
        self.assertEqual(self.collected(later(0), 3600), [])
        self.assertEqual(self.collected(later(7200), 3600), [digests["free"]])
        self.assertEqual(self.collected(later(90000), 3600), [digests["upload"]])
        self.done(self.store.grants.receipted([custody(grant(digests["granted"]))], NOW))
        self.assertEqual(self.collected(later(90000), 3600), [digests["granted"]])

    def collected(self, now: Instant, grace: float) -> list[Digest]:
        """What a collection removes; the files are as old as the clock of the backend says."""
        return list(self.done(self.store.blobs.collect(now, grace, 10)))

    def test_hash_of_everything(self) -> None:
        """The digest is the SHA-256 of the bytes, whatever the sizes of the writes."""
        partial, _ = self.begun(self.one_lease(LARGE), len(LARGE))
        for start in range(0, len(LARGE), 77_777):
            partial.write(LARGE[start : start + 77_777])
        blob = self.done(partial.finish(Digest(hashlib.sha256(LARGE).digest()), len(LARGE)))
        self.assertEqual(blob.size, len(LARGE))


class Commits:
    """Commits the checkpoints of a lease to the queue, as the agent does."""

    def __init__(self, case: StoreCase, lease: Lease) -> None:
        self.case = case
        self.lease = lease

    def __call__(self, checkpoint: Checkpoint) -> Awaitable[None]:
        """Commit."""
        return self.case.store.queue.checkpoint(self.lease, '"v"', checkpoint)
