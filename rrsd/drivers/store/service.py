"""The store as a room: its database and its folders, and one attribute for each port that it satisfies."""

from collections.abc import Callable
from contextlib import suppress

from attrs import define, field, frozen

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.instants import Instant
from rrsd.drivers.store.blobs.blobs import Blobs
from rrsd.drivers.store.blobs.deposits import Deposits
from rrsd.drivers.store.blobs.files import DiskFiles, Files, refusing
from rrsd.drivers.store.blobs.partial import Desk
from rrsd.drivers.store.blobs.shelves import Shelves
from rrsd.drivers.store.blobs.small import Writer
from rrsd.drivers.store.blobs.space import Space
from rrsd.drivers.store.blobs.spools import Spools
from rrsd.drivers.store.blobs.uploads import Uploads
from rrsd.drivers.store.blobs.vault import Vault
from rrsd.drivers.store.lock import FolderLock
from rrsd.drivers.store.mark import FileMark, Mark, MemoryMark
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.books import Books
from rrsd.drivers.store.sql.checks import Checks
from rrsd.drivers.store.sql.clients import Clients
from rrsd.drivers.store.sql.database import Database, FileDatabase
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.epoch import Epoch
from rrsd.drivers.store.sql.facts import Facts
from rrsd.drivers.store.sql.grants import Grants
from rrsd.drivers.store.sql.holds import Holds
from rrsd.drivers.store.sql.links import Links
from rrsd.drivers.store.sql.logins import LoginGrants
from rrsd.drivers.store.sql.mailbox import Mailbox
from rrsd.drivers.store.sql.notices import Outbox
from rrsd.drivers.store.sql.passages import Passages
from rrsd.drivers.store.sql.queue import Queue
from rrsd.drivers.store.sql.replays import Replays
from rrsd.drivers.store.sql.revocations import Revocations
from rrsd.drivers.store.sql.room import Room
from rrsd.drivers.store.sql.users import Users
from rrsd.runtime.workers import Workers


@frozen
class Threads:
    """Where the store blocks: `writer` runs one thing at a time, `readers` and `disk` several."""

    writer: Workers
    readers: Workers
    disk: Workers


@define(eq=False)
class Store:
    """Rows and bytes that survive; `settings.path` holds both.

    The threads run before `start` and until after `stop`; whoever made them ends them.
    """

    settings: Settings
    _threads: Threads
    _now: Callable[[], Instant]
    _monotonic: Callable[[], float]
    _files: Files = field(factory=DiskFiles)
    _database: Database | None = None
    _lock: FolderLock | None = field(default=None, init=False)
    name: str = field(default="store", init=False)
    users: Users = field(init=False)
    logins: LoginGrants = field(init=False)
    replays: Replays = field(init=False)
    clients: Clients = field(init=False)
    revocations: Revocations = field(init=False)
    facts: Facts = field(init=False)
    grants: Grants = field(init=False)
    holds: Holds = field(init=False)
    links: Links = field(init=False)
    outbox: Outbox = field(init=False)
    passages: Passages = field(init=False)
    queue: Queue = field(init=False)
    books: Books = field(init=False)
    checks: Checks = field(init=False)
    mailbox: Mailbox = field(init=False)
    blobs: Blobs = field(init=False)
    shelves: Shelves = field(init=False)
    uploads: Uploads = field(init=False)
    deposits: Deposits = field(init=False)
    spools: Spools = field(init=False)
    _engine: Engine = field(init=False)
    _epoch: Epoch = field(init=False)
    _vault: Vault = field(init=False)
    _space: Space = field(init=False)

    def __attrs_post_init__(self) -> None:
        settings, disk = self.settings, self._threads.disk
        database = self._database or FileDatabase(f"{settings.path}/rrsd.sqlite")
        self._lock = FolderLock(settings.path) if self._database is None else None
        self._engine = Engine(database, self._threads.writer, self._threads.readers, settings.commit_batch)
        self._vault = Vault(self._files, settings.path)
        self._space = Space(self._files, settings.path, settings.keep_free)
        mark: Mark = MemoryMark() if self._database else FileMark(f"{settings.path}/epoch")
        self._epoch = Epoch(self._engine, mark, disk)
        self._add_rows()
        desk = Desk(self._vault, disk, self._space, self._monotonic, settings.in_flight)
        writer = Writer(self._vault, disk, self._space)
        self.blobs = Blobs(self._engine, desk, writer, settings.small)
        self.shelves = Shelves(self._engine, self._vault, disk)
        self.uploads = Uploads(self._engine, writer, self._now)
        self.deposits = Deposits(self._engine, desk)
        self.spools = Spools(desk)

    def _add_rows(self) -> None:
        self.users = Users(self._engine)
        self.logins = LoginGrants(self._engine, self._epoch)
        self.replays = Replays(self._engine, self._now)
        self.clients = Clients(self._engine)
        self.revocations = Revocations(self._engine, self._now)
        self.facts = Facts(self._engine)
        self.grants = Grants(self._engine, self._vault.is_stored)
        self.holds = Holds(self._engine, self._now)
        self.links = Links(self._engine)
        self.outbox = Outbox(self._engine)
        self.passages = Passages(self._engine, self._now)
        self.queue = Queue(self._engine, self._vault.is_stored, self._space, Room(self._space))
        self.books = Books(self._engine)
        self.checks = Checks(self._engine)
        self.mailbox = Mailbox(self._engine)

    async def start(self) -> None:
        """Make the folders, open the database.

        Raises:
            Damaged: the database is damaged, or is not one of rrsd.
            Conflict: a newer rrsd wrote the database, or another daemon works in the folder.
            NoSpace: folder or database cannot be made or opened.
        """
        try:
            await self._threads.disk.run(self._prepare)
            await self._engine.start()
            if await self._epoch.begin():
                self.replays.forget()
            await self.uploads.start()
        except Refusal:
            self._unlock()
            raise

    def _prepare(self) -> None:
        if self._lock is not None:
            self._lock.take()
        with refusing(f"store {self.settings.path}"):
            self._vault.prepare()

    async def stop(self) -> None:
        """Finish what waits and close the database."""
        with suppress(Refusal):
            await self.passages.flush()
        await self._engine.stop()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    async def check(self) -> None:
        """Whether the store answers and can take more; refuses with Unavailable, NoSpace or Damaged when not."""
        (answer,) = await self._engine.read(lambda connection: connection.execute("SELECT 1").fetchone())
        if answer != 1:
            raise Unavailable("database")
        await self._threads.disk.run(self._space.require_some)
