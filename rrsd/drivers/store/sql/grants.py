"""Who may retrieve what."""

from collections.abc import Callable, Sequence

from attrs import frozen

from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import Custody, Grant
from rrsd.drivers.store.sql.engine import Connection, Engine
from rrsd.drivers.store.sql.rows import GRANT, Row, address_of, grant_of, maybe_seconds

_ADD = f"""
INSERT OR IGNORE INTO grants ({GRANT}, sender_key, recipient_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NAMING = f"SELECT {GRANT} FROM grants WHERE digest = ? AND recipient_key = ?"
_ADDRESSED = f"SELECT {GRANT} FROM grants WHERE message_id = ? AND sender_key = ? AND recipient_key = ? ORDER BY number"
_SENT = f"SELECT {GRANT} FROM grants WHERE sender_key = ? ORDER BY number DESC LIMIT ?"
_RECEIPTED = """
UPDATE grants SET receipted = ? WHERE digest = ? AND recipient_key = ? AND message_id = ? AND receipted IS NULL
"""
_SIGN = """
INSERT OR IGNORE INTO custody (grant_number, receipt, signer, proof, at)
SELECT number, ?1, ?2, ?3, ?4 FROM grants WHERE digest = ?5 AND recipient_key = ?6 AND message_id = ?7
    AND receipted = ?4
