"""What lies under final names, looked at and compared; what is not what its name says is put aside, never deleted."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from rrsd.core.refusals import Unknown
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.vault import BLOCK, Vault
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.references import is_referenced
from rrsd.runtime.workers import Workers

FOLDERS = 256
MOST_PULLS = 1000
_PULLS = "SELECT DISTINCT job FROM parts WHERE digest = ? AND job > ? ORDER BY job LIMIT ?"


@frozen
class Shelves:
    """Satisfies the port of that name of the Resource Retrieval Agent."""

    _engine: Engine
    _vault: Vault
    _workers: Workers

    async def names(self, folder: int) -> Sequence[Digest]:
        """What is stored in one of the 256 folders; refuses with NoSpace when the disk fails."""
        return await self._workers.run(self._names, folder, float("inf"))

    def _names(self, folder: int, older_than: float) -> list[Digest]:
        with refusing("blobs"):
            return self._vault.candidates(folder, older_than)

    async def verify(self, digest: Digest, pace: Callable[[int], Awaitable[None]]) -> bool:
        """Whether the bytes are those of the digest; `pace` is awaited with the number of bytes after each block.

        Raises:
            Unknown: they are gone.
            NoSpace: the disk fails.
        """
        running, offset = hashlib.sha256(), 0
        while data := await self._workers.run(self._feed, digest, offset, running):
            offset += data
            await pace(data)
        return running.digest() == digest.raw

    def _feed(self, digest: Digest, offset: int, running: "hashlib._Hash") -> int:
        files = self._vault.files
        with refusing(f"blob {digest}"):
            descriptor = files.open(self._vault.final(digest))
            try:
                data = files.read(descriptor, BLOCK, offset)
            finally:
                files.close(descriptor)
        running.update(data)
        return len(data)

    async def set_aside(self, digest: Digest) -> bool:
        """Put it into quarantine; False when it is gone."""
        return await self._workers.run(self._set_aside, digest)

    def _set_aside(self, digest: Digest) -> bool:
        with refusing("quarantine"):
            return self._vault.set_aside(digest)

    async def pulls_of(self, digest: Digest, after: int) -> Sequence[int]:
        """The next thousand pulls that messages show for it, by number."""

        def find(connection: Connection) -> list[int]:
            return [number for (number,) in connection.execute(_PULLS, (digest.raw, after, MOST_PULLS))]

        return await self._engine.read(find)

    async def unreferenced(self, folder: int, now: Instant, grace: float, keep: float) -> Sequence[tuple[Digest, int]]:
        """What the collection would remove from the folder now, with the sizes; `grace` and `keep` in seconds."""
        candidates = await self._workers.run(self._names, folder, now.timestamp() - grace)

        def find(connection: Connection) -> list[Digest]:
            return [each for each in candidates if not is_referenced(connection, each, now, keep)]

        return await self._workers.run(self._sized, await self._engine.read(find))

    def _sized(self, digests: Sequence[Digest]) -> list[tuple[Digest, int]]:
        sized = []
        for digest in digests:
            try:
                with refusing("blob"):
                    sized.append((digest, self._vault.files.facts(self._vault.final(digest)).size))
            except Unknown:
                continue
        return sized
