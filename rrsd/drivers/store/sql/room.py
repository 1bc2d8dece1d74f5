"""Room for pulls: what each user holds, whether one more fits into that and onto the disk, and who may try again.

What a user holds is kept by triggers (schema 0018). Nobody polls: a job without room is looked at again when some was
made, or at its deadline.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from attrs import define, field

from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Holding, Job, Shortage
from rrsd.drivers.store.blobs.saving import Saving
from rrsd.drivers.store.blobs.space import Key, Space
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.picking import add_history

SPACE = ""
"""The name under which is saved for what the disk has no room for; all others are users."""
AGEING = 1800.0
"""Seconds that one waits before something is put by for it."""
AT_ONCE = 64
"""Jobs of one user, or of the disk, and users, that one look wakes."""
MOST_LOOKED = 256
"""Of those that wait longest: among them is looked for one that can ever fit."""

_HELD_STATES = "state IN ('leased', 'stored', 'receipted')"
_HOLDER = "SELECT bytes, quota FROM holders WHERE recipient = ?"
_LARGEST = f"""
SELECT size FROM jobs INDEXED BY jobs_held
WHERE {_HELD_STATES} AND recipient = ? COLLATE NOCASE AND digest = ? ORDER BY size DESC LIMIT 1
"""
_DURABLE = """
SELECT max(offset) FROM checkpoints WHERE fetch = (SELECT number FROM fetches WHERE origin = ? AND digest = ?)
"""
_OVER = "state = 'no_space' AND condition = 'quota' AND recipient = ? COLLATE NOCASE"
_NO_SPACE = "state = 'no_space' AND condition = 'space'"
_OVER_BY_SIZE = (
    f"SELECT job, size FROM jobs INDEXED BY jobs_over_size WHERE {_OVER} AND size <= ? ORDER BY size LIMIT ?"
)
_OVER_BY_AGE = f"SELECT job, size, accepted FROM jobs INDEXED BY jobs_over_age WHERE {_OVER} ORDER BY job LIMIT ?"
_BY_SIZE = (
    f"SELECT job, size FROM jobs INDEXED BY jobs_space_size WHERE {_NO_SPACE} AND size <= ? ORDER BY size LIMIT ?"
)
_BY_AGE = f"SELECT job, size, accepted FROM jobs INDEXED BY jobs_space_age WHERE {_NO_SPACE} ORDER BY job LIMIT ?"
_FREED = "SELECT recipient, bytes, quota FROM holders INDEXED BY holders_freed WHERE freed = 1 LIMIT ?"
_NOTED = "UPDATE holders SET freed = 0 WHERE recipient = ?"
_IS_READY = "SELECT 1 FROM jobs WHERE job = ? AND state IN ('ready', 'no_space')"
_WAITS = f"""
SELECT EXISTS (SELECT 1 FROM holders INDEXED BY holders_freed WHERE freed = 1)
    OR EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_space_size WHERE {_NO_SPACE})
