"""What refers to a blob: nothing is collected that any row names."""

from collections.abc import Callable, Iterable

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.drivers.store.sql.engine import Connection

_CHUNKS = "SELECT list FROM chunks WHERE digest = ?"
_ADD_CHUNKS = "INSERT OR REPLACE INTO chunks (digest, list) VALUES (?, ?)"
_DROP_CHUNKS = "DELETE FROM chunks WHERE digest = ?"
# A job is the job of a part, which names the same digest and is never removed before it.
_REFERENCED = """
SELECT EXISTS (
        SELECT 1 FROM grants
        WHERE digest = ?1 AND withdrawn = 0 AND not_after > ?2 AND (receipted IS NULL OR receipted > ?2 - ?3)
    )
    OR EXISTS (SELECT 1 FROM uploads WHERE digest = ?1 AND expires > ?2)
    OR EXISTS (SELECT 1 FROM parts WHERE digest = ?1)
    OR EXISTS (SELECT 1 FROM messages WHERE raw = ?1)
"""


def chunks_of(connection: Connection, digest: Digest) -> tuple[Digest, ...]:
    """The digests of a blob's chunks, () when they are not known."""
    row = connection.execute(_CHUNKS, (digest.raw,)).fetchone()
    if row is None:
        return ()
    return tuple(Digest(row[0][start : start + 32]) for start in range(0, len(row[0]), 32))


def save_chunks(connection: Connection, digest: Digest, chunks: Iterable[Digest]) -> None:
    """Remember them."""
    connection.execute(_ADD_CHUNKS, (digest.raw, b"".join(chunk.raw for chunk in chunks)))


def is_referenced(connection: Connection, digest: Digest, now: Instant, keep: float) -> bool:
    """Whether a row refers to the digest; a receipt that is younger than `keep` seconds ends no reference."""
    return bool(connection.execute(_REFERENCED, (digest.raw, now.timestamp(), keep)).fetchone()[0])


def remove_unreferenced(
    connection: Connection, digest: Digest, now: Instant, keep: float, remove: Callable[[], bool]
) -> bool:
    """Call `remove` unless a row refers to the digest; what it returns, False when it was not called. A receipt that is
    younger than `keep` seconds does not end its grant's reference."""
    if is_referenced(connection, digest, now, keep) or not remove():
        return False
    connection.execute(_DROP_CHUNKS, (digest.raw,))
    return True
