"""Resources of our own users on their way in, resumable (draft-ietf-httpbis-resumable-upload)."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from attrs import define, evolve, field

from rrsd.core.refusals import Conflict, Refusal, TooLarge, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import CHUNK, Blob, Upload
from rrsd.drivers.store.blobs.files import refusing
from rrsd.drivers.store.blobs.shield import shielded
from rrsd.drivers.store.blobs.small import Writer
from rrsd.drivers.store.blobs.vault import BLOCK, Vault
from rrsd.drivers.store.sql import uploads as rows
from rrsd.drivers.store.sql.engine import Engine
from rrsd.drivers.store.sql.references import chunks_of, save_chunks

MOST_KNOWN = 1024  # uploads whose hash is kept in memory; any other is hashed again when it goes on


@define(eq=False)
class Running:
    """The hashes of an upload up to `offset`: of all of it, and of its chunks when it has more than one."""

    path: str
    size: int
    offset: int = 0
    whole: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)
    chunks: list[Digest] = field(factory=list, init=False)
    _chunk: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)
    _hashed: int = field(default=0, init=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self.whole.update(data)
        if self.size <= CHUNK:
            return
        rest = memoryview(data)
        while rest:
            piece = rest[: CHUNK - self._hashed % CHUNK]
            self._chunk.update(piece)
            self._hashed += len(piece)
            rest = rest[len(piece) :]
            if self._hashed % CHUNK == 0 or self._hashed == self.size:
                self.chunks.append(Digest(self._chunk.digest()))
                self._chunk = hashlib.sha256()


def _path(vault: Vault, upload: Upload) -> str:
    return vault.upload(_name(upload.upload_id))


def _name(upload_id: str) -> str:
    return digest_of(upload_id.encode()).b64


def _is_whole(upload: Upload, data: bytes) -> bool:
    """Whether the one part is everything, and small enough for one chunk."""
    return len(data) == upload.size <= CHUNK


@define(eq=False)
class Uploads:
    """Uploads in files and rows; satisfies the port of the same name of the Resource Server.

    A row's `offset` is committed after the bytes before it are synced. The last bytes, the final name and the row come
    in this order; the upload's own file goes last, so that a crash before the commit costs nothing.
    """

    _engine: Engine
    _writer: Writer
    _now: Callable[[], Instant]
    _known: dict[str, Running] = field(factory=dict, init=False)
    _busy: set[str] = field(factory=set, init=False)

    async def start(self) -> None:
        """Keep the room of the uploads that are still to come, and the files of no others."""
        self._writer.space.remember(await self._engine.read(rows.bytes_to_come))
        growing = await self._engine.read(rows.growing)
        await self._writer.workers.run(self._keep_only, {_name(each) for each in growing})

    def _keep_only(self, names: set[str]) -> None:
        """Nobody writes yet: a file that no row speaks of was left between a commit and what comes after it."""
        with refusing("uploads"):
            for name in self._writer.vault.files.names(f"{self._writer.vault.root}/uploads"):
                if name not in names:
                    self._unlink(self._writer.vault.upload(name))

    async def begin(self, upload: Upload) -> None:
        """Remember an upload of which nothing has come; refuses with NoSpace."""
        space = self._writer.space
        if not space.try_promise(upload.size):
            await self._writer.workers.run(space.promise, upload.size)
        try:
            await self._engine.write(lambda connection: rows.add(connection, upload))
        except Refusal:
            space.release(upload.size)
            raise

    async def find(self, upload_id: str, owner: Address) -> Upload:
        """The upload; refuses with Unknown, also when it is another owner's."""
        upload = await self._engine.read(lambda connection: rows.find(connection, upload_id))
        if upload.owner != owner:
            raise Unknown("upload")
        return upload

    async def append(self, upload: Upload, data: bytes) -> Upload:
        """Put `data` at `upload.offset`.

        Raises:
            Conflict: the offset has moved on, or another part is on its way.
            TooLarge: it would be longer than announced.
            NoSpace: the disk is full or fails.
            Unknown: the upload is no more.
        """
        if upload.offset + len(data) > upload.size:
            raise TooLarge("upload is longer than announced")
        if upload.upload_id in self._busy:
            raise Conflict("another part of the upload is on its way")
        self._busy.add(upload.upload_id)
        return await shielded(self._append(upload, data))

    async def _append(self, upload: Upload, data: bytes) -> Upload:
        try:
            running = self._known.pop(upload.upload_id, None) or await self._continue(upload)
            if running.offset != upload.offset:
                self._remember(upload, running)
                raise Conflict(f"the upload is at {running.offset}")
            grown = await self._writer.workers.run(self._put, running, upload, data)
            await self._engine.write(lambda connection: self._commit(connection, upload, grown, running.chunks))
        finally:
            self._busy.discard(upload.upload_id)
        self._writer.space.release(len(data))
        if _is_whole(upload, data):
            return grown  # which never had a file of its own
        if grown.digest is not None:
            await self._writer.workers.run(self._unlink, running.path)
        else:
            running.offset = grown.offset
            self._remember(upload, running)
        return grown

    def _remember(self, upload: Upload, running: Running) -> None:
        self._known[upload.upload_id] = running
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]  # the one that has waited longest

    @staticmethod
    def _commit(connection: rows.Connection, before: Upload, grown: Upload, chunks: Sequence[Digest]) -> None:
        rows.grow(connection, before, grown)
        if grown.digest is not None and chunks:
            save_chunks(connection, grown.digest, chunks)

    async def _continue(self, upload: Upload) -> Running:
        """The state of an upload that is not in memory; one without a byte needs no look at the disk."""
        saved = await self._engine.read(lambda connection: rows.find(connection, upload.upload_id))
        if saved.digest is not None:
            raise Conflict("the upload is complete")
        running = Running(_path(self._writer.vault, upload), upload.size)
        if saved.offset:
            await self._writer.workers.run(self._rehash, running, saved.offset)
        return running

    def _rehash(self, running: Running, end: int) -> None:
        with refusing("upload"):
            if self._writer.vault.is_shared(running.path):
                self._writer.vault.part(running.path, end)
            descriptor = self._writer.vault.files.open(running.path)
            try:
                while running.offset < end:
                    data = self._writer.vault.files.read(descriptor, min(BLOCK, end - running.offset), running.offset)
                    if not data:
                        raise Unknown("upload lost its bytes")
                    running.update(data)
                    running.offset += len(data)
            finally:
                self._writer.vault.files.close(descriptor)

    def _put(self, running: Running, upload: Upload, data: bytes) -> Upload:
        """Write, sync and, with the last byte, name."""
        grown = evolve(upload, offset=upload.offset + len(data))
        if _is_whole(upload, data):
            return evolve(grown, digest=self._writer.store((data,), None, upload.size).digest)
        running.update(data)
        with refusing("upload"):
            begins = upload.offset == 0 and grown.offset < grown.size
            with self._writer.vault.durable_upload() if begins else nullcontext():
                self._write(running.path, upload.offset, data)
            if grown.offset < grown.size:
                return grown
            digest = Digest(running.whole.digest())
            self._writer.vault.keep(running.path, digest, grown.size)
            return evolve(grown, digest=digest)

    def _write(self, path: str, offset: int, data: bytes) -> None:
        files = self._writer.vault.files
        descriptor = files.open(path) if offset else self._writer.vault.fresh(path)
        try:
            files.write(descriptor, (data,), offset)
            files.sync(descriptor)
        finally:
            files.close(descriptor)

    def _unlink(self, path: str) -> None:
        try:
            self._writer.vault.files.unlink(path)
        except OSError:
            return  # sweep takes it away

    async def cancel(self, upload: Upload) -> None:
        """Forget it and its bytes; refuses with Conflict while a part of it is on its way."""
        if upload.upload_id in self._busy:
            raise Conflict("a part of the upload is on its way")
        self._known.pop(upload.upload_id, None)
        left = await self._engine.write(lambda connection: rows.remove(connection, upload.upload_id))
        self._writer.space.release(left)
        await self._writer.workers.run(self._unlink, _path(self._writer.vault, upload))

    async def owned(self, owner: Address, digests: Sequence[Digest]) -> Sequence[Blob]:
        """Those of the resources that the owner uploaded in full or granted, and whose bytes are here."""
        now = self._now()
        known = await self._engine.read(lambda connection: rows.owned(connection, owner, digests, now))
        sizes = await self._writer.workers.run(self._sizes, known)
        large = [digest for digest, size in sizes.items() if size > CHUNK]
        chunks = {}
        if large:
            chunks = await self._engine.read(lambda found: {digest: chunks_of(found, digest) for digest in large})
        return [Blob(digest, size, chunks.get(digest, (digest,))) for digest, size in sizes.items()]

    def _sizes(self, digests: Sequence[Digest]) -> dict[Digest, int]:
        found = {}
        for digest in digests:
            try:
                found[digest] = self._writer.vault.files.facts(self._writer.vault.final(digest)).size
            except FileNotFoundError:
                continue
        return found

    async def sweep(self, now: Instant) -> int:
        """Cancel those that have expired; how many."""
        expired = await self._engine.read(lambda connection: rows.expired(connection, now))
        ended = [upload for upload in expired if upload.upload_id not in self._busy]
        for upload in ended:
            await self.cancel(upload)
        return len(ended)
