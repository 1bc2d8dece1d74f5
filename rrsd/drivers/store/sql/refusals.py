"""What an error of SQLite means (https://www.sqlite.org/rescode.html)."""

import sqlite3

from rrsd.core.refusals import Damaged, NoSpace, Refusal, Unavailable

_PRIMARY = 0xFF  # the low byte of an extended result code

_MEANING: dict[int, type[Refusal]] = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_IOERR: NoSpace,
    sqlite3.SQLITE_CANTOPEN: NoSpace,
    sqlite3.SQLITE_READONLY: NoSpace,
    sqlite3.SQLITE_NOMEM: NoSpace,
    sqlite3.SQLITE_BUSY: Unavailable,
    sqlite3.SQLITE_LOCKED: Unavailable,
    sqlite3.SQLITE_CORRUPT: Damaged,
    sqlite3.SQLITE_NOTADB: Damaged,
}


def refusal_of(error: sqlite3.Error) -> Refusal | None:
    """The refusal that `error` stands for; None when it is a mistake in a statement or in what was given to it."""
    code = getattr(error, "sqlite_errorcode", None)
    meaning = None if code is None else _MEANING.get(code & _PRIMARY)
    return None if meaning is None else meaning(f"database: {error}")
