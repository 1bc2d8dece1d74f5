"""Resources whose size and digest nobody knows before they have come: what is taken out of messages on their way."""

import hashlib
from collections.abc import AsyncIterator
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rrsd.core.refusals import Conflict
from rrsd.core.values.digests import Digest
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.lanes import Lane
from rrsd.drivers.store.blobs.nameless import Nameless, create_nameless
from rrsd.drivers.store.blobs.partial import Desk
from rrsd.drivers.store.blobs.reading import blocks
from rrsd.drivers.store.blobs.shield import shielded
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.references import save_chunks

GATHER = 512 * 1024
"""Bytes that are handed to the disk at a time."""
SYNC_EVERY = 32 * 1024 * 1024
"""Bytes after which the disk is told to begin, so that little is left to do at the end."""


@define(eq=False)
class Hashes:
    """The digest of everything, and those of the chunks."""

    whole: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)
    chunks: list[Digest] = field(factory=list, init=False)
    _chunk: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)
    _in_chunk: int = field(default=0, init=False)

    def update(self, blocks: list[bytes]) -> None:
        """Take the next bytes."""
        for block in blocks:
            self.whole.update(block)
            rest = memoryview(block)
            while rest:
                piece = rest[: CHUNK - self._in_chunk]
                self._chunk.update(piece)
                self._in_chunk += len(piece)
                rest = rest[len(piece) :]
                if self._in_chunk == CHUNK:
                    self._end_chunk()

    def finish(self) -> Digest:
        """The digest of everything; the last chunk ends here."""
        if self._in_chunk:
            self._end_chunk()
        return Digest(self.whole.digest())

    def _end_chunk(self) -> None:
        self.chunks.append(Digest(self._chunk.digest()))
        self._chunk, self._in_chunk = hashlib.sha256(), 0


@define(eq=False)
class Deposit:
    """One resource on its way in. Hashing and writing run side by side, off the reactor; little waits for them.

    Nothing of it is durable, or has a name that outlives a crash, before `finish` has returned.
    """

    _engine: Engine
    _desk: Desk
    _file: Nameless
    size: int = field(default=0, init=False)
    _hashes: Hashes = field(factory=Hashes, init=False)
    _hashing: Lane[None] = field(init=False)
    _writing: Lane[None] = field(init=False)
    _gathered: list[bytes] = field(factory=list, init=False)
    _gathered_size: int = field(default=0, init=False)
    _unsynced: int = field(default=0, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _waiting: "list[Deferred[None]]" = field(factory=list, init=False)
    _is_open: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        workers = self._desk.workers
        self._hashing = Lane(workers, self._hashes.update, self._advanced, self._fail)
        self._writing = Lane(workers, self._put, self._advanced, self._fail)

    async def append(self, data: bytes) -> None:
        """Take the next bytes; returns when more may come.

        Raises:
            NoSpace: the disk is full or fails.
            Conflict: it was finished or given up.
        """
        self._require_open()
        self.size += len(data)
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size >= GATHER:
            self._hand_over()
        while self._failure is None and self._behind() > self._desk.in_flight:
            await self._next()
        self._require_well()

    def _require_open(self) -> None:
        if not self._is_open:
            raise Conflict("the deposit is over")
        self._require_well()

    def _require_well(self) -> None:
        if self._failure is not None:
            self._failure.raiseException()

    def _hand_over(self) -> None:
        block = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered, self._gathered_size = [], 0
        if block:
            self._hashing.feed(block)
            self._writing.feed(block)

    def _behind(self) -> int:
        return self.size - min(self._hashing.done, self._writing.done)

    # --- off the reactor

    def _put(self, blocks: list[bytes]) -> None:
        size = sum(map(len, blocks))
        self._desk.space.check(size)
        with refusing("deposit"):
            self._file.files.write(self._file.descriptor, blocks, self._writing.done)
            self._unsynced += size
            if self._unsynced >= SYNC_EVERY:
                self._unsynced = 0
                self._file.files.sync(self._file.descriptor)

    def _seal(self, digest: Digest) -> None:
        with refusing("deposit"):
            self._file.files.sync(self._file.descriptor)
            self._desk.vault.keep(self._file.path, digest, self.size)

    # --- on it

    def _advanced(self, nothing: None) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _fail(self, reason: Failure) -> None:
        self._failure = self._failure or reason
        self._advanced(None)

    async def _next(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting

    async def _settle(self) -> None:
        """Wait until the disk has everything, or nothing runs any more."""
        self._hand_over()
        while self._hashing.running or self._writing.running:
            await self._next()

    async def read(self) -> AsyncIterator[bytes]:
        """Everything so far, in blocks; refuses as `append`."""
        self._require_open()
        await self._settle()
        self._require_well()
        async for block in blocks(self._desk.workers, self._file.read, 0, self.size):
            yield block

    async def finish(self) -> Blob:
        """The blob, durable under its final name; refuses as `append`."""
        self._require_open()
        self._is_open = False
        return await shielded(self._finish())

    async def _finish(self) -> Blob:
        try:
            await self._settle()
            self._require_well()
            digest = self._hashes.finish()
            await self._desk.workers.run(self._seal, digest)
        finally:
            await self._desk.workers.run(self._file.close)
        chunks = tuple(self._hashes.chunks) if self.size > CHUNK else (digest,)
        if self.size > CHUNK:
            await self._engine.write(lambda connection: save_chunks(connection, digest, chunks))
        return Blob(digest, self.size, chunks)

    async def abort(self) -> None:
        """Forget it and its bytes; nothing after the end."""
        if self._is_open:
            self._is_open = False
            await shielded(self._abort())

    async def _abort(self) -> None:
        self._gathered, self._gathered_size = [], 0
        await self._settle()
        await self._desk.workers.run(self._file.close)


@define(eq=False)
class Deposits:
    """Begins them."""

    _engine: Engine
    _desk: Desk
    _numbers: "count[int]" = field(factory=count, init=False)

    async def begin(self) -> Deposit:
        """A deposit of which nothing has come; refuses with NoSpace."""
        name = f"deposit.{next(self._numbers)}"
        return Deposit(self._engine, self._desk, await self._desk.workers.run(create_nameless, self._desk.vault, name))

    async def require_room(self, size: int) -> None:
        """Returns None when there is room for so many bytes now; refuses with NoSpace."""
        await self._desk.workers.run(self._desk.space.check, size)
