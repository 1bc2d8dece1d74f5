"""Personal links, the codes that were sent for them, and the browsers that entered one."""

from datetime import timedelta
from hmac import compare_digest

from attrs import define, field

from rrsd.core.refusals import Damaged, Unknown
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.links import Attempt, Link, LinkSession, OneTimeCode
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import UNREADABLE, Row, address_of, instant_of

_KEPT = 86400.0
"""Seconds for which codes are remembered, for their number."""
_ADD = (
    "INSERT INTO links (key, message_id, sender, recipient, expires) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET expires = max(expires, excluded.expires)"
)
_FIND = "SELECT key, message_id, sender, recipient, expires FROM links WHERE key = ?"
_OF_LINK = "SELECT made FROM link_codes WHERE link = ? AND made > ? ORDER BY made DESC LIMIT 1 OFFSET ?"
_OF_RECIPIENT = "SELECT made FROM link_codes WHERE recipient_key = ? AND made > ? ORDER BY made DESC LIMIT 1 OFFSET ?"
_ADD_CODE = "INSERT INTO link_codes (link, recipient_key, code, made, expires, tries) VALUES (?, ?, ?, ?, ?, 0)"
_OPEN = "SELECT number, code, expires, tries FROM link_codes WHERE link = ? ORDER BY number DESC LIMIT 1"
_TRIED = "UPDATE link_codes SET tries = ? WHERE number = ?"
_ADD_SESSION = "INSERT INTO link_sessions (key, link, expires) VALUES (?, ?, ?)"
_SESSION = "SELECT key, link, expires FROM link_sessions WHERE key = ?"
_SWEEP = (
    "DELETE FROM links WHERE expires < ?1",
    "DELETE FROM link_sessions WHERE expires < ?1",
    f"DELETE FROM link_codes WHERE made < ?1 - {_KEPT}",
)
_SWEEP_EVERY = 64


@define(eq=False)
class Links:
    """Satisfies the port of the same name of the Resource Server."""

    _engine: Engine
    _written: int = field(default=0, init=False)

    async def add(self, link: Link, now: Instant) -> None:
        """Remember the link, durably when this returns; one that is there already lasts as long as either."""
        row = (link.key.raw, link.message_id, str(link.sender), str(link.recipient), link.expires.timestamp())
        self._written += 1
        sweeps = self._written % _SWEEP_EVERY == 0

        def add(connection: Connection) -> None:
            if sweeps:
                for statement in _SWEEP:
                    connection.execute(statement, (now.timestamp(),))
            connection.execute(_ADD, row)

        await self._engine.write(add)

    async def find(self, key: Digest) -> Link:
        """The link, ended or not.

        Raises:
            Unknown: there is none.
            Damaged: its row cannot be read.
        """
        return _link(await self._row(_FIND, key))

    async def add_code(self, code: OneTimeCode, per_link: int, per_recipient: int, window: timedelta) -> int:
        """Remember a code, which takes the place of those before it: 0. The seconds to wait, and nothing is remembered,
        when so many were made for the link or the recipient within the window."""
        made, since = code.made.timestamp(), (code.made - window).timestamp()
        asked = ((_OF_LINK, code.link.raw, per_link), (_OF_RECIPIENT, code.recipient.key, per_recipient))
        row = (code.link.raw, code.recipient.key, code.code.raw, made, code.expires.timestamp())

        def add(connection: Connection) -> int:
            waits = [
                int(earlier - since) + 1
                for statement, key, most in asked
                for (earlier,) in connection.execute(statement, (key, since, most - 1))
            ]
            if not waits:
                connection.execute(_ADD_CODE, row)
            return max(waits, default=0)

        return await self._engine.write(add)

    async def try_code(self, code: Digest, session: LinkSession, now: Instant, most_tries: int) -> Attempt:
        """Whether it is the code of the session's link; if so, the session begins and the code is used up."""
        link, at = session.link.raw, now.timestamp()

        def attempt(connection: Connection) -> Attempt:
            found = connection.execute(_OPEN, (link,)).fetchone()
            if found is None or found[2] <= at or found[3] >= most_tries:
                return Attempt.OVER
            right = compare_digest(found[1], code.raw)
            connection.execute(_TRIED, (most_tries if right else found[3] + 1, found[0]))
            if right:
                connection.execute(_ADD_SESSION, (session.key.raw, link, session.expires.timestamp()))
            return Attempt.RIGHT if right else Attempt.WRONG

        return await self._engine.write(attempt)

    async def session(self, key: Digest) -> LinkSession:
        """The session, ended or not.

        Raises:
            Unknown: there is none.
            Damaged: its row cannot be read.
        """
        row = await self._row(_SESSION, key)
        try:
            return LinkSession(Digest(row[0]), Digest(row[1]), instant_of(row[2]))
        except UNREADABLE as error:
            raise Damaged(f"row of a link's session: {type(error).__name__}") from error

    async def _row(self, statement: str, key: Digest) -> Row:
        def look(connection: Connection) -> Row:
            found: Row | None = connection.execute(statement, (key.raw,)).fetchone()
            if found is None:
                raise Unknown("link or session")
            return found

        return await self._engine.read(look)


def _link(row: Row) -> Link:
    try:
        return Link(Digest(row[0]), row[1], address_of(row[2]), address_of(row[3]), instant_of(row[4]))
    except UNREADABLE as error:
        raise Damaged(f"row of a link: {type(error).__name__}") from error
