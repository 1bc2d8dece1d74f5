"""The contract of what the way out of mail needs: deposits, spools, the ledger, and grants that are taken back."""

from collections.abc import Sequence
from errno import ENOSPC, EOPNOTSUPP

from attrs import evolve

from rrsd.core.refusals import Conflict, Damaged, NoSpace, Unknown
from rrsd.core.values.digests import digest_of
from rrsd.core.values.envelopes import Offer, Passage
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.drivers.store.blobs import deposits
from rrsd.drivers.store.blobs.deposits import Deposit
from rrsd.drivers.store.blobs.spools import IN_MEMORY, Spool
from rrsd.drivers.store.sql import passages as sql_passages
from tests.drivers.store.bytes_contract import LARGE, joined
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import BOB, NOW, grant, later


class DepositsContract(StoreCase):
    """What the store promises about them."""

    def begun(self, *blocks: bytes) -> Deposit:
        """A deposit of the blocks."""
        deposit = self.done(self.store.deposits.begin())
        for block in blocks:
            self.done(deposit.append(block))
        return deposit

    def test_deposit(self) -> None:
        """Bytes of any number become a blob, known by digest and size; of nothing as well."""
        for data in (b"", b"x", LARGE):
            cut = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]
            blob = self.done(self.begun(*cut).finish())
            self.assertEqual(blob, Blob(digest_of(data), len(data), (digest_of(data),)))
            self.assertEqual(self.done(self.store.blobs.find(blob.digest)), blob)
            self.assertEqual(self.done(joined(self.store.blobs.read(blob.digest, 0, len(data)))), data)

    def test_chunks(self) -> None:
        """A large one has the digests of its chunks, whatever the blocks were, and is synced on its way."""
        self.patch(deposits, "SYNC_EVERY", CHUNK)
        data = LARGE * 4 + b"more"
        blob = self.done(self.begun(data[:CHUNK], data[CHUNK : CHUNK + 2], data[CHUNK + 2 :]).finish())
        self.assertEqual(blob.chunks, (digest_of(data[:CHUNK]), digest_of(data[CHUNK:])))
        self.assertEqual(self.done(self.store.blobs.find(digest_of(data))), blob)
        whole = self.done(self.begun(data[:CHUNK] * 2).finish())
        self.assertEqual(whole.chunks, (digest_of(data[:CHUNK]),) * 2)

    def test_same_bytes_twice(self) -> None:
        """The second deposit is the first blob."""
        self.assertEqual(self.done(self.begun(LARGE).finish()), self.done(self.begun(LARGE).finish()))

    def test_read_back(self) -> None:
        """What came so far can be had back, and more may come."""
        deposit = self.begun(b"ab", b"cd")
        self.assertEqual(self.done(joined(deposit.read())), b"abcd")
        self.done(deposit.append(b"e"))
        self.assertEqual(self.done(joined(deposit.read())), b"abcde")
        self.assertEqual(self.done(deposit.finish()).digest, digest_of(b"abcde"))

    def test_given_up(self) -> None:
        """Nothing is left of it, and nothing more is taken."""
        deposit = self.begun(b"abc", LARGE)
        self.done(deposit.abort())
        self.refused(Unknown, self.store.blobs.find(digest_of(b"abc" + LARGE)))
        self.refused(Conflict, deposit.append(b"x"))
        self.refused(Conflict, deposit.finish())
        self.refused(Conflict, joined(deposit.read()))
        self.done(deposit.abort())

    def test_full_disk(self) -> None:
        """A full disk is NoSpace, then and at every later call; nothing has a name."""
        deposit = self.begun()
        self.store._space._keep_free = 1 << 62
        self.refused(NoSpace, deposit.append(LARGE))
        self.refused(NoSpace, deposit.append(b"x"))
        self.refused(NoSpace, joined(deposit.read()))
        self.refused(NoSpace, deposit.finish())
        self.refused(NoSpace, self.begun(b"small").finish())
        self.store._space._keep_free = 0
        self.refused(Unknown, self.store.blobs.find(digest_of(LARGE)))

    def test_without_nameless_files(self) -> None:
        """A file system that has none gives names that do not stay."""
        files = self.store._vault.files

        def refuse(folder: str) -> int:
            raise OSError(EOPNOTSUPP, folder)

        self.patch(type(files), "create_nameless", lambda _, folder: refuse(folder))
        blob = self.done(self.begun(LARGE).finish())
        self.assertEqual(self.done(joined(self.store.blobs.read(blob.digest, 0, blob.size))), LARGE)
        self.done(self.begun(b"abc").abort())
        spool = self.spooled([b"x" * (IN_MEMORY + 1)])
        self.done(spool.close())
        self.assertEqual(files.names(f"{self.store._vault.root}/uploads"), [])

    def test_no_file_at_all(self) -> None:
        """Without descriptors there is no deposit."""
        files = self.store._vault.files

        def refuse(folder: str) -> int:
            raise OSError(ENOSPC, folder)

        self.patch(type(files), "create_nameless", lambda _, folder: refuse(folder))
        self.refused(NoSpace, self.store.deposits.begin())

    def spooled(self, blocks: Sequence[bytes]) -> Spool:
        """A spool of the blocks."""
        spool = self.store.spools.begin()
        for block in blocks:
            self.done(spool.append(block))
        return spool

    def test_spool(self) -> None:
        """Any span of what came, from memory and from the disk."""
        for times in (0, 1, 3, 10):
            spool = self.spooled([LARGE[:300_001]] * times + [b"end"])
            whole = LARGE[:300_001] * times + b"end"
            self.assertEqual(spool.size, len(whole))
            for start, end in ((0, len(whole)), (1, len(whole) - 1), (300_000 * times, len(whole)), (2, 2)):
                self.assertEqual(self.done(joined(spool.read(start, end))), whole[start:end])
            self.done(spool.close())

    def test_damaged_spool(self) -> None:
        """Bytes that the disk has lost are not made up."""
        spool = self.spooled([LARGE])
        assert spool._file is not None
        spool._file.files.truncate(spool._file.descriptor, 5)
        self.refused(Damaged, joined(spool.read(0, 10)))

    def test_full_spool(self) -> None:
        """A full disk is NoSpace."""
        spool = self.store.spools.begin()
        self.store._space._keep_free = 1 << 62
        self.done(spool.append(b"x" * IN_MEMORY))
        self.refused(NoSpace, spool.append(b"x"))
        self.done(spool.close())

    def test_ledger(self) -> None:
        """A message is known from when it was first seen; each recipient counts once; what is old is forgotten."""
        passages, one, other = self.store.passages, digest_of(b"1"), digest_of(b"2")
        self.assertIsNone(self.done(passages.find(one)))
        self.done(passages.note(one, (), NOW))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset()))
        self.done(passages.note(one, ("bob@bar.test", ""), later(5)))
        self.done(passages.note(one, ("bob@bar.test", "carol@bar.test"), later(9)))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset({"bob@bar.test", "carol@bar.test"})))
        self.patch(sql_passages, "_SWEEP_EVERY", 1)
        self.pass_seconds(7 * 86400 + 6)
        self.done(passages.note(other, ("bob@bar.test",), self.now))
        self.assertEqual(self.done(passages.find(one)), Passage(later(9), frozenset({"carol@bar.test"})))
        self.assertEqual(self.done(passages.find(other)), Passage(self.now, frozenset({"bob@bar.test"})))

    def test_offers(self) -> None:
        """Offered is not done; done stays done; a no is forgotten; what is to be written soon counts at once."""
        passages, one, other = self.store.passages, digest_of(b"3"), digest_of(b"4")
        first, second = Offer("4A-x", NOW), Offer("4A-y", later(3))
        self.done(passages.offer(one, ("b", "c"), first))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset(), {"b": first, "c": first}))
        self.done(passages.note(one, ("b",), later(1)))
        self.done(passages.offer(one, ("b", "c"), second))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset({"b"}), {"c": second}))
        self.done(passages.forget(one, ("b", "c")))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset({"b"})))
        self.done(passages.offer(one, ("c",), second))
        passages.note_soon(one, ("c",), later(4))
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset({"b", "c"})))
        self.done(passages.note(other, (), NOW))
        self.assertEqual((passages._soon, self.done(passages.find(one))), ({}, Passage(NOW, frozenset({"b", "c"}))))
        self.patch(sql_passages, "_MOST_SOON", 1)
        for name in ("d", "e"):
            passages.note_soon(one, (name,), NOW)
        for _ in range(2):
            self.done(passages.flush())
        self.assertEqual(self.done(passages.find(one)), Passage(NOW, frozenset({"b", "c", "d"})))

    def test_grants_taken_back(self) -> None:
        """They are gone; those of another message or resource stay."""
        grants = [grant(self.done(self.store.blobs.put(data)).digest) for data in (b"abc", b"abd")]
        mine = evolve(grants[0], message_id="<m2@foo.test>")
        self.done(self.store.grants.add([*grants, mine]))
        self.done(self.store.grants.take_back([mine, grants[1]]))
        self.assertEqual(self.done(self.store.grants.of(BOB, [each.digest for each in grants])), [grants[0]])
        self.done(self.store.grants.add([mine]))
        self.assertEqual(len(self.done(self.store.grants.of(BOB, [mine.digest]))), 2)
