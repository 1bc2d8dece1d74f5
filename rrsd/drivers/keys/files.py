"""Files that hold private keys: who may read them, and how they are replaced without ever being half-written."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rrsd.core.refusals import Conflict, Damaged, Forbidden, Malformed, NoSpace
from rrsd.core.wire import strictjson

K = TypeVar("K")
PRIVATE = 0o600
PUBLIC = 0o644
MOST_BYTES = 1 << 20
"""Of a file of keys, which holds three or four."""


def render_keys(members: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of a file of keys."""
    return strictjson.render({"version": 1, "keys": list(members)}) + b"\n"


def parse_keys(data: bytes, parse: Callable[[Mapping[str, Any]], K], what: str) -> tuple[K, ...]:
    """The keys of a file, each as `parse` reads it.

    Raises:
        Damaged: the bytes are not what `render_keys` writes, or `parse` cannot read a member.
    """
    try:
        document = strictjson.parse_object(data, MOST_BYTES)
        return tuple(parse(member) for member in document["keys"])
    except Malformed as refusal:
        raise Damaged(refusal.detail) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Damaged(f"not a file of {what} keys") from None


def require_folder(folder: Path) -> None:
    """Returns None if `folder` is there and only its owner can change it.

    Raises:
        Damaged: it cannot be read, or is no folder.
        Forbidden: its group or the world may write to it.
    """
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise Damaged(f"{folder}: {error.strerror}; run: rrsctl init") from None
    if not stat.S_ISDIR(mode):
        raise Damaged(f"{folder}: not a folder")
    if mode & 0o022:
        raise Forbidden(f"{folder}: others may write to it; run: chmod 700 {folder}")


def read_private(path: Path) -> bytes | None:
    """The bytes of a file that only its owner may read, or None when there is no such file.

    Raises:
        Forbidden: its group or the world may read or write it.
        Damaged: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # The open file is asked, not the name: nobody can swap one for the other in between.
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise Forbidden(f"{path}: readable by others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from None


def read_public(path: Path) -> bytes:
    """The bytes of a file that anybody may read.

    Raises:
        Damaged: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from None


def write_new(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file that is not there yet.

    Raises:
        Conflict: it is there; a key is never overwritten.
    """
    if path.exists():
        raise Conflict(f"{path}: exists already; keys are never overwritten")
    replace(path, data, mode)


def replace(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Put `data` under `path` in one step, durable on return; after a crash it holds the old bytes or the new ones.

    Raises:
        NoSpace: the file system could not take it; the old bytes are untouched.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        # A left-over of a crash may have another mode: it goes first, and O_EXCL makes ours.
        temporary.unlink(missing_ok=True)
        _write_through(temporary, data, mode)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror}") from None


def remove(path: Path) -> None:
    """Let the file go, if there is one; gone for good on return.

    Raises:
        NoSpace: the file system refuses.
    """
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror}") from None


def _write_through(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Whoever changes the keys in `folder`, `rrsctl` or the daemon, does it alone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
