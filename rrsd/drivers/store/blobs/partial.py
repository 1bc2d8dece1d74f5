"""Transfers on their way in: a stream that is hashed, written and synced beside the reactor."""

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ParamSpec, TypeAlias, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from rrsd.core.refusals import Conflict, Damaged, Refusal, Unknown
from rrsd.core.values.digests import Digest
from rrsd.core.values.resources import CHUNK, Blob, Checkpoint
from rrsd.drivers.store.blobs.chunking import QUICK, Behind, Tail, digest_of_span
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.lanes import Lane
from rrsd.drivers.store.blobs.shield import shielded
from rrsd.drivers.store.blobs.space import Key, Space
from rrsd.drivers.store.blobs.vault import Vault
from rrsd.runtime.workers import Workers

P = ParamSpec("P")
T = TypeVar("T")
Committed: TypeAlias = Callable[[Checkpoint], Awaitable[None]]

GATHER = 256 * 1024  # bytes
SYNC_SECONDS = 2.0  # between two checkpoints while bytes come


@define(eq=False)
class Desk:
    """What every transfer works with."""

    vault: Vault
    workers: Workers
    space: Space
    monotonic: Callable[[], float]
    in_flight: int
    quick: int = QUICK


@define(eq=False)
class Patch:
    """Bytes that take the place of others of one transfer, from `offset` on."""

    _put: Callable[[bytes, int], "Deferred[None]"]
    offset: int

    def write(self, data: bytes) -> "Deferred[None]":
        """Take the next bytes; wait for what is returned before giving more. It refuses with NoSpace."""
        offset = self.offset
        self.offset += len(data)
        return self._put(data, offset)


