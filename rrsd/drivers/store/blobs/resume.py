"""The file of an earlier lease, continued under the name of the next one. Everything here blocks."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from attrs import frozen

from rrsd.core.values.digests import Digest
from rrsd.core.values.jobs import Fetch, partial_name
from rrsd.core.values.resources import Checkpoint
from rrsd.drivers.store.blobs.chunking import QUICK, Tail, tail_of
from rrsd.drivers.store.blobs.vault import Vault, hash_file


@frozen(eq=False)
class Opened:
    """A file to write at `checkpoint`, with the hash of what is before it, None where that takes long, and of the last
    chunk."""

    descriptor: int
    running: "hashlib._Hash | None"
    checkpoint: Checkpoint | None
    tail: Tail


def open_partial(vault: Vault, fetch: Fetch, writing: frozenset[str] = frozenset(), quick: int = QUICK) -> Opened:
    """The fetch's own file: the earlier one cut back to the newest checkpoint that still holds, or a new one.

    What is under a name in `writing` has a lease of its own yet.
    """
    path = vault.partial(partial_name(fetch))
    if not (fetch.checkpoints and _adopt(vault, fetch, path)):
        _drop(vault, fetch, writing)
        return Opened(_create(vault, path), hashlib.sha256(), None, Tail())
    descriptor = vault.files.open(path)
    with closing_on_failure(vault, descriptor):
        opened = _held(vault, descriptor, fetch.checkpoints, quick)
        vault.files.truncate(descriptor, opened.checkpoint.offset if opened.checkpoint else 0)
    return opened


def _held(vault: Vault, descriptor: int, checkpoints: Sequence[Checkpoint], quick: int) -> Opened:
    """The newest checkpoint that holds: the whole before it where that is soon hashed, otherwise its last chunk, which
    is what may be torn; the rest is hashed while new bytes come."""
    if _is_quick(checkpoints, quick):
        running, newest = _check(vault, descriptor, checkpoints)
        tail = tail_of(vault, descriptor, newest.offset) if newest else None
        return Opened(descriptor, running, newest, tail or Tail())
    for checkpoint in reversed(checkpoints):
        tail = tail_of(vault, descriptor, checkpoint.offset)
        if tail is not None and (is_unchecked(checkpoint) or tail.digest() == checkpoint.tail):
            return Opened(descriptor, None, checkpoint, tail)
    return Opened(descriptor, hashlib.sha256(), None, Tail())


def is_unchecked(checkpoint: Checkpoint) -> bool:
    """Whether the bytes before it were known to be damaged, and are mended at the end."""
    return checkpoint.prefix is None and checkpoint.tail is None


def _is_quick(checkpoints: Sequence[Checkpoint], quick: int) -> bool:
    """Whether all is hashed before a transfer goes on; it must be where an earlier rrsd knew nothing of chunks."""
    newest = checkpoints[-1]
    return newest.prefix is not None and (newest.tail is None or newest.offset <= quick)


def _create(vault: Vault, path: str) -> int:
    with ExitStack() as stack, vault.durable_partial():
        descriptor = vault.fresh(path)
        stack.enter_context(closing_on_failure(vault, descriptor))
    return descriptor


@contextmanager
def closing_on_failure(vault: Vault, descriptor: int) -> Iterator[None]:
    """Nobody gets the descriptor when what is done with it fails, so nobody else would end it."""
    try:
        yield
    except OSError:
        with suppress(OSError):
            vault.files.close(descriptor)
        raise


def _adopt(vault: Vault, fetch: Fetch, path: str) -> bool:
    """Rename the file of the newest earlier epoch that has one; whether there is one."""
    key = partial_name(fetch).rpartition(".")[0]
    for epoch in range(fetch.epoch - 1, 0, -1):
        earlier = vault.partial(f"{key}.{epoch}")
        try:
            if vault.is_shared(earlier):  # it got a final name that did not become durable: these bytes belong to that
                vault.part(earlier, fetch.offset)
            vault.files.rename(earlier, path)
            return True
        except FileNotFoundError:
            continue
    return False


def _drop(vault: Vault, fetch: Fetch, writing: frozenset[str]) -> None:
    """Unlink what an attempt left that reached no checkpoint; every attempt does, so there is one file at most."""
    key = partial_name(fetch).rpartition(".")[0]
    for epoch in range(fetch.epoch - 1, 0, -1):
        if f"{key}.{epoch}" in writing:
            continue
        try:
            return vault.files.unlink(vault.partial(f"{key}.{epoch}"))
        except FileNotFoundError:
            continue


def _check(
    vault: Vault, descriptor: int, checkpoints: Sequence[Checkpoint]
) -> tuple["hashlib._Hash", Checkpoint | None]:
    running, newest = hashlib.sha256(), None
    offset = 0
    for checkpoint in checkpoints:
        ahead = running.copy()
        length = hash_file(vault.files, descriptor, checkpoint.offset, ahead, offset)
        if length != checkpoint.offset - offset or Digest(ahead.digest()) != checkpoint.prefix:
            break
        running, newest, offset = ahead, checkpoint, checkpoint.offset
    return running, newest