"""
_SIGNER = "INSERT OR IGNORE INTO signers (x5t, certificate) VALUES (?, ?)"
_OF_MESSAGE = f"SELECT {GRANT} FROM grants WHERE message_id = ? AND sender_key = ? ORDER BY number"
_CUSTODY = f"""
SELECT receipt, certificate, proof, {GRANT}
FROM grants JOIN custody ON grant_number = number JOIN signers ON x5t = signer
WHERE message_id = ? AND sender_key = ? ORDER BY number
"""
_FORGET = """
DELETE FROM custody WHERE grant_number IN (SELECT grant_number FROM custody WHERE at < ? ORDER BY at LIMIT ?)
"""
_FORGET_SIGNERS = "DELETE FROM signers WHERE NOT EXISTS (SELECT 1 FROM custody WHERE signer = x5t)"
_WAITING = """
SELECT max(sender), substr(recipient_key, instr(recipient_key, '@') + 1) AS domain FROM grants
WHERE withdrawn = 0 AND receipted IS NULL AND downloaded IS NULL AND not_after > ? GROUP BY domain LIMIT ?
"""
_TAKE_BACK = "DELETE FROM grants WHERE message_id = ? AND digest = ? AND recipient_key = ?"
_DOWNLOADED = """
UPDATE grants SET downloaded = ? WHERE digest = ? AND recipient_key = ? AND message_id = ? AND downloaded IS NULL
"""
_RENEW = """
UPDATE grants SET promised = coalesce(promised, not_after), not_after = ?1
WHERE digest = ?2 AND recipient_key = ?3 AND message_id = ?4 AND withdrawn = 0 AND not_after < ?1
"""
_RENEWED = f"SELECT {GRANT} FROM grants WHERE digest = ? AND recipient_key = ? AND message_id = ? AND withdrawn = 0"
_WITHDRAW = "UPDATE grants SET withdrawn = 1 WHERE message_id = ? AND sender_key = ? AND withdrawn = 0"


def _row(grant: Grant) -> Row:
    return (
        grant.message_id, grant.digest.raw, grant.size, str(grant.sender), str(grant.recipient),
        grant.not_after.timestamp(), grant.media_type, grant.filename, int(grant.withdrawn),
        maybe_seconds(grant.receipted), maybe_seconds(grant.downloaded), maybe_seconds(grant.promised),
        grant.sender.key, grant.recipient.key,
    )  # fmt: skip


@frozen
class Grants:
    """Grants by resource and recipient; satisfies the port of the same name of the Resource Server.

    `is_stored` says, off the reactor, whether a blob has its final name. It is asked inside the writer, where the
    collection of blobs runs as well: a blob cannot go between the question and the commit.
    """

    _engine: Engine
    _is_stored: Callable[[Digest], bool]

    async def add(self, grants: Sequence[Grant]) -> None:
        """Remember all of them or none; those that are there already stay as they are.

        Raises:
            Unknown: a digest has no blob.
        """
        digests = {grant.digest for grant in grants}
        rows = [_row(grant) for grant in grants]

        def add(connection: Connection) -> None:
            for digest in digests:
                if not self._is_stored(digest):
                    raise Unknown(f"blob {digest}")
            connection.executemany(_ADD, rows)

        await self._engine.write(add)

    async def naming(self, digest: Digest, recipient: Address) -> Sequence[Grant]:
        """Every grant of the resource to the address, dead ones too."""
        return await self.of(recipient, (digest,))

    async def of(self, recipient: Address, digests: Sequence[Digest]) -> Sequence[Grant]:
        """Every grant of any of the resources to the address, dead ones too."""

        def look(connection: Connection) -> list[Grant]:
            return [
                grant_of(row)
                for digest in dict.fromkeys(digests)
                for row in connection.execute(_NAMING, (digest.raw, recipient.key))
            ]

        return await self._engine.read(look)

    async def receipted(self, taken: Sequence[Custody], at: Instant) -> None:
        """Remember that recipients' domains keep copies of their own, with what they signed; the first time counts."""
        moment = at.timestamp()
        signers = {each.certificate: digest_of(each.certificate).raw for each in taken}
        rows, signed = [], []
        for each in taken:
            name = (each.grant.digest.raw, each.grant.recipient.key, each.grant.message_id)
            rows.append((moment, *name))
            signed.append((each.receipt, signers[each.certificate], each.proof, moment, *name))

        def note(connection: Connection) -> None:
            connection.executemany(_RECEIPTED, rows)
            connection.executemany(_SIGNER, [(x5t, certificate) for certificate, x5t in signers.items()])
            connection.executemany(_SIGN, signed)

        await self._engine.write(note)

    async def renew(self, ends: Sequence[tuple[Grant, Instant]]) -> Sequence[Grant]:
        """Let each last until its end, in one transaction; as they are then, without those that were withdrawn or whose
        bytes are gone."""

        def renew(connection: Connection) -> list[Grant]:
            renewed = []
            for grant, until in ends:
                if self._is_stored(grant.digest):
                    row = (grant.digest.raw, grant.recipient.key, grant.message_id)
                    connection.execute(_RENEW, (until.timestamp(), *row))
                    renewed += [grant_of(found) for found in connection.execute(_RENEWED, row)]
            return renewed

        return await self._engine.write(renew)

    async def custody(self, sender: Address, message_id: str) -> Sequence[Custody]:
        """What was signed for the sender's message, as long as it is kept."""

        def look(connection: Connection) -> list[Custody]:
            found = connection.execute(_CUSTODY, (message_id, sender.key))
            return [Custody(grant_of(row[3:]), row[0], row[1], row[2]) for row in found]

        return await self._engine.read(look)

    async def forget_custody(self, before: Instant, most: int) -> int:
        """Forget what was signed before then; how many, `most` at most."""

        def forget(connection: Connection) -> int:
            gone = connection.execute(_FORGET, (before.timestamp(), most)).rowcount
            if gone:
                connection.execute(_FORGET_SIGNERS)
            return gone

        return await self._engine.write(forget)

    async def waiting(self, now: Instant, most: int) -> Sequence[tuple[Address, Domain]]:
        """The domains whose users may fetch something and have not, each with one of the senders; looks at all grants,
        which is for a start and not for a request."""

        def look(connection: Connection) -> list[tuple[Address, Domain]]:
            rows = connection.execute(_WAITING, (now.timestamp(), most))
            return [(address_of(sender), Domain(domain)) for sender, domain in rows]

        return await self._engine.read(look)

    async def message(self, sender: Address, message_id: str) -> Sequence[Grant]:
        """The sender's grants of one message, as they were made, dead ones too."""

        def look(connection: Connection) -> list[Grant]:
            return [grant_of(row) for row in connection.execute(_OF_MESSAGE, (message_id, sender.key))]

        return await self._engine.read(look)

    async def addressed(self, message_id: str, sender: Address, recipient: Address) -> Sequence[Grant]:
        """The grants of one message to one recipient, dead ones too, as they were made."""

        def look(connection: Connection) -> list[Grant]:
            row = (message_id, sender.key, recipient.key)
            return [grant_of(found) for found in connection.execute(_ADDRESSED, row)]

        return await self._engine.read(look)

    async def downloaded(self, grant: Grant, at: Instant) -> None:
        """Remember that the recipient had all of it through a personal link; the first time counts."""
        row = (at.timestamp(), grant.digest.raw, grant.recipient.key, grant.message_id)

        def note(connection: Connection) -> None:
            connection.execute(_DOWNLOADED, row)

        await self._engine.write(note)

    async def sent(self, sender: Address, most: int) -> Sequence[Grant]:
        """The sender's grants, newest first."""

        def look(connection: Connection) -> list[Grant]:
            return [grant_of(row) for row in connection.execute(_SENT, (sender.key, most))]

        return await self._engine.read(look)

    async def withdraw(self, sender: Address, message_id: str) -> int:
        """End the message's grants; how many were not ended before."""

        def end(connection: Connection) -> int:
            return connection.execute(_WITHDRAW, (message_id, sender.key)).rowcount

        return await self._engine.write(end)

    async def take_back(self, grants: Sequence[Grant]) -> None:
        """As if they had never been."""
        rows = [(grant.message_id, grant.digest.raw, grant.recipient.key) for grant in grants]

        def forget(connection: Connection) -> None:
            connection.executemany(_TAKE_BACK, rows)

        await self._engine.write(forget)
