"""Tests for rrsd.drivers.store on real threads: the same answers when everything happens at once."""

import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import TestCase

from rrsd.core.refusals import NoSpace
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Fetch, Lease
from rrsd.core.values.resources import Checkpoint
from rrsd.core.values.settings import Size
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.database import FileDatabase
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.replays import Replays
from rrsd.runtime.workers import InlineWorkers, ThreadWorkers
from tests.drivers.store.bytes_contract import joined
from tests.drivers.store.samples import NOW, RS, job, later


def the_reactor() -> IReactorFromThreads:
    """The reactor that trial runs."""
    from twisted.internet import reactor

    return reactor  # type: ignore[return-value]


class ThreadTests(TestCase):
    """A store in a folder, with threads."""

    timeout = 30

    def setUp(self) -> "Deferred[None]":  # type: ignore[override]
        """Start threads and store."""
        self.threads = [ThreadWorkers(the_reactor(), size, "store") for size in (1, 2, 6)]
        settings = Settings(path=self.mktemp(), keep_free=Size(0))
        self.store = Store(settings, Threads(*self.threads), lambda: NOW, lambda: 0.0)
        return Deferred.fromCoroutine(self.begin())

    async def begin(self) -> None:
        """Start."""
        for threads in self.threads:
            await threads.start()
        await self.store.start()

    def tearDown(self) -> "Deferred[None]":  # type: ignore[override]
        """Stop."""
        return Deferred.fromCoroutine(self.end())

    async def end(self) -> None:
        """Stop."""
        await self.store.stop()
        for threads in self.threads:
            await threads.stop()

    def test_one_first_use(self) -> "Deferred[None]":
        """Of many concurrent uses of one identifier exactly one is the first."""

        async def race() -> None:
            uses = [Deferred.fromCoroutine(self.store.replays.first_use("a", "1", later(60))) for _ in range(50)]
            self.assertEqual((await gatherResults(uses)).count(True), 1)

        return Deferred.fromCoroutine(race())

    def test_many_deposits(self) -> "Deferred[None]":
        """Deposits at the same time, with more bytes than may wait: each is read back, finished or given up."""
        self.store.blobs._desk.in_flight = 1 << 20

        async def deposit(number: int) -> None:
            data = os.urandom(5 << 20)
            deposit = await self.store.deposits.begin()
            for at in range(0, len(data), 65536):
                await deposit.append(data[at : at + 65536])
            if number % 3 == 0:
                self.assertEqual(await joined(deposit.read()), data)
            if number % 3 == 1:
                await deposit.abort()
                return
            blob = await deposit.finish()
            self.assertEqual((blob.digest, blob.size), (digest_of(data), len(data)))
            self.assertEqual(await joined(self.store.blobs.read(blob.digest, 0, blob.size)), data)

        async def all_of_them() -> None:
            await gatherResults([Deferred.fromCoroutine(deposit(number)) for number in range(9)])
            self.assertEqual(os.listdir(f"{self.store.settings.path}/uploads"), [])

        return Deferred.fromCoroutine(all_of_them())

    def test_deposit_that_fails(self) -> "Deferred[None]":
        """A disk that is full from some moment on ends the wait of whoever waits, and nothing is left."""

        async def fill() -> None:
            self.store.blobs._desk.in_flight = 1 << 20
            deposit = await self.store.deposits.begin()
            with self.assertRaises(NoSpace):
                for number in range(200):
                    await deposit.append(bytes(65536))
                    if number == 20:
                        self.store._space._keep_free = 1 << 62
            await deposit.abort()
            self.assertEqual(os.listdir(f"{self.store.settings.path}/uploads"), [])

        return Deferred.fromCoroutine(fill())

    def test_z02_two_writers_one_winner(self) -> "Deferred[None]":
        """Two processes at one database, as two engines: of many uses of one identifier exactly one is the first."""

        async def race() -> None:
            path, inline = f"{self.store.settings.path}/rrsd.sqlite", InlineWorkers()
            other = Engine(FileDatabase(path), inline, inline)
            await other.start()
            both = (self.store.replays, Replays(other, lambda: NOW))
            uses = [Deferred.fromCoroutine(both[n % 2].first_use("a", "1", later(60))) for n in range(40)]
            self.assertEqual((await gatherResults(uses)).count(True), 1)
            await other.stop()

        return Deferred.fromCoroutine(race())

    def test_z01_revocations_survive(self) -> "Deferred[None]":
        """What was revoked is revoked after a restart."""

        async def again() -> None:
            await self.store.revocations.revoke("token", later(60))
            await self.store.stop()
            self.store = Store(self.store.settings, Threads(*self.threads), lambda: NOW, lambda: 0.0)
            await self.store.start()
            self.assertTrue(await self.store.revocations.is_revoked("token"))
            self.assertFalse(await self.store.revocations.is_revoked("other"))

        return Deferred.fromCoroutine(again())

    def test_many_transfers(self) -> "Deferred[None]":
        """Transfers of many sizes at once, two of each digest, all end as what they are."""
        bodies = [os.urandom(size) for size in (0, 1, 70_000, 1 << 20, 3_000_000, 9_000_000)]

        async def pull(body: bytes, epoch: int) -> None:
            digest = digest_of(body)
            lease = Lease(job(digest), Fetch(RS, digest, epoch))
            partial, _ = await self.store.blobs.partial(lease, len(body), committed)
            for start in range(0, len(body), 65_536):
                paused = partial.write(body[start : start + 65_536])
                if paused is not None:
                    await paused
            await partial.finish(digest, len(body))
            self.assertEqual(await joined(self.store.blobs.read(digest, 0, len(body))), body)

        async def committed(checkpoint: Checkpoint) -> None:
            """Nobody resumes here."""

        pulls: list[Deferred[Any]] = [Deferred.fromCoroutine(pull(body, n)) for body in bodies for n in (1, 2)]
        return gatherResults(pulls).addCallback(lambda results: None)
