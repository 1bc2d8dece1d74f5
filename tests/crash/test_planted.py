"""The checker finds what it is there for: each planted defect, by the name of the promise that it breaks."""

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from sqlite3 import Connection
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Lease
from rrsd.core.values.notices import Notice, Plight, Said
from rrsd.drivers.store.blobs.blobs import Blobs
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.blobs.small import Writer
from rrsd.drivers.store.blobs.vault import FolderSync
from rrsd.drivers.store.sql import database
from rrsd.roles.rra import notifier
from rrsd.roles.rra.letters import letter
from rrsd.roles.rra.notifier import Notifier
from tests.crash import scenarios
from tests.crash.explore import Explorer, Failed, parse_replay
from tests.crash.files import AmnesiacFiles
from tests.crash.scenarios import BY_NAME, FILM
from tests.crash.world import World


class Planted(SynchronousTestCase):
    """Every test changes one thing of the store for the worse."""

    def finds(self, promise: str, scenario: str, states: int = 4000) -> Failed:
        """The first state that breaks a promise, which must be this one; its word leads to the same state."""
        failed: Failed = self.assertRaises(Failed, Explorer(BY_NAME[scenario], states).run)
        self.assertEqual(getattr(failed.broken, "promise", repr(failed.broken)), promise)
        return failed

    def test_nothing_planted(self) -> None:
        """The same few states hold as the store is."""
        for name in ("small", "large", "upload", "deposit"):
            self.assertGreater(Explorer(BY_NAME[name], 300).run().states, 100, name)

    def test_content_is_not_synced(self) -> None:
        """No fsync of the file before it gets its final name."""
        self.patch(AmnesiacFiles, "sync", lambda self, descriptor: None)
        self.finds("R2", "small")

    def test_name_comes_before_content(self) -> None:
        """The final name is given before the content is synced."""

        def write(self: Writer, blocks: Sequence[bytes], digest: Digest, size: int) -> None:
            files = self.vault.files
            descriptor = files.create_nameless(self.vault.folder(digest))
            files.write(descriptor, blocks, 0)
            self.vault.keep(files.path_of(descriptor), digest, size)
            files.sync(descriptor)
            files.close(descriptor)

        self.patch(Writer, "_write", write)
        self.finds("R2", "small")

    def test_folder_is_not_synced(self) -> None:
        """A name counts as durable before its folder is synced."""
        self.patch(FolderSync, "sync", lambda self, folder: None)
        for promise, scenario in (("R1", "small"), ("R2", "upload"), ("R3", "bodies")):
            with self.subTest(scenario):
                self.finds(promise, scenario)

    def test_said_comes_before_the_outbox(self) -> None:
        """It is remembered that both were told, before the notices are anywhere."""
        look = Notifier._look

        async def early(self: Notifier, plight: Plight, now: Instant) -> None:
            await self.facts.looked(plight, Said.RECIPIENT_FAILED | Said.SENDER_FAILED, None)
            await look(self, plight, now)

        self.patch(Notifier, "_look", early)
        self.finds("R8", "notices")

    def test_notices_have_a_key_each_time(self) -> None:
        """The key changes with the process, so that a repeat is another notice."""
        made = count()

        def another(*given: Any) -> Notice | None:
            notice = letter(*given)
            return notice and evolve(notice, key=f"{notice.key} {next(made)}")

        self.patch(notifier, "letter", another)
        self.finds("R8", "notices")

    def test_stored_comes_before_name(self) -> None:
        """STORED is committed before the bytes have their final name."""
        transfer, tell = scenarios.transfer, World.tell
        put_off: list[partial[deque[None]]] = []

        def early(world: World, lease: Lease, data: bytes, breaks: int) -> Iterator[None]:
            put_off[:] = [partial(deque, transfer(world, lease, data, breaks), 0)]
            return iter(())

        def late(self: World, *fact: str | int) -> None:
            if fact[0] == "stored":
                put_off.pop()()
            tell(self, *fact)

        self.patch(scenarios, "transfer", early)
        self.patch(World, "tell", late)
        self.finds("R2", "small")

    def test_failed_sync_is_tried_again(self) -> None:
        """After EIO fsync is called again, which says that all is well."""

        def sync(self: Stream) -> None:
            with refusing("sync of a transfer"):
                with contextlib.suppress(OSError):
                    return self._desk.vault.files.sync(self._descriptor)
                self._desk.vault.files.sync(self._descriptor)

        self.patch(Stream, "_sync", sync)
        failed = self.finds("R2", "large")
        self.assertIn("=EIO", failed.replay)

    def test_cleaning_takes_a_final_name(self) -> None:
        """What no job has stored is swept, final names too."""
        sweep = Blobs.sweep

        async def swept(self: Blobs, lying: frozenset[str], live: frozenset[str]) -> int:
            vault = self._desk.vault
            if vault.is_stored(digest_of(FILM)):
                vault.files.unlink(vault.final(digest_of(FILM)))
            return await sweep(self, lying, live)

        self.patch(Blobs, "sweep", swept)
        self.finds("R3", "small")

    def test_checkpoint_comes_before_content(self) -> None:
        """A checkpoint is committed before its bytes are synced."""

        async def hasty(self: Stream) -> None:
            prefix = self._prefix
            assert prefix is not None
            await self._committed(prefix)
            await self._desk.workers.run(self._sync)
            self._synced, self._synced_at = prefix.offset, self._desk.monotonic()

        self.patch(Stream, "_checkpoint", hasty)
        self.finds("R4", "large")

    def test_commits_are_not_synced(self) -> None:
        """SQLite is told not to sync each commit."""
        prepare = database._prepare

        def hasty(connection: Connection) -> Connection:
            prepare(connection).execute("PRAGMA synchronous = NORMAL")
            return connection

        self.patch(database, "_prepare", hasty)
        self.finds("R1", "small")

    def test_word_leads_to_the_same_state(self) -> None:
        """What is printed for a broken state is enough to come to it again."""
        self.patch(AmnesiacFiles, "sync", lambda self, descriptor: None)
        failed = self.finds("R2", "small")
        name, steps = parse_replay(failed.replay)
        again = self.assertRaises(Failed, Explorer(BY_NAME[name], 1).reach, steps)
        self.assertEqual(str(again), str(failed))
