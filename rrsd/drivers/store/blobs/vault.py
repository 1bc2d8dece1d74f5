"""Final names: a file appears under its digest complete, verified and durable, or not at all.

The order of calls is the promise:

1. `partial/<name>` or `uploads/<name>` is written and, every 8 MiB or 2 s, synced; only then is a checkpoint committed.
2. Length and digest are compared with what they must be. Nothing gets a name before.
3. The file is synced.
4. It is linked to `blobs/<aa>/<digest>`; a link never replaces.
5. The folder is synced. Many who wait for that share one round.
6. Whoever asked hears of it, and commits STORED or the grant.
7. The first name is taken away.

A crash before 4 leaves bytes without a final name, one after 4 leaves bytes that are complete: whoever comes again
finds the name taken, verifies what is there, and keeps it. A file that is not what its name says is put aside under
`quarantine/` and is never deleted.
"""

import hashlib
from errno import EIO
from threading import Condition, Lock

from attrs import define, field

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.drivers.store.blobs.files import Files

WHOLE = "whole."  # starts the names of small bodies; no upload's name has a full stop
BLOCK = 1024 * 1024  # bytes per read when a whole file is hashed


def hash_file(files: Files, descriptor: int, end: int, running: "hashlib._Hash", start: int = 0) -> int:
    """Feed the bytes [start, end) into `running`; how many there were."""
    offset = start
    while offset < end:
        data = files.read(descriptor, min(BLOCK, end - offset), offset)
        if not data:
            break
        running.update(data)
        offset += len(data)
    return offset - start


@define(eq=False)
class _Round:
    """The folders that one leader syncs, and those who wait for it."""

    folders: set[str] = field(factory=set)
    over: bool = False
    error: OSError | None = None


@define(eq=False)
class FolderSync:
    """Makes names durable. Threads that come while a round runs share the next one, led by one of them."""

    _files: Files
    _changed: Condition = field(factory=Condition, init=False)
    _next: _Round = field(factory=_Round, init=False)
    _leading: bool = field(default=False, init=False)

    def sync(self, folder: str) -> None:
        """Return once every name made in `folder` before this call is durable."""
        with self._changed:
            mine = self._next
            mine.folders.add(folder)
            while self._leading and not mine.over:
                self._changed.wait()
            if not mine.over:
                self._leading, self._next = True, _Round()
        if not mine.over:
            self._lead(mine)
        if mine.error is not None:
            raise OSError(mine.error.errno, mine.error.strerror)

    def _lead(self, mine: _Round) -> None:
        mine.error = OSError(EIO, "folder sync was interrupted")
        try:
            for folder in mine.folders:
                self._files.sync_folder(folder)
            mine.error = None
        except OSError as error:
            mine.error = error
        finally:
            with self._changed:
                mine.over, self._leading = True, False
                self._changed.notify_all()


