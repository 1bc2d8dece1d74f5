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

A name that can be seen need not be durable: whoever made it may have been killed before 5. So a folder is synced once
in the life of a process before a name in it counts, and a name of this process counts when its 5 is over. Where 5
failed the name is given anew: a second fsync would say that all is well, and sync nothing.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from errno import EACCES, EINVAL, EIO, EPERM, EROFS
from itertools import count
from posixpath import abspath, dirname
from threading import Condition, Lock

from attrs import define, field

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.drivers.store.blobs.files import Files, refusing

WHOLE = "whole."  # starts the names of small bodies; no upload's name has a full stop
BLOCK = 1024 * 1024  # bytes per read when a whole file is hashed
_NOT_OURS = (EACCES, EPERM, EROFS, EINVAL)


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
    _failures: int = field(default=0, init=False)
    _changed: Condition = field(factory=Condition, init=False)
    _next: _Round = field(factory=_Round, init=False)
    _leading: bool = field(default=False, init=False)

    @contextmanager
    def durably(self, folder: str) -> Iterator[None]:
        """Make durable the names that are made inside; a sync that failed meanwhile may have been the one for them, and
        the next one does not try again what that one lost (fsync(2), EIO)."""
        failures = self._failures
        yield
        self.sync(folder)
        if self._failures != failures:
            raise OSError(EIO, "the sync of a folder failed")

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
                self._failures += mine.error is not None
                mine.over, self._leading = True, False
                self._changed.notify_all()


@define(eq=False)
class Vault:
    """The folders of the store. Every method blocks and belongs off the reactor thread."""

    files: Files
    root: str
    _folders: FolderSync = field(init=False)
    _naming: Lock = field(factory=Lock, init=False)
    _again: "count[int]" = field(factory=count, init=False)
    _unsure: set[str] = field(factory=set, init=False)
    _looked: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._folders = FolderSync(self.files)

    def prepare(self) -> None:
        """Make the folders, durably; those that are there may have been made by a process that was killed here."""
        for name in ("", "/blobs", "/partial", "/uploads", "/quarantine"):
            self.files.make_folder(f"{self.root}{name}")
        if len(self.files.names(f"{self.root}/blobs")) < 256:
            for first in range(256):
                self.files.make_folder(f"{self.root}/blobs/{first:02x}")
        for folder in (f"{self.root}/blobs", f"{self.root}/uploads", f"{self.root}/partial", self.root):
            self.files.sync_folder(folder)
        self._sync_above()

    def _sync_above(self) -> None:
        """Make the store's own name durable, and those above it that may have been made with it."""
        folder = abspath(self.root)
        while folder != "/":
            folder = dirname(folder)
            try:
                self.files.sync_folder(folder)
            except OSError as error:
                if error.errno not in _NOT_OURS:
                    raise
                return  # whoever may not read it has not made a name in it

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
        with self._closing(self.files.open(path)) as source, self._closing(self.fresh(copy)) as target:
            for offset in range(0, size, BLOCK):
                self.files.write(target, (self.files.read(source, min(BLOCK, size - offset), offset),), offset)
            self.files.sync(target)
        self.files.rename(copy, path)

    @contextmanager
    def _closing(self, descriptor: int) -> Iterator[int]:
        try:
            yield descriptor
        finally:
            self.files.close(descriptor)

    def durable_upload(self) -> AbstractContextManager[None]:
        """Makes durable the names of uploads that are made inside."""
        return self._folders.durably(f"{self.root}/uploads")

    def durable_partial(self) -> AbstractContextManager[None]:
        """Makes durable the names of partial files that are made inside."""
        return self._folders.durably(f"{self.root}/partial")

    def is_shared(self, path: str) -> bool:
        """Whether the file has another name, so that nobody may write to it."""
        return self.files.facts(path).names > 1

    def is_stored(self, digest: Digest) -> bool:
        """Whether there is a final name, durably; refuses with NoSpace when the disk fails."""
        final, folder = self.final(digest), self.folder(digest)
        with refusing("folder of a blob"):
            try:
                self.files.facts(final)
            except FileNotFoundError:
                return False
            if folder not in self._looked:
                self._folders.sync(folder)
                self._looked.add(folder)
        return final not in self._unsure

    def keep(self, path: str, digest: Digest, size: int) -> None:
        """Give the synced file under `path`, which has that digest and size, its final name, durably."""
        final = self.final(digest)
        with self._folders.durably(self.folder(digest)):
            while not self._named(path, final, digest, size):
                pass
        self._unsure.discard(final)

    def _named(self, path: str, final: str, digest: Digest, size: int) -> bool:
        with self._naming:
            if final in self._unsure:
                return self._name_anew(path, final)
            with suppress(FileExistsError):
                self._link(path, final)
                return True
        holds = self._holds(final, digest, size)  # may take long, so it runs outside the lock
        with self._naming:
            try:
                if holds:
                    self.files.touch(final)
                else:
                    self._put_aside(final, digest)
                    self._link(path, final)
            except (FileNotFoundError, FileExistsError):
                return False  # collected, or put aside by another, in between
        return True

    def _link(self, path: str, final: str) -> None:
        self._unsure.add(final)
        try:
            self.files.link(path, final)
        except FileExistsError:
            self._unsure.discard(final)
            raise

    def _name_anew(self, path: str, final: str) -> bool:
        """The name that is there may never become durable: one that is made now does, with bytes that are synced."""
        again = self.upload(f"{WHOLE}again.{next(self._again)}")
        self.files.link(path, again)
        self.files.rename(again, final)
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

    def set_aside(self, digest: Digest) -> bool:
        """Put what is under a final name aside, whatever it holds; False when there is nothing. Nothing is deleted."""
        with self._naming:
            try:
                self._put_aside(self.final(digest), digest)
            except FileNotFoundError:
                return False
            self._unsure.discard(self.final(digest))
        return True

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
            self._unsure.discard(final)
            return True

    def _is_older(self, path: str, than: float) -> bool:
        try:
            return self.files.facts(path).touched < than
        except FileNotFoundError:
            return False
