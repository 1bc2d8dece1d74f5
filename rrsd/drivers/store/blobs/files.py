"""The file-system calls of the store, each one a method, so that a test can end the world before any of them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from attrs import frozen

from rrsd.core.refusals import NoSpace, Unknown

_MOST_BLOCKS = 512  # below IOV_MAX, 1024 on Linux


_DESCRIPTORS = "/proc/self/fd/"
_ANY = 0  # a folder's descriptor, not looked at for an absolute path; without one Python calls link(2), not linkat(2)


@frozen
class Facts:
    """Size in bytes, seconds from the epoch to the last write or touch, and how many names the file has."""

    size: int
    touched: float
    names: int


class Files(Protocol):
    """Files and folders by path and descriptor; every method may raise OSError."""

    def create(self, path: str) -> int:
        """A descriptor of the new file under `path`; FileExistsError when there is one."""
        ...

    def create_nameless(self, folder: str) -> int:
        """A descriptor of a new file without a name on the disk of the folder; OSError where that cannot be."""
        ...

    def path_of(self, descriptor: int) -> str:
        """What `link` can give a nameless file its name by, while the descriptor is open."""
        ...

    def open(self, path: str) -> int:
        """A descriptor of the file under `path`, for reading and writing."""
        ...

    def close(self, descriptor: int) -> None:
        """End the descriptor."""
        ...

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """Put all blocks, one after the other, at `offset`."""
        ...

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes at `offset`, fewer only at the end."""
        ...

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def sync(self, descriptor: int) -> None:
        """Make what was written durable."""
        ...

    def link(self, path: str, name: str) -> None:
        """Give the file a second name; FileExistsError when there is one, never replacing it."""
        ...

    def rename(self, path: str, name: str) -> None:
        """Give the file another name."""
        ...

    def unlink(self, path: str) -> None:
        """Take the name away."""
        ...

    def sync_folder(self, path: str) -> None:
        """Make the names in the folder durable."""
        ...

    def make_folder(self, path: str) -> None:
        """Make the folder, mode 0700, unless it is there."""
        ...

    def names(self, path: str) -> list[str]:
        """The names in the folder."""
        ...

    def facts(self, path: str) -> Facts:
        """What is known of the file."""
        ...

    def touch(self, path: str) -> None:
        """Make the file as old as now."""
        ...

    def free(self, path: str) -> int:
        """Bytes that may still be written to the disk of the folder."""
        ...

    def total(self, path: str) -> int:
        """Bytes that the disk of the folder could hold if it were empty."""
        ...


class DiskFiles:
    """The files of the operating system."""

    def create(self, path: str) -> int:
        """As `Files.create`; nobody but the daemon's user may read it."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def create_nameless(self, folder: str) -> int:
        """As `Files.create_nameless` (open(2), O_TMPFILE): half the journal writes of a file that changes its name."""
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def path_of(self, descriptor: int) -> str:
        """As `Files.path_of` (open(2), example of O_TMPFILE)."""
        return f"{_DESCRIPTORS}{descriptor}"

    def open(self, path: str) -> int:
        """As `Files.open`; a symbolic link is not followed."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self, descriptor: int) -> None:
        """As `Files.close`."""
        os.close(descriptor)

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """As `Files.write`."""
        if len(blocks) > _MOST_BLOCKS:
            blocks = [b"".join(blocks)]
        written = os.pwritev(descriptor, blocks, offset)
        if written == sum(map(len, blocks)):
            return
        rest = memoryview(b"".join(blocks))[written:]
        while rest:
            offset += written
            written = os.pwrite(descriptor, rest, offset)
            rest = rest[written:]

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """As `Files.read`."""
        data = os.pread(descriptor, size, offset)
        while len(data) < size:
            more = os.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def truncate(self, descriptor: int, size: int) -> None:
        """As `Files.truncate`."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """As `Files.sync`; the length is covered, times are not."""
        os.fdatasync(descriptor)

    def link(self, path: str, name: str) -> None:
        """As `Files.link`."""
        if path.startswith(_DESCRIPTORS):
            os.link(path, name, src_dir_fd=_ANY, follow_symlinks=True)
        else:
            os.link(path, name)

    def rename(self, path: str, name: str) -> None:
        """As `Files.rename`."""
        os.rename(path, name)

    def unlink(self, path: str) -> None:
        """As `Files.unlink`."""
        os.unlink(path)

    def sync_folder(self, path: str) -> None:
        """As `Files.sync_folder`."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, path: str) -> None:
        """As `Files.make_folder`."""
        os.makedirs(path, 0o700, exist_ok=True)

    def names(self, path: str) -> list[str]:
        """As `Files.names`."""
        return os.listdir(path)

    def facts(self, path: str) -> Facts:
        """As `Files.facts`."""
        found = os.stat(path, follow_symlinks=False)
        return Facts(found.st_size, found.st_mtime, found.st_nlink)

    def touch(self, path: str) -> None:
        """As `Files.touch`."""
        os.utime(path, follow_symlinks=False)

    def free(self, path: str) -> int:
        """As `Files.free`."""
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize

    def total(self, path: str) -> int:
        """As `Files.total`."""
        disk = os.statvfs(path)
        return disk.f_blocks * disk.f_frsize


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turns what the operating system says into refusals.

    Raises:
        Unknown: there is no such file.
        NoSpace: anything else: a full or failing disk, no descriptors, no rights.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Unknown(what) from error
    except OSError as error:
        raise NoSpace(f"{what}: {error.strerror or type(error).__name__}") from error
