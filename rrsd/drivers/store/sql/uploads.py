"""Rows of uploads."""

from collections.abc import Sequence

from rrsd.core.refusals import Conflict, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import Upload
from rrsd.drivers.store.sql.engine import Connection as Connection
from rrsd.drivers.store.sql.rows import Row, address_of, instant_of

_UPLOAD = "upload, owner, size, offset, expires, digest"
_ADD = f"INSERT OR IGNORE INTO uploads ({_UPLOAD}, owner_key) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FIND = f"SELECT {_UPLOAD} FROM uploads WHERE upload = ?"
_GROW = "UPDATE uploads SET offset = ?, digest = ? WHERE upload = ? AND offset = ? AND digest IS NULL"
_REMOVE = "DELETE FROM uploads WHERE upload = ? RETURNING size - offset"
_GROWING = "SELECT upload FROM uploads WHERE digest IS NULL AND offset > 0"
_TO_COME = "SELECT coalesce(sum(size - offset), 0) FROM uploads WHERE digest IS NULL"
_EXPIRED = f"SELECT {_UPLOAD} FROM uploads WHERE expires <= ? ORDER BY expires LIMIT 1000"
_OWNED = """
SELECT EXISTS (SELECT 1 FROM uploads WHERE digest = ?1 AND owner_key = ?2 AND expires > ?3)
    OR EXISTS (SELECT 1 FROM grants WHERE digest = ?1 AND sender_key = ?2)
"""


def _upload(row: Row) -> Upload:
    digest = None if row[5] is None else Digest(row[5])
    return Upload(row[0], address_of(row[1]), row[2], row[3], instant_of(row[4]), digest)


def add(connection: Connection, upload: Upload) -> None:
    """Write a new upload; refuses with Conflict when there is one of that name."""
    row = (
        upload.upload_id, str(upload.owner), upload.size, 0, upload.expires.timestamp(), None, upload.owner.key,
    )  # fmt: skip
    if not connection.execute(_ADD, row).rowcount:
        raise Conflict("upload exists")


def find(connection: Connection, upload_id: str) -> Upload:
    """The upload; refuses with Unknown."""
    row = connection.execute(_FIND, (upload_id,)).fetchone()
    if row is None:
        raise Unknown("upload")
    return _upload(row)


def grow(connection: Connection, before: Upload, grown: Upload) -> None:
    """Write the new offset, and the digest of a complete one; refuses with Conflict when it was not at the old one."""
    digest = None if grown.digest is None else grown.digest.raw
    row = (grown.offset, digest, before.upload_id, before.offset)
    if not connection.execute(_GROW, row).rowcount:
        raise Conflict("the upload has moved on")


def remove(connection: Connection, upload_id: str) -> int:
    """Forget it; how many bytes of it had not come."""
    rows = connection.execute(_REMOVE, (upload_id,)).fetchall()
    return sum(left for (left,) in rows)


def bytes_to_come(connection: Connection) -> int:
    """How many bytes of the uploads that have begun have not come."""
    left: int = connection.execute(_TO_COME).fetchone()[0]
    return left


def growing(connection: Connection) -> list[str]:
    """The names of those that have bytes and are not complete."""
    return [name for (name,) in connection.execute(_GROWING)]


def expired(connection: Connection, now: Instant) -> list[Upload]:
    """Up to a thousand whose time is over."""
    return [_upload(row) for row in connection.execute(_EXPIRED, (now.timestamp(),))]


def owned(connection: Connection, owner: Address, digests: Sequence[Digest], now: Instant) -> list[Digest]:
    """Those of the digests that the owner uploaded in full or granted."""
    return [
        digest
        for digest in dict.fromkeys(digests)
        if connection.execute(_OWNED, (digest.raw, owner.key, now.timestamp())).fetchone()[0]
    ]
