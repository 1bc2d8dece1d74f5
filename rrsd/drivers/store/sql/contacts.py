"""What waits for a domain that has shown to be alive: walks along one index, bounded whatever the queue's length."""

from contextlib import suppress

from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Origin
from rrsd.drivers.store.sql.engine import Connection
from rrsd.drivers.store.sql.rows import UNREADABLE, origin_of

_ASLEEP = "jobs INDEXED BY jobs_asleep WHERE state IN ('deferred', 'needs_auth', 'no_space')"
# One step along the index for each origin, however many jobs wait there.
_ORIGINS = f"""
WITH RECURSIVE found(origin) AS (
    SELECT min(origin) FROM {_ASLEEP} AND sender = ?1 AND condition = ?2
    UNION ALL
    SELECT (SELECT min(origin) FROM {_ASLEEP} AND sender = ?1 AND condition = ?2 AND origin > found.origin)
    FROM found WHERE found.origin IS NOT NULL
)
SELECT origin FROM found WHERE origin IS NOT NULL LIMIT ?3
"""
_JOBS = f"SELECT job, state FROM {_ASLEEP} AND sender = ? AND condition = ? AND origin = ? LIMIT ?"


def origins(connection: Connection, sender: Domain, condition: str, most: int) -> list[Origin]:
    """Where jobs of the sender's messages wait with that condition; names that cannot be read are left out."""
    found = []
    for (origin,) in connection.execute(_ORIGINS, (sender.name, condition, most)):
        with suppress(*UNREADABLE):
            found.append(origin_of(origin))
    return found


def asleep(connection: Connection, sender: Domain, origin: Origin, condition: str, most: int) -> list[tuple[int, str]]:
    """Some of those jobs, with the state that each is in."""
    return connection.execute(_JOBS, (sender.name, condition, str(origin), most)).fetchall()
