"""Bytes under their digests, and those on their way: the port of the Resource Server and of the Retrieval Agent."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from attrs import define, field

from rrsd.core.refusals import NoSpace, Unknown
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Fetch, Lease, partial_name
from rrsd.core.values.resources import CHUNK, Blob, Checkpoint
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.partial import Committed, Desk, Stream
from rrsd.drivers.store.blobs.reading import blocks, read_span
from rrsd.drivers.store.blobs.resume import Opened, is_unchecked, open_partial
from rrsd.drivers.store.blobs.shield import shielded
from rrsd.drivers.store.blobs.small import Small, Writer
from rrsd.drivers.store.blobs.space import Key
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.references import chunks_of, remove_unreferenced


class Growing(Protocol):
    """What `partial` hands out, as far as others may look at it."""

    @property
    def written(self) -> int: ...


@define(eq=False)
class Blobs:
    """Blobs in files; satisfies the ports of that name of the Resource Server and of the Resource Retrieval Agent.

    A blob is there when its final name is; only the digests of the chunks of large ones are rows.
    """

    _engine: Engine
    _desk: Desk
    _writer: Writer
    _small: int
    _open: set[str] = field(factory=set, init=False)
    _collecting: int = field(default=0, init=False)

    async def find(self, digest: Digest) -> Blob:
        """The blob with its chunk digests, none when they are not known; refuses with Unknown."""
        size = await self._desk.workers.run(self._size, digest)
        if size <= CHUNK:
            return Blob(digest, size, (digest,))
        return Blob(digest, size, await self._engine.read(lambda connection: chunks_of(connection, digest)))

    def _size(self, digest: Digest) -> int:
        with refusing(f"blob {digest}"):
            return self._desk.vault.files.facts(self._desk.vault.final(digest)).size

    async def put(self, data: bytes) -> Blob:
        """Store small bytes; refuses with NoSpace."""
        return await self._desk.workers.run(self._writer.store, (data,), None, len(data))

    def read(self, digest: Digest, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) in blocks; refuses with Unknown, Damaged or NoSpace."""
        paths = (self._desk.vault.final(digest),)
        return self._blocks(paths, start, end)

    def _blocks(self, paths: Sequence[str], start: int, end: int) -> AsyncIterator[bytes]:
        files = self._desk.vault.files
        return blocks(self._desk.workers, lambda a, b: read_span(files, paths, a, b), start, end)

    async def partial(
        self, lease: Lease, size: int, committed: Callable[[Checkpoint], Awaitable[None]]
    ) -> tuple[Stream | Small, Checkpoint | None]:
        """The lease's own transfer, and the checkpoint from which it goes on; refuses with NoSpace."""
        key = (lease.job.job, lease.job.epoch)
        if size <= self._small and not lease.fetch.checkpoints:
            if not self._desk.space.try_hold(key, size):
                await self._desk.workers.run(self._desk.space.hold, key, size)
            return Small(self._writer, key, self._desk.vault.final(lease.fetch.digest)), None
        return await shielded(self._stream(lease.fetch, key, size, committed))

    async def _stream(
        self, fetch: Fetch, key: Key, size: int, committed: Committed
    ) -> tuple[Stream, Checkpoint | None]:
        name = partial_name(fetch)
        self._open.add(name)
        try:
            opened = await self._desk.workers.run(self._open_partial, fetch, key, size, frozenset(self._open))
        except BaseException:
            self._open.discard(name)
            raise
        start = opened.checkpoint.offset if opened.checkpoint else 0
        stream = Stream(
            self._desk,
            self._desk.vault.partial(name),
            opened.descriptor,
            committed,
            key,
            opened.running,
            opened.tail if size > self._desk.quick else None,
            start,
            self._desk.vault.final(fetch.digest),
            lambda: self._open.discard(name),
            opened.checkpoint is not None and is_unchecked(opened.checkpoint),
        )
        return stream, opened.checkpoint

    def _open_partial(self, fetch: Fetch, key: Key, size: int, writing: frozenset[str]) -> Opened:
        with refusing("partial file"):
            opened = open_partial(self._desk.vault, fetch, writing, self._desk.quick)
        start = opened.checkpoint.offset if opened.checkpoint else 0
        try:
            self._desk.space.hold(key, max(0, size - start))
        except NoSpace:
            with suppress(OSError):  # the sweep takes away what stays
                self._desk.vault.files.close(opened.descriptor)
                if opened.checkpoint is None:
                    self._desk.vault.files.unlink(self._desk.vault.partial(partial_name(fetch)))
            raise
        return opened

    def follow(self, partial: Growing, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) of a partial that are written already, also while and after it gets its final name."""
        if not isinstance(partial, Stream | Small):
            raise Unknown("partial")
        return self._blocks(partial.paths, start, end)

    async def leftovers(self, live: frozenset[str]) -> Sequence[tuple[str, int]]:
        """Names and sizes of the partial files that `sweep` would remove now."""
        return await self._desk.workers.run(self._leftovers, live)

    def _leftovers(self, live: frozenset[str]) -> list[tuple[str, int]]:
        vault, found = self._desk.vault, []
        with refusing("partial files"):
            for name in self._old(live, self._lying()):
                with suppress(FileNotFoundError):
                    found.append((name, vault.files.facts(vault.partial(name)).size))
        return found

    async def lying(self) -> frozenset[str]:
        """The names of the partial files that are there now and that no lease writes."""
        return await self._desk.workers.run(self._lying)

    def _lying(self) -> frozenset[str]:
        with refusing("partial files"):
            names = self._desk.vault.files.names(f"{self._desk.vault.root}/partial")
        # Looked up afterwards: who creates a file says so before.
        return frozenset(name for name in names if name not in self._open)

    async def sweep(self, lying: frozenset[str], live: frozenset[str]) -> int:
        """Remove those of the partial files `lying` there that no fetch in `live` refers to, and that no lease has
        taken up since; how many.

        Of a fetch that is live the file of the newest epoch stays: the lease that comes next continues it.
        """
        return await self._desk.workers.run(self._sweep, lying, live)

    def _sweep(self, lying: frozenset[str], live: frozenset[str]) -> int:
        with refusing("partial files"):
            old = self._old(live, lying & self._lying())
            for name in old:
                self._desk.vault.files.unlink(self._desk.vault.partial(name))
        return len(old)

    def _old(self, live: frozenset[str], names: frozenset[str]) -> list[str]:
        keys = {name.rpartition(".")[0] for name in live}
        newest: dict[str, int] = {}
        for name in names:
            key, epoch = _split(name)
            if key in keys:
                newest[key] = max(epoch, newest.get(key, 0))
        return [name for name in names if newest.get(_split(name)[0]) != _split(name)[1]]

    async def collect(
        self, now: Instant, grace_seconds: float, most: int, keep_seconds: float = 0.0
    ) -> Sequence[Digest]:
        """Remove up to `most` blobs that nothing refers to and nobody touched during the grace; those removed. A
        receipt ends its grant's reference after `keep_seconds`."""
        older_than = now.timestamp() - grace_seconds
        removed: list[Digest] = []
        for _ in range(256):
            first, self._collecting = self._collecting, (self._collecting + 1) % 256
            candidates = await self._desk.workers.run(self._candidates, first, older_than)
            for digest in candidates[: most - len(removed)]:
                if await self._engine.write(self._removal(digest, now, keep_seconds, older_than)):
                    removed.append(digest)
            if len(removed) >= most:
                break
        return removed

    def _candidates(self, first: int, older_than: float) -> list[Digest]:
        with refusing("blobs"):
            return self._desk.vault.candidates(first, older_than)

    def _removal(self, digest: Digest, now: Instant, keep: float, older_than: float) -> Callable[[Connection], bool]:
        def remove(connection: Connection) -> bool:
            with refusing("blob"):
                return remove_unreferenced(
                    connection, digest, now, keep, lambda: self._desk.vault.remove(digest, older_than)
                )

        return remove


def _split(name: str) -> tuple[str, int]:
    key, _, epoch = name.rpartition(".")
    return key, int(epoch) if epoch.isdigit() else 0
