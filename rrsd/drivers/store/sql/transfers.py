"""What is durable of each shared transfer. Only the newest epoch may change it."""

from rrsd.core.refusals import Conflict
from rrsd.core.values.digests import Digest
from rrsd.core.values.jobs import Fetch
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Checkpoint
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import checkpoints_of

_FIND = "SELECT number, epoch, validator FROM fetches WHERE origin = ? AND digest = ?"
_SET_VALIDATOR = """
UPDATE fetches SET validator = ? WHERE origin = ? AND digest = ? AND epoch = ? RETURNING number
"""
_ADD = "INSERT OR REPLACE INTO checkpoints (fetch, offset, prefix, tail) VALUES (?, ?, ?, ?)"
_CUT = "DELETE FROM checkpoints WHERE fetch = ? AND offset > ?"
_FORGET_VALIDATOR = "UPDATE fetches SET validator = '' WHERE number = ?"


def find(connection: Connection, origin: Origin, digest: Digest) -> Fetch:
    """The shared transfer; a new one when there is none."""
    row = connection.execute(_FIND, (str(origin), digest.raw)).fetchone()
    if row is None:
        return Fetch(origin, digest)
    return Fetch(origin, digest, row[1], row[2], checkpoints_of(connection, row[0]))


def _fenced(connection: Connection, fetch: Fetch, validator: str) -> int:
    row = (validator, str(fetch.origin), fetch.digest.raw, fetch.epoch)
    rows = connection.execute(_SET_VALIDATOR, row).fetchall()
    if not rows:
        raise Conflict(f"epoch {fetch.epoch} of the transfer is over")
    number: int = rows[0][0]
    return number


def checkpoint(connection: Connection, fetch: Fetch, validator: str, reached: Checkpoint) -> None:
    """Add a durable checkpoint; refuses with Conflict when the epoch has moved on."""
    number = _fenced(connection, fetch, validator)
    prefix, tail = (b"" if each is None else each.raw for each in (reached.prefix, reached.tail))
    connection.execute(_ADD, (number, reached.offset, prefix, tail))


def forget(connection: Connection, fetch: Fetch) -> None:
    """Drop checkpoints and validator; Conflict as above."""
    connection.execute(_CUT, (_fenced(connection, fetch, ""), -1))


def rewind(connection: Connection, fetch: Fetch, offset: int) -> None:
    """Drop the checkpoints beyond `offset`; Conflict as above."""
    row = connection.execute(_FIND, (str(fetch.origin), fetch.digest.raw)).fetchone()
    validator = "" if row is None else row[2]
    connection.execute(_CUT, (_fenced(connection, fetch, validator), offset))


def clear(connection: Connection, origin: Origin, digest: Digest) -> None:
    """Drop checkpoints and validator, whatever the epoch: the job that held it says so in its own transaction."""
    row = connection.execute(_FIND, (str(origin), digest.raw)).fetchone()
    if row is not None:
        connection.execute(_CUT, (row[0], -1))
        connection.execute(_FORGET_VALIDATOR, (row[0],))
