"""Bytes on their way out, read one block ahead off the reactor."""

from collections.abc import AsyncIterator, Callable, Sequence

from rrsd.core.refusals import Damaged
from rrsd.drivers.store.blobs.files import Files, refusing
from rrsd.runtime.workers import Workers

BLOCK = 512 * 1024  # bytes per call: few calls for a stream, short ones for the reactor


async def blocks(workers: Workers, read: Callable[[int, int], bytes], start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes [start, end) in blocks. An empty span is read as well, so that what is missing is refused."""
    ahead = workers.run(read, start, min(end, start + BLOCK))
    while True:
        block = await ahead
        start += len(block)
        if start < end:
            ahead = workers.run(read, start, min(end, start + BLOCK))
        if block:
            yield block
        if start >= end:
            return


def read_span(files: Files, paths: Sequence[str], start: int, end: int) -> bytes:
    """The bytes [start, end) of the first of the paths that there is.

    Raises:
        Unknown: there is none.
        Damaged: the file ends before `end`.
        NoSpace: the disk fails.
    """
    with refusing("blob"):
        descriptor = _open(files, paths)
        try:
            data = files.read(descriptor, end - start, start)
        finally:
            files.close(descriptor)
    if len(data) != end - start:
        raise Damaged(f"a blob ends at {start + len(data)}, before {end}")
    return data


def _open(files: Files, paths: Sequence[str]) -> int:
    for path in paths[:-1]:
        try:
            return files.open(path)
        except FileNotFoundError:
            continue
    return files.open(paths[-1])
