"""Tests for rrsd.drivers.store: the store and its twin in memory satisfy the ports, by type and by contract."""

import os
from typing import TYPE_CHECKING

from rrsd.core.refusals import Damaged, Unavailable
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.links import Attempt
from rrsd.core.values.settings import Size
from rrsd.drivers.store.memory import MemoryStore
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.runtime.workers import InlineWorkers
from tests.drivers.store import (
    bytes_contract,
    custody_contract,
    deadlines_contract,
    deposits_contract,
    facts_contract,
    holds_contract,
    links_contract,
    people_contract,
    queue_contract,
)
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.links_contract import CODE, HOUR, NOTICE, RIGHT, WRONG
from tests.drivers.store.samples import ALICE, NOW

if TYPE_CHECKING:
    from rrsd.roles.idp import ports as idp
    from rrsd.roles.mail import ports as mail
    from rrsd.roles.rra import ports as rra
    from rrsd.roles.rra.notifier import Facts
    from rrsd.roles.rs import ports as rs
    from rrsd.roles.sts import ports as sts

    store: Store = MemoryStore(lambda: NOW)
    users: idp.Users = store.users
    logins: idp.LoginGrants = store.logins
    replays: sts.Replays = store.replays
    served: rs.Blobs = store.blobs
    uploads: rs.Uploads = store.uploads
    grants: rs.Grants = store.grants
    links: rs.Links = store.links
    outbox: mail.Outbox = store.outbox
    granted: mail.Granted = store.grants
    queue: rra.Queue = store.queue
    mailbox: rra.Mailbox = store.mailbox
    facts: Facts = store.facts
    received: mail.Received = store.facts
    blobs: rra.Blobs = store.blobs
    deposits: mail.Deposits = store.deposits
    spools: mail.Spools = store.spools
    passages: mail.Passages = store.passages
    sending: mail.Grants = store.grants
    sent: mail.Blobs = store.blobs


class _OnDisk(StoreCase):
    """A store in a folder, everything on this thread."""

    def open(self) -> Store:
        """A store in a new folder."""
        self.folder = self.mktemp()
        return self.reopen()

    def reopen(self) -> Store:
        """A store in the same folder."""
        workers = InlineWorkers()
        settings = Settings(path=self.folder, keep_free=Size(0))
        return Store(settings, Threads(workers, workers, workers), self.clock, lambda: self.clock().timestamp())


class _InMemory(StoreCase):
    """A store in memory."""

    def open(self) -> Store:
        """A new store."""
        return MemoryStore(self.clock)


class MemoryPeopleTests(_InMemory, people_contract.PeopleContract):
    """People in memory."""


class MemoryQueueTests(_InMemory, queue_contract.QueueContract):
    """The queue in memory."""


class MemoryCustodyTests(_InMemory, custody_contract.CustodyContract):
    """Custody in memory."""


class MemoryBytesTests(_InMemory, bytes_contract.BytesContract):
    """Bytes in memory."""


class MemoryDepositsTests(_InMemory, deposits_contract.DepositsContract):
    """Deposits in memory."""


class MemoryDeadlinesTests(_InMemory, deadlines_contract.DeadlinesContract):
    """Ends of jobs in memory."""


class MemoryHoldsTests(_InMemory, holds_contract.HoldsContract):
    """Held placeholders, in memory."""


class DiskHoldsTests(_OnDisk, holds_contract.HoldsContract):
    """Held placeholders, on disk."""


class MemoryFactsTests(_InMemory, facts_contract.FactsContract):
    """What has happened to messages, in memory."""


class DiskFactsTests(_OnDisk, facts_contract.FactsContract):
    """What has happened to messages, on disk."""


class MemoryLinksTests(_InMemory, links_contract.LinksContract):
    """Links and notices, in memory."""


class DiskLinksTests(_OnDisk, links_contract.LinksContract):
    """Links and notices, on disk."""

    def test_restart(self) -> None:
        """What waits still waits, and neither codes nor tries begin anew."""
        self.done(self.store.outbox.add(NOTICE, NOW))
        self.done(self.store.links.add_code(CODE, 1, 1, HOUR))
        self.assertEqual([self.attempt(WRONG) for _ in range(4)], [Attempt.WRONG] * 4)
        self.done(self.store.stop())
        self.store = self.reopen()
        self.done(self.store.start())
        self.assertEqual(self.done(self.store.outbox.due(NOW, 9)), [NOTICE])
        self.assertGreater(self.done(self.store.links.add_code(CODE, 1, 1, HOUR)), 0)
        self.assertEqual([self.attempt(WRONG), self.attempt(RIGHT)], [Attempt.WRONG, Attempt.OVER])


class DiskPeopleTests(_OnDisk, people_contract.PeopleContract):
    """People on disk."""


class DiskDeadlinesTests(_OnDisk, deadlines_contract.DeadlinesContract):
    """Ends of jobs on disk."""


class DiskQueueTests(_OnDisk, queue_contract.QueueContract):
    """The queue on disk."""


class DiskDepositsTests(_OnDisk, deposits_contract.DepositsContract):
    """Deposits on disk."""


def age_all(folder: object, now: Instant) -> None:
    """Every blob was touched then."""
    for where, _, names in os.walk(f"{folder}/blobs"):
        for name in names:
            os.utime(f"{where}/{name}", (now.timestamp(), now.timestamp()))


class DiskCustodyTests(_OnDisk, custody_contract.CustodyContract):
    """Custody on disk."""

    def aged(self) -> None:
        """The files of a disk are as old as the disk says: give them the age that the test's clock means."""
        age_all(self.folder, self.now)


class DiskBytesTests(_OnDisk, bytes_contract.BytesContract):
    """Bytes on disk."""

    def collected(self, now: Instant, grace: float) -> list[Digest]:
        """The files of a disk are as old as the disk says: give them the age that the test's clock means."""
        age_all(self.folder, self.now)
        return super().collected(now, grace)

    def test_survives_restart(self) -> None:
        """What was committed is there after a restart; a stopped store refuses."""
        blob = self.done(self.store.blobs.put(b"abc"))
        self.done(self.store.check())
        self.done(self.store.stop())
        self.refused(Unavailable, self.store.users.find(ALICE))
        self.refused(Unavailable, self.store.users.remove(ALICE))
        self.store = self.reopen()
        self.done(self.store.start())
        self.assertEqual(self.done(self.store.blobs.find(blob.digest)), blob)

    def test_damaged_database(self) -> None:
        """A store whose database is damaged does not start, says so, and lets the next one try."""
        self.done(self.store.stop())
        with open(f"{self.folder}/rrsd.sqlite", "wb") as file:
            file.write(b"x" * 8192)
        for _ in range(2):
            self.assertIn("backup", self.refused(Damaged, self.reopen().start()).detail)

    def test_files_are_private(self) -> None:
        """Nobody but the daemon's user may read the database or a blob."""
        blob = self.done(self.store.blobs.put(b"abc"))
        final = f"{self.folder}/blobs/{blob.digest.raw[0]:02x}/{blob.digest.b64}"
        for path in (f"{self.folder}/rrsd.sqlite", final):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
