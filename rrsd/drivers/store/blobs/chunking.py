"""What is hashed beside the whole of a large transfer: its last chunk, and the whole itself when that began later."""

import hashlib
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rrsd.core.refusals import Damaged
from rrsd.core.values.digests import Digest
from rrsd.core.values.resources import CHUNK
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.vault import BLOCK, Vault, hash_file
from rrsd.runtime.workers import Workers

QUICK = 4 * CHUNK
"""Bytes up to which all that was there is hashed before a transfer goes on: that takes no time that anybody notices."""
SLICE = 16 * BLOCK
"""Bytes that are hashed behind the writer in one call."""


def chunk_start(offset: int) -> int:
    """Where the chunk begins that ends at `offset`, or that `offset` is in."""
    return max(0, offset - 1) // CHUNK * CHUNK


@define(eq=False)
class Tail:
    """The digest of the bytes since the last chunk began; a chunk that ends at `offset` is still that one."""

    offset: int = 0
    _running: "hashlib._Hash" = field(factory=hashlib.sha256)

    def update(self, blocks: list[bytes]) -> None:
        """Take the next bytes."""
        for block in blocks:
            rest = memoryview(block)
            while rest:
                if self.offset % CHUNK == 0:
                    self._running = hashlib.sha256()
                piece = rest[: CHUNK - self.offset % CHUNK]
                self._running.update(piece)
                self.offset += len(piece)
                rest = rest[len(piece) :]

    def digest(self) -> Digest:
        """Of the chunk's bytes so far."""
        return Digest(self._running.digest())


def tail_of(vault: Vault, descriptor: int, offset: int) -> Tail | None:
    """The tail of the first `offset` bytes of the file, None when there are fewer. Blocks."""
    running, start = hashlib.sha256(), chunk_start(offset)
    if hash_file(vault.files, descriptor, offset, running, start) != offset - start:
        return None
    return Tail(offset, running)


def digest_of_span(vault: Vault, descriptor: int, start: int, end: int) -> Digest:
    """The digest of those bytes of the file. Blocks."""
    running = hashlib.sha256()
    hash_file(vault.files, descriptor, end, running, start)
    return Digest(running.digest())


@define(eq=False)
class Behind:
    """Hashes a file from byte 0, behind whoever writes it, so that nobody waits for that before new bytes come.

    What a failed fsync was to keep may be seen and never kept: where that can be, `rewrites`, it is written once more.
    `advanced` hears when it has come as far as it was told to, `failed` why it cannot.
    """

    _vault: Vault
    _workers: Workers
    _descriptor: int
    _advanced: Callable[[], None]
    _failed: Callable[[Failure], None]
    _rewrites: bool = False
    done: int = field(default=0, init=False)
    running: bool = field(default=False, init=False)
    _end: int = field(default=0, init=False)
    _resting: bool = field(default=False, init=False)
    _hash: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)

    def follow(self, written: int) -> None:
        """So much is in the file: go on as far as that."""
        self._end = max(self._end, written)
        if not self.running and self.done < self._end and not self._resting:
            self.running = True
            Deferred.fromCoroutine(self._run()).addErrback(self._stop)

    def rest(self) -> None:
        """Stop where it is, for good."""
        self._resting = True

    async def _run(self) -> None:
        while self.done < self._end and not self._resting:
            end = min(self._end, self.done + SLICE)
            await self._workers.run(self._slice, self.done, end)
            self.done = end
        self.running = False
        self._advanced()

    def _slice(self, start: int, end: int) -> None:
        with refusing("read of a transfer"):
            if self._rewrites:
                for offset in range(start, end, BLOCK):
                    data = self._vault.files.read(self._descriptor, min(BLOCK, end - offset), offset)
                    self._vault.files.write(self._descriptor, (data,), offset)
            if hash_file(self._vault.files, self._descriptor, end, self._hash, start) != end - start:
                raise Damaged("the file of a transfer is shorter than what was written")

    def _stop(self, reason: Failure) -> None:
        self.running = False
        self._failed(reason)

    def digest(self) -> bytes:
        """Of what was hashed so far."""
        return self._hash.digest()
