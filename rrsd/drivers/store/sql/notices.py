"""The outbox of messages that we write ourselves."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from twisted.logger import Logger

from rrsd.core.values.instants import Instant
from rrsd.core.values.notices import Notice
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of, maybe_instant

_COLUMNS = "key, recipient, subject, text, expires, message_id, sender, made, tries, kind, about, report"
_ADD = f"""
INSERT OR IGNORE INTO notices ({_COLUMNS}, due, told, domain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)
"""
_HAS = "SELECT 1 FROM notices WHERE key = ?"
_TO_ONE = "SELECT count(*) FROM (SELECT 1 FROM notices WHERE kind != '' AND told = ? AND made > ? LIMIT ?)"
_TO_DOMAIN = "SELECT count(*) FROM (SELECT 1 FROM notices WHERE kind != '' AND domain = ? AND made > ? LIMIT ?)"
_DUE = f"SELECT {_COLUMNS} FROM notices WHERE due <= ? ORDER BY due LIMIT ?"
_NEXT = "SELECT min(due) FROM notices WHERE due < ''"  # text is never a time
_LATER = "UPDATE notices SET due = ?, tries = tries + 1 WHERE key = ?"
_END = "UPDATE notices SET due = NULL, text = '', report = '' WHERE key = ?"
_SWEEP = "DELETE FROM notices WHERE made < ? AND due IS NULL"
KEPT = 30 * 86400.0
"""Seconds for which the key of one that has ended is remembered."""


@frozen
class Outbox:
    """Satisfies the port of the same name of the mail role."""

    _log = Logger()

    _engine: Engine

    async def add(self, notice: Notice, now: Instant) -> bool:
        """Remember it, durably when this returns; False when its key was there before, whatever became of it."""
        at = now.timestamp()
        row = (
            notice.key, str(notice.recipient), notice.subject, notice.text, notice.expires.timestamp(),
            notice.message_id, str(notice.sender or ""), at, notice.kind, notice.about, notice.report, at,
            _told(notice), notice.recipient.domain.name,
        )  # fmt: skip

        def add(connection: Connection) -> bool:
            connection.execute(_SWEEP, (at - KEPT,))
            return connection.execute(_ADD, row).rowcount == 1

        return await self._engine.write(add)

    async def has(self, key: str) -> bool:
        """Whether there was one of that key, whatever became of it."""
        return await self._engine.read(lambda connection: connection.execute(_HAS, (key,)).fetchone() is not None)

    async def counted(self, notice: Notice, since: Instant, most: int) -> tuple[int, int]:
        """How many of a kind were taken since then for the same address about messages of the same domain, and for
        any address of its domain; each at most `most`."""

        def count(connection: Connection) -> tuple[int, int]:
            bounds = (since.timestamp(), most)
            (one,) = connection.execute(_TO_ONE, (_told(notice), *bounds)).fetchone()
            (domain,) = connection.execute(_TO_DOMAIN, (notice.recipient.domain.name, *bounds)).fetchone()
            return one, domain

        return await self._engine.read(count)

    async def due(self, now: Instant, most: int) -> Sequence[Notice]:
        """At most `most` whose time has come; one whose row is damaged ends, is named in the log, and holds up none."""

        def look(connection: Connection) -> tuple[list[Notice], list[Any]]:
            found, damaged = [], []
            for row in connection.execute(_DUE, (now.timestamp(), most)):
                try:
                    found.append(_notice(row))
                except UNREADABLE:
                    damaged.append(row[0])
            return found, damaged

        async def end(damaged: list[Any]) -> None:
            for key in damaged:
                await self.end(key)
                self._log.error("store: the row of a notice to somebody is damaged and was set aside")

        return await self._engine.readable(look, end)

    async def next_due(self) -> Instant | None:
        """When the next one's time comes; None when nothing waits."""

        return await self._engine.read(lambda connection: maybe_instant(connection.execute(_NEXT).fetchone()[0]))

    async def later(self, key: str, due: Instant) -> None:
        """It was tried once more, and is to be tried then."""

        def put_off(connection: Connection) -> None:
            connection.execute(_LATER, (due.timestamp(), key))

        await self._engine.write(put_off)

    async def end(self, key: str) -> None:
        """It is over; its text is forgotten, its key is not."""

        def end(connection: Connection) -> None:
            connection.execute(_END, (key,))

        await self._engine.write(end)


def _told(notice: Notice) -> str:
    return f"{notice.recipient.key} {notice.sender.domain if notice.sender else ''}"


def _notice(row: Row) -> Notice:
    key, text, report = str(row[0]), row[3], row[11]
    if not isinstance(text, str) or not isinstance(report, str) or not isinstance(row[8], int):
        raise TypeError("no text, or no number of tries")
    sender = address_of(row[6]) if row[6] else None
    return Notice(
        key, address_of(row[1]), row[2], text, instant_of(row[4]), row[5], sender, instant_of(row[7]), row[8], row[9],
        row[10], report,
    )  # fmt: skip
