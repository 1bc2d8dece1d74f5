"""Small bodies: kept in memory until they are complete, then written, synced and named in one call."""

import hashlib
from collections.abc import Sequence
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred, fail

from rrsd.core.refusals import Conflict, Damaged
from rrsd.core.values.digests import Digest
from rrsd.core.values.resources import CHUNK, Blob
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.nameless import NO_NAMELESS
from rrsd.drivers.store.blobs.space import Key, Space
from rrsd.drivers.store.blobs.vault import Vault
from rrsd.runtime.workers import Workers


@define(eq=False)
class Writer:
    """Writes whole files. `store` blocks and belongs off the reactor thread."""

    vault: Vault
    workers: Workers
    space: Space
    _numbers: "count[int]" = field(factory=count, init=False)

    def store(self, blocks: Sequence[bytes], digest: Digest | None, size: int, held: int = 0) -> Blob:
        """The durable blob of the blocks; `held` bytes are set apart for them.

        Raises:
            Damaged: they are not `size` bytes with that digest; nothing was written.
            NoSpace: the disk is full or fails.
        """
        running = hashlib.sha256()
        for block in blocks:
            running.update(block)
        found = Digest(running.digest())
        if sum(map(len, blocks)) != size or (digest is not None and found != digest):
            raise Damaged(f"not the {size} bytes of {digest}")
        self.space.check(size - held)
        with refusing("blob"):
            self._write(blocks, found, size)
        return Blob(found, size, (found,) if size <= CHUNK else ())

    def _write(self, blocks: Sequence[bytes], digest: Digest, size: int) -> None:
        files = self.vault.files
        path = ""
        try:
            descriptor = files.create_nameless(self.vault.folder(digest))
        except OSError as error:
            if error.errno not in NO_NAMELESS:
                raise
            path = self.vault.whole(next(self._numbers))
            descriptor = self.vault.fresh(path)
        try:
            files.write(descriptor, blocks, 0)
            files.sync(descriptor)
            self.vault.keep(path or files.path_of(descriptor), digest, size)
        finally:
            files.close(descriptor)
        if path:
            files.unlink(path)


@define(eq=False)
class Small:
    """A transfer of a known small size. Nothing of it is durable before `finish`: the next lease starts again."""

    _writer: Writer
    _key: Key
    _final: str
    offset: int = field(default=0, init=False)
    written: int = field(default=0, init=False)
    _blocks: list[bytes] = field(factory=list, init=False)
    _open: bool = field(default=True, init=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the bytes will be."""
        return (self._final,)

    def write(self, data: bytes) -> "Deferred[None] | None":
        """Take the next bytes; refuses with Conflict after the end."""
        if not self._open:
            return fail(Conflict("the transfer is over"))
        self.offset += len(data)
        self._blocks.append(data)
        return None

    async def finish(self, digest: Digest, size: int) -> Blob:
        """Compare, write, sync, name; refuses with Damaged or NoSpace."""
        if not self._open:
            raise Conflict("the transfer is over")
        self._open = False
        blocks, self._blocks = self._blocks, []
        blob = await self._writer.workers.run(self._writer.store, blocks, digest, size, size)
        self._writer.space.spend(self._key, size)
        self.written = size
        return blob

    async def chunks(self) -> tuple[Digest, ...]:
        """None: fetching so few again costs less than knowing which."""
        return ()

    async def hold(self) -> None:
        """Nothing of it is durable before the end."""

    def patch(self, start: int) -> "Small":
        """What is fetched again is fetched whole."""
        raise Conflict("a small transfer has no parts")

    async def close(self) -> None:
        """Forget the bytes: fetching so few again costs less than keeping them."""
        self._open = False
        self._blocks = []
        self._writer.space.let_go([self._key])

    async def discard(self) -> None:
        """Forget the bytes."""
        await self.close()
