"""Receipts that have not been acknowledged."""

import json
from collections.abc import Sequence

from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import PendingReceipt
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import add_history
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of, maybe_instant, maybe_seconds, origin_of

GIVEN_UP = "receipt"
"""The condition of a stored job whose receipt nobody takes."""
AHEAD = 7 * 3600.0
"""Seconds: later than any receipt is ever put off. What is due then was put off by a clock that ran ahead."""
AT_ONCE = 2000

_DUE = """
SELECT receipts.job, receipts.sender, receipts.origin, iif(granted = '', recipient, granted), digest, size,
    coalesce(stored, receipts.due), message_id, jti, tries, receipts.refusals, alone, receipts.due
FROM receipts JOIN jobs ON jobs.job = receipts.job WHERE receipts.due <= ? ORDER BY receipts.due LIMIT ?
"""
_SENT = "DELETE FROM receipts WHERE job IN (SELECT value FROM json_each(?))"
_RECEIPTED = """
UPDATE jobs SET state = 'receipted', due = NULL, condition = ''
WHERE job IN (SELECT value FROM json_each(?)) AND state = 'stored' RETURNING job
"""
_DEFER = "UPDATE receipts SET due = ?, tries = ?, refusals = ?, alone = ? WHERE job = ?"
_GIVE_UP = "UPDATE jobs SET condition = ?, evidence = ? WHERE job = ? AND state = 'stored'"
_SPOILT = "UPDATE receipts SET due = NULL WHERE job = ?"
_PUT_OFF = """
UPDATE receipts SET due = ?4, tries = tries + ?5 WHERE job IN (
    SELECT job FROM receipts INDEXED BY receipts_at WHERE sender = ?1 AND origin = ?2 AND due <= ?3 LIMIT ?6
)
"""
_WAKE = """
UPDATE receipts SET due = ?2 WHERE job IN (
    SELECT job FROM receipts INDEXED BY receipts_at WHERE sender = ?1 AND due > ?2 AND refusals = 0 LIMIT ?3
)
"""
_AGAIN = "UPDATE receipts SET due = ?, tries = 0, refusals = 0 WHERE job = ? AND due IS NULL"
_TAKEN_UP = "UPDATE jobs SET condition = '' WHERE job = ? AND state = 'stored'"
_RECOVER = "UPDATE receipts SET due = ?1 WHERE due > ?1 + ?2 AND due < ''"
_NEXT = "SELECT min(due) FROM receipts WHERE due < ''"  # text is never a time


def _receipt(row: Row) -> PendingReceipt:
    return PendingReceipt(
        row[0], Domain(row[1]), origin_of(row[2]), address_of(row[3]), Digest(row[4]), row[5], instant_of(row[6]),
        row[7], row[8], row[9], row[10], bool(row[11]), maybe_instant(row[12]),
    )  # fmt: skip


def due(connection: Connection, now: Instant, most: int) -> tuple[list[PendingReceipt], list[int]]:
    """Receipts whose time to be sent has come, earliest first, and the jobs of those that cannot be read."""
    pending, damaged = [], []
    for row in connection.execute(_DUE, (now.timestamp(), most)):
        try:
            pending.append(_receipt(row))
        except UNREADABLE:
            damaged.append(row[0])
    return pending, damaged


def set_aside(connection: Connection, jobs: Sequence[int], now: Instant) -> None:
    """Give up the receipts of these jobs, whose rows cannot be read."""
    for job in jobs:
        connection.execute(_SPOILT, (job,))
    _give_up(connection, jobs, "its row is damaged", now)


def sent(connection: Connection, jobs: Sequence[int], now: Instant) -> None:
    """The jobs become RECEIPTED and leave the outbox; those that did before stay as they are."""
    connection.execute(_SENT, (json.dumps(list(jobs)),))
    changed = connection.execute(_RECEIPTED, (json.dumps(list(jobs)),)).fetchall()
    at = now.timestamp()
    add_history(connection, [(job, at, "stored", "receipted", "receipted", "") for (job,) in sorted(changed)])


def deferred(connection: Connection, receipts: Sequence[PendingReceipt], evidence: str, now: Instant) -> None:
    """They wait as they say now; those without a `due` are given up, and their jobs tell why."""
    rows = [(maybe_seconds(each.due), each.tries, each.refusals, int(each.is_alone), each.job) for each in receipts]
    connection.executemany(_DEFER, rows)
    _give_up(connection, [each.job for each in receipts if each.due is None], evidence, now)


def _give_up(connection: Connection, jobs: Sequence[int], evidence: str, now: Instant) -> None:
    connection.executemany(_GIVE_UP, [(GIVEN_UP, evidence, job) for job in jobs])
    add_history(connection, [(job, now.timestamp(), "stored", "stored", "unheard", evidence) for job in jobs])


def put_off(connection: Connection, sender: Domain, origin: Origin, now: Instant, until: Instant, is_try: bool) -> int:
    """Let what is due there wait; how many were, at most `AT_ONCE`."""
    row = (sender.name, str(origin), now.timestamp(), until.timestamp(), int(is_try), AT_ONCE)
    return connection.execute(_PUT_OFF, row).rowcount


def wake(connection: Connection, sender: Domain, now: Instant, most: int) -> int:
    """Let some of those that nobody refused go now; how many."""
    return connection.execute(_WAKE, (sender.name, now.timestamp(), most)).rowcount


def again(connection: Connection, job: int, now: Instant) -> bool:
    """Tell the receipt again that was given up; whether it was."""
    taken_up = connection.execute(_AGAIN, (now.timestamp(), job)).rowcount > 0
    if taken_up:
        connection.execute(_TAKEN_UP, (job,))
        add_history(connection, [(job, now.timestamp(), "stored", "stored", "woken", "the receipt is told again")])
    return taken_up


def recover(connection: Connection, now: Instant) -> None:
    """What a clock that ran ahead has put off far too long goes now."""
    connection.execute(_RECOVER, (now.timestamp(), AHEAD))


def next_receipt(connection: Connection) -> Instant | None:
    """When the next receipt is due."""
    (earliest,) = connection.execute(_NEXT).fetchone()
    return maybe_instant(earliest)
