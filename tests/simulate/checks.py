"""The promises R1-R10, looked at from outside: what each machine's disk would show if the power failed now.

`durable` reads rows and files of a machine, running or not. The predicates compare that with what was acknowledged.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing

from attrs import define, field, frozen

from rrsd.core.values.digests import Digest, digest_of
from rrsd.roles.rra.rules import TERMINAL
from tests.crash.disk import State
from tests.crash.files import Broken
from tests.simulate.letters import FORBIDDEN, GOOD, LYING, MISSING, Letter
from tests.simulate.machine import Machine

_JOBS = "SELECT job, message, recipient, state, digest, attempts, message_id, evidence FROM jobs"
_GRANTS = "SELECT message_id, digest, recipient, receipted, withdrawn, not_after FROM grants"
_MESSAGES = "SELECT message, recipient FROM messages"


@frozen
class JobRow:
    """A job as its row says."""

    job: int
    message: str
    recipient: str
    state: str
    digest: str
    attempts: int
    message_id: str
    evidence: str


@frozen
class GrantRow:
    """A grant as its row says."""

    message_id: str
    digest: str
    recipient: str
    is_receipted: bool
    is_withdrawn: bool
    expires: float


@frozen
class Durable:
    """What a machine would still know after a loss of power."""

    jobs: tuple[JobRow, ...]
    grants: tuple[GrantRow, ...]
    messages: frozenset[tuple[str, str]]
    there: frozenset[str]


def durable(machine: Machine) -> Durable:
    """What is on its disk for sure. Raises Broken where a final name has other bytes than it names."""
    process = machine.process
    if process is not None:
        return _read(process.rows.connection, process.files.state)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(machine.data)
        return _read(connection, machine.kept)


def _read(connection: sqlite3.Connection, disk: State) -> Durable:
    jobs = [
        JobRow(job, message, recipient, state, Digest(digest).b64, attempts, message_id, evidence)
        for job, message, recipient, state, digest, attempts, message_id, evidence in connection.execute(_JOBS)
    ]
    grants = [
        GrantRow(row[0], Digest(row[1]).b64, row[2], row[3] is not None, bool(row[4]), row[5])
        for row in connection.execute(_GRANTS)
    ]
    return Durable(tuple(jobs), tuple(grants), frozenset(map(tuple, connection.execute(_MESSAGES))), _finals(disk))


def _finals(disk: State) -> frozenset[str]:
    found = set()
    for path, content in disk.files():
        folder, _, name = path.rpartition("/")
        if "/blobs/" in f"{folder}/":
            if digest_of(content).b64 != name:
                raise Broken("R2", f"{name} holds {len(content)} bytes that it does not name")
            found.add(name)
    return frozenset(found)


@define(eq=False)
class Witness:
    """Remembers what was told to anybody, and what was seen to be over."""

    letters: list[Letter]
    stored: set[tuple[str, str]] = field(factory=set)
    over: dict[tuple[str, int], str] = field(factory=dict)

    def look(self, machines: Mapping[str, Machine], receiver: Machine) -> None:
        """Hold what can be held at any moment. Raises Broken."""
        mine = durable(receiver)
        self._accepted(mine)
        self._stored(mine)
        self._over(mine)
        for name, machine in machines.items():
            if machine is not receiver:
                self._sender(name, machine, durable(machine), mine)

    def _accepted(self, mine: Durable) -> None:
        told = {(letter.message, str(each)) for letter in self.letters if letter.accepted for each in letter.recipients}
        _require("R1", not told - mine.messages, f"acknowledged and gone: {sorted(told - mine.messages)}")

    def _stored(self, mine: Durable) -> None:
        claimed = {job.digest for job in mine.jobs if job.state in ("stored", "receipted")}
        _require("R2", claimed <= mine.there, f"stored, and not on the disk: {sorted(claimed - mine.there)}")
        rows = {(job.recipient, job.digest) for job in mine.jobs if job.state in ("stored", "receipted")}
        _require("R8", self.stored <= rows, f"said to be stored, and is not: {sorted(self.stored - rows)}")

    def _over(self, mine: Durable) -> None:
        for job in mine.jobs:
            if job.state in TERMINAL:
                before = self.over.setdefault(("receiver", job.job), job.state)
                _require("R8", before == job.state, f"pull {job.job} was {before} and is {job.state}")

    def _sender(self, name: str, machine: Machine, own: Durable, mine: Durable) -> None:
        known = {grant.message_id for grant in own.grants}
        told = {letter.message_id for letter in self.letters if letter.sender == name and letter.granted
                and any(item.kind == GOOD for item in letter.items)}  # fmt: skip
        _require("R1", told <= known, f"granted and gone at {name}: {sorted(told - known)}")
        now = machine.network.clock.seconds() + machine.skew
        live = [each for each in own.grants if not (each.is_receipted or each.is_withdrawn) and each.expires > now]
        lost = sorted({each.digest for each in live} - own.there)
        _require("R3", not lost, f"collected at {name} before the receipts: {lost}")
        arrived = {(job.recipient, job.digest) for job in mine.jobs if job.state in ("stored", "receipted")}
        false = [each for each in own.grants if each.is_receipted and (each.recipient, each.digest) not in arrived]
        _require("R8", not false, f"receipts at {name} for what is not stored: {false}")


def overdue(jobs: Iterable[JobRow]) -> list[str]:
    """Jobs that are not over."""
    return [f"pull {job.job} is {job.state} after {job.attempts} attempts" for job in jobs if job.state not in TERMINAL]


ALLOWED = {
    GOOD: {"receipted"},
    MISSING: {"needs_auth", "failed", "expired"},
    LYING: {"failed", "quarantined", "receipted"},
    FORBIDDEN: {"needs_auth", "failed", "expired"},
}
"""How a pull may end when nobody interferes."""


def fate_wrong(job: JobRow, letter: Letter, was_cancelled: bool, damaged: int) -> str:
    """What is wrong with how the job ended, nothing if it is right."""
    kinds = {item.kind for item in letter.items if item.digest.b64 == job.digest}
    allowed = set().union(*(ALLOWED[kind] for kind in kinds))
    if was_cancelled:
        allowed |= {"cancelled"}
    if damaged > 1:
        allowed |= {"quarantined"}
    if letter.withdrawn:
        allowed |= {"failed", "needs_auth"}
    if job.state in allowed:
        return ""
    kind = " or ".join(sorted(kinds))
    return f"pull {job.job} of letter {letter.number}, which is {kind}, is {job.state} in the end: {job.evidence}"


def _require(promise: str, holds: object, seen: str) -> None:
    if not holds:
        raise Broken(promise, seen)
