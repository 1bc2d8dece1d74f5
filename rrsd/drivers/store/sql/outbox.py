"""Receipts that have not been acknowledged."""

import json
from collections.abc import Sequence

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import PendingReceipt
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import add_history
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of, maybe_instant, origin_of

_DUE = """
SELECT receipts.job, origin, iif(granted = '', recipient, granted), digest, size, coalesce(stored, receipts.due),
    message_id, jti, tries
FROM receipts JOIN jobs ON jobs.job = receipts.job WHERE receipts.due <= ? ORDER BY receipts.due LIMIT ?
"""
_SENT = "DELETE FROM receipts WHERE job IN (SELECT value FROM json_each(?))"
_RECEIPTED = """
UPDATE jobs SET state = 'receipted', due = NULL WHERE job IN (SELECT value FROM json_each(?)) AND state = 'stored'
RETURNING job
"""
_DEFER = "UPDATE receipts SET due = ?, tries = tries + 1 WHERE job = ?"
_NEXT = "SELECT min(due) FROM receipts WHERE due < ''"  # text is never a time


def _receipt(row: Row) -> PendingReceipt:
    return PendingReceipt(
        row[0], origin_of(row[1]), address_of(row[2]), Digest(row[3]), row[4], instant_of(row[5]), *row[6:]
    )


def due(connection: Connection, now: Instant, most: int) -> tuple[list[PendingReceipt], list[int]]:
    """Receipts whose time to be sent has come, earliest first, and the jobs of those that cannot be read."""
    pending, damaged = [], []
    for row in connection.execute(_DUE, (now.timestamp(), most)):
        try:
            pending.append(_receipt(row))
        except UNREADABLE:
            damaged.append(row[0])
    return pending, damaged


def drop(connection: Connection, jobs: Sequence[int]) -> None:
    """Forget the receipts of these jobs."""
    connection.execute(_SENT, (json.dumps(list(jobs)),))


def sent(connection: Connection, jobs: Sequence[int], now: Instant) -> None:
    """The jobs become RECEIPTED and leave the outbox; those that did before stay as they are."""
    drop(connection, jobs)
    changed = connection.execute(_RECEIPTED, (json.dumps(list(jobs)),)).fetchall()
    at = now.timestamp()
    add_history(connection, [(job, at, "stored", "receipted", "receipted", "") for (job,) in sorted(changed)])


def defer(connection: Connection, job: int, until: Instant) -> None:
    """Try again at `until`."""
    connection.execute(_DEFER, (until.timestamp(), job))


def next_receipt(connection: Connection) -> Instant | None:
    """When the next receipt is due."""
    (earliest,) = connection.execute(_NEXT).fetchone()
    return maybe_instant(earliest)
