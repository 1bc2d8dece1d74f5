"""The promises of the scheduler (docs/protocol/pull.rst), as predicates over what a crash left.

R1, R2, R3, R7 and R8 are looked at here, before the next process starts and after it has come to its end; R4, R5 and R9
by the scenarios on their way (tests/crash/scenarios.py).
"""

from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from rrsd.core.values.digests import Digest, digest_of
from tests.crash.database import Transactions, Version, Versions
from tests.crash.disk import NOTHING, State
from tests.crash.files import Broken
from tests.crash.scenarios import ROT
from tests.crash.world import ROOT, Fact, World

_JOBS = "SELECT job, message, state, digest FROM jobs"
_RAWS = "SELECT raw FROM messages"
_RECEIPTS = "SELECT job, lower(jti) FROM receipts"
_UPLOADS = "SELECT offset, digest FROM uploads"
_GRANTS = "SELECT message_id, digest, receipted FROM grants"
_SIGNED = "SELECT message_id FROM grants JOIN custody ON grant_number = number WHERE receipted IS NOT NULL"


@frozen
class Rows:
    """What the rows say, as far as promises go."""

    messages: frozenset[str]
    raws: frozenset[str]
    stored: frozenset[str]
    stored_digests: frozenset[str]
    lost: frozenset[str]
    receipted: frozenset[int]
    receipts: "dict[int, str]"
    offset: int
    granted: frozenset[str]
    granted_digests: frozenset[str]
    complete: frozenset[str]
    signed: frozenset[str]


def read_rows(connection: Transactions) -> Rows:
    """The rows as they are."""
    jobs = connection.execute(_JOBS).fetchall()
    stored = [row for row in jobs if row[2] in ("stored", "receipted")]
    uploads = connection.execute(_UPLOADS).fetchall()
    grants = connection.execute(_GRANTS).fetchall()
    return Rows(
        messages=frozenset(row[1] for row in jobs),
        raws=frozenset(_name(row[0]) for row in connection.execute(_RAWS).fetchall()),
        stored=frozenset(row[1] for row in stored),
        stored_digests=frozenset(_name(row[3]) for row in stored),
        lost=frozenset(row[1] for row in jobs if row[2] == "expired"),
        receipted=frozenset(row[0] for row in stored if row[2] == "receipted"),
        receipts=dict(connection.execute(_RECEIPTS).fetchall()),
        offset=max((row[0] for row in uploads), default=0),
        granted=frozenset(row[0] for row in grants),
        granted_digests=frozenset(_name(row[1]) for row in grants if row[2] is None),
        signed=frozenset(row[0] for row in connection.execute(_SIGNED).fetchall()),
        complete=frozenset(_name(row[1]) for row in uploads if row[1] is not None),
    )


def _name(raw: bytes) -> str:
    return Digest(raw).b64


def finals(disk: State) -> frozenset[str]:
    """The names in blobs/ that survive, each of which must have the content that it names.

    Raises:
        Broken: R2, one has not.
    """
    found = set()
    for path, content in disk.files():
        folder, _, name = path.rpartition("/")
        if folder.startswith(f"{ROOT}/blobs/"):
            if digest_of(content).b64 != name:
                if content == ROT:
                    continue
                raise Broken("R2", f"{name} holds {len(content)} bytes that it does not name")
            found.add(name)
    return frozenset(found)


def _accepted(rows: Rows, there: frozenset[str], facts: Sequence[Fact]) -> str:
    told = {fact[1] for fact in facts if fact[0] == "accepted"}
    offset = max((int(fact[1]) for fact in facts if fact[0] == "offset"), default=0)
    granted = {fact[1] for fact in facts if fact[0] == "granted"}
    if told - rows.messages:
        return f"acknowledged and gone: {told - rows.messages}"
    if rows.raws - there:
        return f"a placeholder without its bytes: {rows.raws - there}"
    if offset > rows.offset and ("tidy",) not in facts:
        return f"an upload was acknowledged up to {offset}, and is at {rows.offset}"
    return f"granted and gone: {granted - rows.granted}" if granted - rows.granted else ""


def _stored(rows: Rows, there: frozenset[str], facts: Sequence[Fact]) -> str:
    claimed = rows.stored_digests | rows.complete | rows.granted_digests
    return f"claimed to be stored: {claimed - there}" if claimed - there else ""


def _kept(rows: Rows, there: frozenset[str], facts: Sequence[Fact]) -> str:
    released = {fact[1] for fact in facts if fact[0] == "released"}
    gone = {fact[1] for fact in facts if fact[0] == "kept"} - there - released
    return f"a final name is gone: {gone}" if gone else ""


def _told(rows: Rows, there: frozenset[str], facts: Sequence[Fact]) -> str:
    stored = {fact[1] for fact in facts if fact[0] == "stored"}
    acknowledged = {fact[1] for fact in facts if fact[0] == "receipted"}
    keys = {fact[1]: fact[2] for fact in facts if fact[0] == "receipt"}
    lost = {fact[1] for fact in facts if fact[0] == "notice"}
    if lost - rows.lost:
        return f"told to be lost, and is not: {lost - rows.lost}"
    if stored - rows.stored:
        return f"told to be stored, and is not: {stored - rows.stored}"
    if acknowledged - rows.receipted:
        return f"acknowledged, and would be sent again: {acknowledged - rows.receipted}"
    signed = {fact[1] for fact in facts if fact[0] == "acknowledged"}
    if signed - rows.signed:
        return f"acknowledged, and what was signed is not kept: {signed - rows.signed}"
    changed = [job for job, key in rows.receipts.items() if keys.get(job, key) != key]
    if len(rows.stored) != len(rows.receipts) + len(rows.receipted):
        return "a stored job has no receipt in the outbox"
    return f"a receipt changed its key: {changed}" if changed else ""


PREDICATES: tuple[tuple[str, Callable[[Rows, frozenset[str], Sequence[Fact]], str]], ...] = (
    ("R1", _accepted),
    ("R2", _stored),
    ("R3", _kept),
    ("R8", _told),
)
"""Each says what is wrong, or nothing."""


@define(eq=False)
class Promises:
    """Holds the promises against states; what the rows say is read once for each version of them."""

    versions: Versions
    _rows: dict[Version, Rows] = field(factory=dict, init=False)

    def hold(self, disk: State, version: Version, facts: Sequence[Fact]) -> None:
        """Raises Broken."""
        rows = self._rows.get(version)
        if rows is None:
            rows = self._rows[version] = read_rows(self.versions.borrowed(version))
        _require(rows, disk, facts)

    def complete(self, world: World) -> None:
        """After a process that went to the end: nothing is half done, and the promises hold. Raises Broken."""
        disk = world.files.state
        world.require("R5", not world.files._open, f"files stay open: {world.files._open}")
        if world.calls.fault is None:
            left = [list(disk.seen.get(f"{ROOT}/{name}", NOTHING)) for name in ("partial", "uploads")]
            world.require("R3", not any(left), f"left behind: {left}")
        rows = read_rows(world.connection)
        world.require(
            "R7", rows.messages == rows.stored | rows.lost and not rows.receipts, "a job was not brought to its end"
        )
        _require(rows, disk, world.facts)


def _require(rows: Rows, disk: State, facts: Sequence[Fact]) -> None:
    there = finals(disk)
    for name, wrong in PREDICATES:
        seen = wrong(rows, there, facts)
        if seen:
            raise Broken(name, seen)