@define(eq=False)
class Stream:
    """The growing file of one lease.

    Two lanes run side by side: one hashes, one writes. A third task syncs: it takes the newest prefix that both lanes
    have passed, syncs the file while they go on, and commits a checkpoint for that prefix alone. Where much was there
    before, the whole is hashed behind them, from the file, and the lane hashes the chunks only.
    """

    _desk: Desk
    _path: str
    _descriptor: int
    _committed: Committed
    _key: Key
    _running: "hashlib._Hash | None"
    _tail: Tail | None
    offset: int
    _final: str
    _ended: Callable[[], None]
    _rewrites: bool = False
    _synced: int = field(init=False)
    _synced_at: float = field(init=False)
    _hashing: Lane[Checkpoint] = field(init=False)
    _behind: Behind | None = field(default=None, init=False)
    _patched: bool = field(default=False, init=False)
    _aside: int = field(default=0, init=False)
    _writing: Lane[None] = field(init=False)
    _gathered: list[bytes] = field(factory=list, init=False)
    _gathered_size: int = field(default=0, init=False)
    _prefixes: deque[Checkpoint] = field(factory=deque, init=False)
    _prefix: Checkpoint | None = field(default=None, init=False)
    _syncing: bool = field(default=False, init=False)
    _open: bool = field(default=True, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _paused: "Deferred[None] | None" = field(default=None, init=False)
    _quiet: "list[Deferred[None]]" = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        workers = self._desk.workers
        self._hashing = Lane(workers, self._hash, self._hashed, self._fail, self.offset)
        self._writing = Lane(workers, self._put, self._wrote, self._fail, self.offset)
        self._synced, self._synced_at = self.offset, self._desk.monotonic()
        if self._running is None:
            self._hash_behind(self._rewrites)

    def _hash_behind(self, rewrites: bool = False) -> None:
        """Hash the whole anew, from the file."""
        self._running, desk = None, self._desk
        self._behind = Behind(desk.vault, desk.workers, self._descriptor, self._hush, self._fail, rewrites)
        self._behind.follow(self._writing.done)

    @property
    def written(self) -> int:
        """How many bytes are in the file."""
        return self._writing.done

    @property
    def paths(self) -> tuple[str, ...]:
        """Where they are, or will be once the transfer is over."""
        return (self._path, self._final)

    def write(self, data: bytes) -> "Deferred[None] | None":
        """Take the next bytes; wait for what is returned before giving more.

        Raises, through the awaitable:
            NoSpace: the disk is full or fails.
            Conflict: another lease has taken over, or this one was ended.
        """
        if self._failure is not None:
            return fail(self._failure)
        if not self._open:
            return fail(Conflict("the transfer is over"))
        self.offset += len(data)
        self._gathered.append(data)
        self._gathered_size += len(data)
        self._feed()
        if self._waiting() <= self._desk.in_flight:
            return None
        if self._paused is None:
            self._paused = Deferred()
        return self._paused

    def _feed(self) -> None:
        """Hand over what was gathered once it is much, or the lanes have nothing to do.

        Each block costs each lane one wait for the interpreter's lock, so the small blocks of TLS are joined before.
        """
        idle = not (self._hashing.running or self._writing.running)
        if self._gathered and (idle or self._gathered_size >= GATHER):
            block = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
            self._gathered, self._gathered_size = [], 0
            self._hashing.feed(block)
            self._writing.feed(block)

    def _waiting(self) -> int:
        return self.offset - min(self._hashing.done, self._writing.done)

    # --- off the reactor

    def _hash(self, blocks: list[bytes]) -> Checkpoint:
        if self._tail is not None:
            self._tail.update(blocks)
        tail = self._tail.digest() if self._tail is not None else None
        offset = self._hashing.done + sum(map(len, blocks))
        if self._running is None:
            return Checkpoint(offset, None, tail)
        for block in blocks:
            self._running.update(block)
        return Checkpoint(offset, Digest(self._running.copy().digest()), tail)

    def _put(self, blocks: list[bytes]) -> None:
        with refusing("write of a transfer"):
            self._desk.vault.files.write(self._descriptor, blocks, self._writing.done)
        self._desk.space.spend(self._key, sum(map(len, blocks)))

    def _sync(self) -> None:
        with refusing("sync of a transfer"):
            self._desk.vault.files.sync(self._descriptor)

    # --- on it

    def _hashed(self, prefix: Checkpoint) -> None:
        self._prefixes.append(prefix)
        self._advance()

    def _wrote(self, nothing: None) -> None:
        if self._behind is not None:
            self._behind.follow(self._writing.done)
        self._advance()

    def _advance(self) -> None:
        self._feed()
        while self._prefixes and self._prefixes[0].offset <= self._writing.done:
            self._prefix = self._prefixes.popleft()
        if not self._syncing and self._is_due():
            self._syncing = True
            Deferred.fromCoroutine(self._checkpoint()).addErrback(self._fail).addCallback(self._rest)
        if self._paused is not None and self._waiting() <= self._desk.in_flight // 4:
            paused, self._paused = self._paused, None
            paused.callback(None)
        self._hush()

    def _is_due(self) -> bool:
        if self._prefix is None or self._failure is not None or self._prefix.offset == self._synced:
            return False
        if self._prefix.offset - self._synced >= CHUNK:
            return True
        return self._desk.monotonic() - self._synced_at >= SYNC_SECONDS

    async def _checkpoint(self) -> None:
        prefix = self._prefix
        assert prefix is not None
        await self._desk.workers.run(self._sync)
        await self._committed(prefix)
        self._synced, self._synced_at = prefix.offset, self._desk.monotonic()

    def _rest(self, nothing: None) -> None:
        self._syncing = False
        self._advance()

    def _fail(self, reason: Failure) -> None:
        self._failure = self._failure or reason
        self._gathered, self._gathered_size = [], 0
        if self._paused is not None:
            paused, self._paused = self._paused, None
            paused.errback(self._failure)
        self._hush()

    def _hush(self) -> None:
        if not self._busy():
            quiet, self._quiet = self._quiet, []
            for waiting in quiet:
                waiting.callback(None)

    def _busy(self) -> bool:
        behind = self._behind is not None and self._behind.running
        lanes = self._hashing.running or self._writing.running
        return bool(self._gathered) or lanes or self._syncing or behind or self._aside > 0

    async def _drain(self) -> None:
        while self._busy():
            waiting: Deferred[None] = Deferred()
            self._quiet.append(waiting)
            await waiting

    # --- the end

    async def finish(self, digest: Digest, size: int) -> Blob:
        """Drain, compare, and give the final name.

        Raises:
            Damaged: length or digest differ; nothing got a name.
            NoSpace: the disk is full or fails.
        """
        return await shielded(self._finish(digest, size))

    async def _finish(self, digest: Digest, size: int) -> Blob:
        await self._drain()
        if self._patched and self._failure is None:
            self._patched = False
            self._hash_behind()
            await self._drain()
        if self._failure is not None:
            self._failure.raiseException()
        if not self._open:
            raise Conflict("the transfer is over")
        if self.offset != size or self._digest() != digest.raw:
            raise Damaged(f"{self.offset} of {size} bytes came, with another digest than {digest}")
        self._open = False
        try:
            await self._desk.workers.run(self._seal, digest, size)
        finally:
            self._ended()
        return Blob(digest, size, (digest,) if size <= CHUNK else ())

    def _digest(self) -> bytes:
        whole = self._running if self._running is not None else self._behind
        assert whole is not None
        return whole.digest()

    def _seal(self, digest: Digest, size: int) -> None:
        vault = self._desk.vault
        try:
            self._sync()
        finally:
            self._release()
        with refusing("final name"):
            vault.keep(self._path, digest, size)
            vault.files.unlink(self._path)

    async def close(self) -> None:
        """Drain and keep what is there for the next lease, with a last checkpoint."""
        await self._end(self._last_checkpoint)

    async def discard(self) -> None:
        """Remove the file of this lease."""
        await self._end(self._remove)

    # --- damage

    async def _beside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Off the reactor, to its end, before the file is closed; refuses with Conflict after that."""
        if not self._open:
            raise Conflict("the transfer is over")
        self._aside += 1
        try:
            return await self._desk.workers.run(work, *args, **kwargs)
        finally:
            self._aside -= 1
            self._hush()

    async def chunks(self) -> tuple[Digest, ...]:
        """The digest of each chunk of what is in the file, read again; refuses with NoSpace."""
        await self._drain()
        return tuple([await shielded(self._beside(self._chunk, start)) for start in range(0, self.offset, CHUNK)])

    def _chunk(self, start: int) -> Digest:
        with refusing("read of a transfer"):
            return digest_of_span(self._desk.vault, self._descriptor, start, min(self.offset, start + CHUNK))

    async def hold(self) -> None:
        """Make durable all that is there, damaged as it is: the next lease mends it where this one does not. Refuses
        with NoSpace or Conflict."""
        await self._drain()
        await shielded(self._hold())

    async def _hold(self) -> None:
        try:
            await self._beside(self._sync)
            await self._committed(Checkpoint(self.offset))
        except BaseException:
            self._fail(Failure())  # a second sync would say that all is well, and sync nothing
            raise
        self._synced = self.offset

    def patch(self, start: int) -> Patch:
        """Takes other bytes in the place of those at `start`; `finish` hashes all anew then, from the file."""
        self._patched, self._prefix = True, None
        self._prefixes.clear()
        return Patch(lambda data, offset: shielded(self._beside(self._replace, data, offset)), start)

    def _replace(self, data: bytes, offset: int) -> None:
        with refusing("write of a transfer"):
            self._desk.vault.files.write(self._descriptor, (data,), offset)

    async def _end(self, last: Callable[[], Awaitable[None]]) -> None:
        if self._behind is not None:
            self._behind.rest()
        await self._drain()
        if not self._open:
            return
        self._open = False
        await shielded(self._close(last))

    async def _close(self, last: Callable[[], Awaitable[None]]) -> None:
        try:
            await last()
        finally:
            self._ended()
            await self._desk.workers.run(self._release)

    async def _last_checkpoint(self) -> None:
        if self._failure is not None or self._prefix is None or self._prefix.offset == self._synced:
            return
        try:
            await self._checkpoint()
        except Refusal:
            return  # the next lease starts from the checkpoint before

    async def _remove(self) -> None:
        await self._desk.workers.run(self._unlink)

    def _unlink(self) -> None:
        with suppress(Unknown), refusing("partial file"):
            self._desk.vault.files.unlink(self._path)

    def _release(self) -> None:
        try:
            with refusing("end of a transfer"):
                self._desk.vault.files.close(self._descriptor)
        finally:
            self._desk.space.let_go([self._key])