"""
_WAKE = "UPDATE jobs SET state = 'ready', due = ?, condition = '' WHERE job = ? AND state = 'no_space'"
_SET_QUOTA = """
INSERT INTO holders (recipient, quota, freed) VALUES (?, ?, 1)
ON CONFLICT DO UPDATE SET quota = excluded.quota, freed = 1
"""
_RESERVED = "SELECT recipient, sum(size) FROM jobs INDEXED BY jobs_state WHERE state = 'leased' GROUP BY recipient"
_ALL = "SELECT recipient, bytes, quota FROM holders"
_TOTAL = "SELECT coalesce(sum(bytes), 0) FROM holders"
_AFTER = "SELECT recipient, bytes FROM holders WHERE recipient > ? ORDER BY recipient LIMIT ?"
_COUNT = f"""
SELECT coalesce(sum(size), 0) FROM (
    SELECT max(size) AS size FROM jobs INDEXED BY jobs_held
    WHERE {_HELD_STATES} AND recipient = ? COLLATE NOCASE GROUP BY digest
)
"""
_CORRECT = "UPDATE holders SET bytes = ?, freed = 1 WHERE recipient = ?"
_BOUNDLESS = 1 << 62

_Aged: TypeAlias = tuple[int, int, float]
"""A job, what it needs, and when it was accepted."""


def limit_of(own: int | None, quota: int) -> int:
    """What a user may hold; 0 when there is no limit."""
    return quota if own is None else own


@define(eq=False)
class _User:
    """What one has left, while jobs are taken one after the other."""

    limit: int
    held: int
    taken: dict[bytes, int] = field(factory=dict)


@define(eq=False)
class Room:
    """Decides who has room. Everything is called inside a transaction of the one writer."""

    _space: Space
    _savings: dict[str, Saving] = field(factory=dict, init=False)

    def taking(self, connection: Connection, quota: int) -> "Taking":
        """One batch of jobs that are to be leased; refuses with NoSpace when the disk does not answer."""
        self._space.look()
        return Taking(self, self._space, connection, quota)

    def leaves(self, name: str, job: int, needed: int, free: int) -> int:
        """What of the free bytes the job may have beside what is put by."""
        saving = self._savings.get(name)
        return free if saving is None else saving.leaves(job, needed, free)

    @staticmethod
    def is_wanted(connection: Connection) -> bool:
        """Whether anybody waits for whom there may be room."""
        (waits,) = connection.execute(_WAITS).fetchone()
        return bool(waits)

    def make(self, connection: Connection, quota: int, now: Instant) -> int:
        """Wake those for whom there is room now, of each user and of the disk a bounded number; how many."""
        at = now.timestamp()
        self._space.look()
        woken = self._for_space(connection, at)
        for recipient, held, own in connection.execute(_FREED, (AT_ONCE,)).fetchall():
            woken += self._for_user(connection, recipient, limit_of(own, quota), held, at)
        _wake(connection, woken, at)
        return len(woken)

    def _for_space(self, connection: Connection, at: float) -> list[int]:
        free = self._space.free
        oldest = connection.execute(_BY_AGE, (MOST_LOOKED,)).fetchall()
        first = self._save(connection, SPACE, oldest, free, self._space.most(), at)
        return self._fitting(SPACE, first, connection.execute(_BY_SIZE, (free, AT_ONCE)), free)

    def _for_user(self, connection: Connection, recipient: str, limit: int, held: int, at: float) -> list[int]:
        free = limit - held if limit else _BOUNDLESS
        oldest = connection.execute(_OVER_BY_AGE, (recipient, MOST_LOOKED)).fetchall() if limit else []
        first = self._save(connection, recipient.lower(), oldest, free, limit, at)
        rows = connection.execute(_OVER_BY_SIZE, (recipient, free, AT_ONCE)).fetchall()
        if len(rows) < AT_ONCE:
            connection.execute(_NOTED, (recipient,))
        return self._fitting(recipient.lower(), first, iter(rows), free)

    def _save(
        self,
        connection: Connection,
        name: str,
        oldest: Sequence[_Aged],
        free: int,
        most: int,
        at: float,
    ) -> tuple[int, int] | None:
        """Put something by for one that has waited long and can fit at all; the one, and what it needs."""
        saving = self._savings.setdefault(name, Saving())
        still = saving.job and connection.execute(_IS_READY, (saving.job,)).fetchone() is not None
        if not still or saving.is_over(at):
            aged = [(job, size) for job, size, accepted in oldest if size <= most and at - accepted >= AGEING]
            later = [each for each in aged if each[0] > saving.job] or aged
            if not later:
                del self._savings[name]
                return None
            saving.begin(*later[0], at)
        saving.look(free)
        return saving.job, saving.wanted

    def _fitting(
        self, name: str, first: tuple[int, int] | None, rows: Iterator[tuple[int, int]], free: int
    ) -> list[int]:
        fits: dict[int, None] = {}
        for job, size in ([first] if first else []) + list(rows):
            if job not in fits and size <= self.leaves(name, job, size, free):
                fits[job] = None
                free -= size
        return list(fits)


@define(eq=False)
class Taking:
    """Jobs are leased one after the other, each for as long as there is room; `keys` are the leases that hold some."""

    _room: Room
    _space: Space
    _connection: Connection
    _quota: int
    keys: list[Key] = field(factory=list, init=False)
    _users: dict[str, _User] = field(factory=dict, init=False)

    def short(self, job: Job, is_here: bool) -> Shortage | None:
        """None when the job may be leased, its bytes set apart; otherwise what there is too little of."""
        short = self._over(job) or (None if is_here else self._beyond(job))
        if short is None:
            self._take(job)
        return short

    def _over(self, job: Job) -> Shortage | None:
        user = self._user(job)
        if not user.limit:
            return None
        needed, free = self._adds(user, job), user.limit - user.held
        if needed <= self._room.leaves(job.recipient.key, job.job, needed, free):
            return None
        return Shortage(job, "quota", needed, max(0, free), user.limit)

    def _user(self, job: Job) -> _User:
        user = self._users.get(job.recipient.key)
        if user is None:
            held, own = self._connection.execute(_HOLDER, (str(job.recipient),)).fetchone() or (0, None)
            user = self._users[job.recipient.key] = _User(limit_of(own, self._quota), held)
        return user

    def _adds(self, user: _User, job: Job) -> int:
        row = self._connection.execute(_LARGEST, (str(job.recipient), job.digest.raw)).fetchone()
        known = max(user.taken.get(job.digest.raw, 0), row[0] if row is not None else 0)
        return max(0, job.size - known)

    def _beyond(self, job: Job) -> Shortage | None:
        (durable,) = self._connection.execute(_DURABLE, (str(job.origin), job.digest.raw)).fetchone()
        needed, free = max(0, job.size - (durable or 0)), self._space.free
        key = (job.job, job.epoch + 1)
        if needed <= self._room.leaves(SPACE, job.job, needed, free) and self._space.try_hold(key, needed):
            self.keys.append(key)
            return None
        return Shortage(job, "space", needed, max(0, free), self._space.most())

    def _take(self, job: Job) -> None:
        user = self._user(job)
        if user.limit:
            user.held += self._adds(user, job)
            user.taken[job.digest.raw] = max(job.size, user.taken.get(job.digest.raw, 0))


def _wake(connection: Connection, jobs: Sequence[int], at: float) -> None:
    history: list[tuple[Any, ...]] = []
    for job in jobs:
        if connection.execute(_WAKE, (at, job)).rowcount:
            history.append((job, at, "no_space", "ready", "woken", "there is room"))
    add_history(connection, history)


# --- for operators and the self-check


def set_quota(connection: Connection, address: Address, quota: int | None) -> None:
    """The user's own quota, 0 for none, None for the domain's; whoever waits for it is looked at again."""
    connection.execute(_SET_QUOTA, (str(address), quota))


def holdings(connection: Connection) -> dict[str, Holding]:
    """What everybody holds, by the key of the address."""
    reserved = {recipient.lower(): size for recipient, size in connection.execute(_RESERVED)}
    return {
        recipient.lower(): Holding(held, min(held, reserved.get(recipient.lower(), 0)), own)
        for recipient, held, own in connection.execute(_ALL)
    }


def total(connection: Connection) -> int:
    """What all users hold together, each counted alone."""
    (held,) = connection.execute(_TOTAL).fetchone()
    return int(held)


def miscounted(connection: Connection, after: str, most: int) -> tuple[list[tuple[str, int, int]], str]:
    """Of the next users in order, those who hold other than was noted: who, what was noted, what it is. And the last
    that was looked at, "" when there are no more."""
    rows = connection.execute(_AFTER, (after, most)).fetchall()
    wrong = []
    for recipient, held in rows:
        (counted,) = connection.execute(_COUNT, (recipient,)).fetchone()
        if counted != held:
            wrong.append((recipient, held, counted))
    return wrong, rows[-1][0] if len(rows) == most else ""


def correct(connection: Connection, recipient: str) -> None:
    """Note what the user holds, counted again in the same transaction."""
    (counted,) = connection.execute(_COUNT, (recipient,)).fetchone()
    connection.execute(_CORRECT, (counted, recipient))