@define(eq=False)
class Vault:
    """The folders of the store. Every method blocks and belongs off the reactor thread."""

    files: Files
    root: str
    _folders: FolderSync = field(init=False)
    _naming: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._folders = FolderSync(self.files)

    def prepare(self) -> None:
        """Make the folders, durably."""
        for name in ("", "/blobs", "/partial", "/uploads", "/quarantine"):
            self.files.make_folder(f"{self.root}{name}")
        if len(self.files.names(f"{self.root}/blobs")) < 256:
            for first in range(256):
                self.files.make_folder(f"{self.root}/blobs/{first:02x}")
            self.files.sync_folder(f"{self.root}/blobs")
        self.files.sync_folder(self.root)
        for name in self.files.names(f"{self.root}/uploads"):
            if name.startswith(WHOLE):  # nobody is writing yet, so a crash left it
                self.files.unlink(self.upload(name))

    def whole(self, number: int) -> str:
        """Where a small body is for the moment between its bytes and its final name."""
        return self.upload(f"{WHOLE}{number}")

    def partial(self, name: str) -> str:
        """Where a transfer's bytes grow."""
        return f"{self.root}/partial/{name}"

    def upload(self, name: str) -> str:
        """Where an upload's bytes grow."""
        return f"{self.root}/uploads/{name}"

    def folder(self, digest: Digest) -> str:
        """The folder of a final name."""
        return f"{self.root}/blobs/{digest.raw[0]:02x}"

    def final(self, digest: Digest) -> str:
        """The final name."""
        return f"{self.folder(digest)}/{digest.b64}"

    def fresh(self, path: str) -> int:
        """A descriptor of a new file; one that a crash left is unlinked, never cut: it may have a final name too."""
        try:
            return self.files.create(path)
        except FileExistsError:
            self.files.unlink(path)
            return self.files.create(path)

    def part(self, path: str, size: int) -> None:
        """Put the first `size` bytes into a file of their own under the same name."""
        copy = f"{path}.own"
        source, target = self.files.open(path), self.fresh(copy)
        try:
            for offset in range(0, size, BLOCK):
                self.files.write(target, (self.files.read(source, min(BLOCK, size - offset), offset),), offset)
            self.files.sync(target)
        finally:
            self.files.close(source)
            self.files.close(target)
        self.files.rename(copy, path)

    def sync_uploads(self) -> None:
        """Make the names of uploads durable."""
        self._folders.sync(f"{self.root}/uploads")

    def sync_partials(self) -> None:
        """Make the names of partial files durable."""
        self._folders.sync(f"{self.root}/partial")

    def is_shared(self, path: str) -> bool:
        """Whether the file has another name, so that nobody may write to it."""
        return self.files.facts(path).names > 1

    def is_stored(self, digest: Digest) -> bool:
        """Whether there is a final name."""
        try:
            self.files.facts(self.final(digest))
        except FileNotFoundError:
            return False
        return True

    def keep(self, path: str, digest: Digest, size: int) -> None:
        """Give the synced file under `path`, which has that digest and size, its final name, durably."""
        final = self.final(digest)
        while not self._named(path, final, digest, size):
            pass
        self._folders.sync(self.folder(digest))

    def _named(self, path: str, final: str, digest: Digest, size: int) -> bool:
        with self._naming:
            try:
                self.files.link(path, final)
                return True
            except FileExistsError:
                pass
        holds = self._holds(final, digest, size)  # may take long, so it runs outside the lock
        with self._naming:
            try:
                if holds:
                    self.files.touch(final)
                else:
                    self._put_aside(final, digest)
                    self.files.link(path, final)
            except (FileNotFoundError, FileExistsError):
                return False  # collected, or put aside by another, in between
        return True

    def _holds(self, path: str, digest: Digest, size: int) -> bool:
        running = hashlib.sha256()
        try:
            descriptor = self.files.open(path)
        except FileNotFoundError:
            return True  # gone again: touching it fails and the link is tried once more
        try:
            length = hash_file(self.files, descriptor, size + 1, running)
        finally:
            self.files.close(descriptor)
        return length == size and running.digest() == digest.raw

    def _put_aside(self, final: str, digest: Digest) -> None:
        taken = set(self.files.names(f"{self.root}/quarantine"))
        number = 1
        while f"{digest.b64}.{number}" in taken:
            number += 1
        self.files.rename(final, f"{self.root}/quarantine/{digest.b64}.{number}")
        self._folders.sync(f"{self.root}/quarantine")

    def candidates(self, first: int, older_than: float) -> list[Digest]:
        """The blobs of one of the 256 folders that are older than that; a name that is no digest is nobody's."""
        found = []
        folder = f"{self.root}/blobs/{first:02x}"
        for name in self.files.names(folder):
            try:
                digest = parse_digest(name)
            except Malformed:
                continue
            if self._is_older(f"{folder}/{name}", older_than):
                found.append(digest)
        return found

    def remove(self, digest: Digest, older_than: float) -> bool:
        """Take a final name away unless it was used again since `older_than`; only the collection does this."""
        final = self.final(digest)
        with self._naming:
            if not self._is_older(final, older_than):
                return False
            self.files.unlink(final)
            return True

    def _is_older(self, path: str, than: float) -> bool:
        try:
            return self.files.facts(path).touched < than
        except FileNotFoundError:
            return False
