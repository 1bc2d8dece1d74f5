"""The promises R1-R10, looked at from outside: what each machine's disk would show if the power failed now.

`durable` reads rows and files of a machine, running or not. The predicates compare that with what was acknowledged.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import timedelta

from attrs import define, field, frozen

from rrsd.core.values.digests import Digest, digest_of
from rrsd.roles.rra.rules import TERMINAL, UNFINISHED
from tests.crash.disk import State
from tests.crash.files import Broken
from tests.simulate.letters import DEAD, FORBIDDEN, GOOD, LYING, MISSING, REFUSED, Item, Letter
from tests.simulate.machine import Machine
from tests.simulate.operators import Orders
from tests.simulate.scale import BLOCK, CHUNK

_JOBS = """
SELECT job, message, recipient, state, digest, attempts, message_id, evidence, origin, due, condition, accepted, stored,
    not_after
FROM jobs
"""
_SETTLED = ("receipted", "failed", "expired", "cancelled", "quarantined")
_WAITING = frozenset(UNFINISHED) - {"leased"}
_STATES = ", ".join(f"'{state}'" for state in sorted(_WAITING))
_ADRIFT = f"SELECT job FROM jobs WHERE due IS NULL AND condition = '' AND state IN ({_STATES})"
_GRANTS = "SELECT message_id, digest, recipient, receipted, withdrawn, not_after FROM grants"
_MESSAGES = "SELECT message, recipient FROM messages"
_NOTICES = "SELECT key, recipient, kind, made FROM notices WHERE kind != ''"


def _name_of(digest: bytes) -> str:
    return Digest(digest).b64


@frozen
class JobRow:
    """A job as its row says."""

    job: int
    message: str
    recipient: str
    state: str
    digest: str = field(converter=_name_of)
    attempts: int
    message_id: str
    evidence: str
    origin: str
    due: float | None
    condition: str
    accepted: float
    stored: float | None
    not_after: float | None


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
class NoticeRow:
    """A notice about attachments, as it is in the outbox of small messages."""

    key: str
    told: str
    kind: str
    made: float

    @property
    def about(self) -> tuple[str, str, str]:
        """To which party, about which message, to which recipient: as its key says."""
        _, _, party, message, wrote, *_ = self.key.split(" ")
        return party, message, wrote


@frozen
class Durable:
    """What a machine would still know after a loss of power."""

    jobs: tuple[JobRow, ...]
    grants: tuple[GrantRow, ...]
    messages: frozenset[tuple[str, str]]
    there: frozenset[str]
    notices: tuple[NoticeRow, ...]


def durable(machine: Machine) -> Durable:
    """What is on its disk for sure. Raises Broken where a final name has other bytes than it names."""
    process = machine.process
    if process is not None:
        return _read(process.rows.connection, process.files.state)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(machine.data)
        return _read(connection, machine.kept)


def require_aim(machine: Machine) -> None:
    """Every pull waits for a time or a condition, as the rows are now (R7). Raises Broken."""
    process = machine.process
    lost = [] if process is None else [number for (number,) in process.rows.connection.execute(_ADRIFT)]
    _require("R7", not lost, f"pulls wait for nothing: {lost}")


def _read(connection: sqlite3.Connection, disk: State) -> Durable:
    jobs = [JobRow(*row) for row in connection.execute(_JOBS)]
    grants = [
        GrantRow(row[0], Digest(row[1]).b64, row[2], row[3] is not None, bool(row[4]), row[5])
        for row in connection.execute(_GRANTS)
    ]
    notices = tuple(NoticeRow(*row) for row in connection.execute(_NOTICES))
    messages = frozenset(map(tuple, connection.execute(_MESSAGES)))
    return Durable(tuple(jobs), tuple(grants), messages, _finals(disk), notices)


def _finals(disk: State) -> frozenset[str]:
    found = set()
    for path, content in disk.files():
        folder, _, name = path.rpartition("/")
        if "/blobs/" in f"{folder}/":
            if digest_of(content).b64 != name:
                raise Broken("R2", f"{name} holds {len(content)} bytes that it does not name")
            found.add(name)
    return frozenset(found)


MOST_ATTEMPTS = 60
"""Of one pull in an hour; the simulation has seen 12."""
MOST_PROBES = 60
"""Of one host that is down, in an hour, whoever asks; the simulation has seen 9."""
AGAIN = CHUNK + 2 * BLOCK + 1024
"""Bytes that an attempt may bring again: what came since the last checkpoint, and the heads of its answers."""
PROMPT = 90.0
"""Seconds in which a healthy sender's pull is over, whatever others do (R6): four silent transfers of another sender
may have the four slots until each has been silent for a minute."""


@define(eq=False)
class Effort:
    """How much was tried, by the hour (R5)."""

    attempts: Counter[tuple[str, str, int]] = field(factory=Counter)
    probes: Counter[tuple[str, int]] = field(factory=Counter)

    def attempted(self, subject: str, digest: str, at: float) -> None:
        """A pull has failed. Raises Broken."""
        key = (subject, digest, int(at // 3600))
        self.attempts[key] += 1
        _require("R5", self.attempts[key] <= MOST_ATTEMPTS, f"more than {MOST_ATTEMPTS} attempts in an hour: {key}")

    def probed(self, host: str, at: float) -> None:
        """A host that is down was asked. Raises Broken."""
        key = (host, int(at // 3600))
        self.probes[key] += 1
        _require("R5", self.probes[key] <= MOST_PROBES, f"{host} is down, and was asked {MOST_PROBES} times in an hour")


@define(eq=False)
class Witness:
    """Remembers what was told to anybody, and what was seen to be over."""

    letters: list[Letter]
    stored: dict[tuple[str, str], float] = field(factory=dict)
    """By recipient and digest, when it was said that it is stored."""
    over: dict[tuple[str, int], str] = field(factory=dict)
    effort: Effort = field(factory=Effort)
    orders: Orders = field(factory=Orders)

    def look(self, machines: Mapping[str, Machine], receiver: Machine) -> None:
        """Hold what can be held at any moment. Raises Broken."""
        mine = durable(receiver)
        self._accepted(mine)
        self._stored(mine)
        self._over(mine)
        self._told(mine)
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
        false = sorted(self.stored.keys() - rows)
        _require("R8", not false, f"said to be stored, and is not: {false}")

    def _over(self, mine: Durable) -> None:
        for job in mine.jobs:
            if job.state in TERMINAL:
                before = self.over.setdefault(("receiver", job.job), job.state)
                _require("R8", before == job.state, f"pull {job.job} was {before} and is {job.state}")

    def _told(self, mine: Durable) -> None:
        for job in mine.jobs:
            told = self.orders.told.get(job.job, job.state)
            _require("R8", told == job.state, f"pull {job.job} was said to be {told} and is {job.state}")

    def require_prompt(self, letter: Letter) -> None:
        """Nothing kept the letter's pulls waiting. Raises Broken."""
        for item in letter.items:
            for recipient in letter.recipients:
                stored = self.stored.get((str(recipient), item.digest.b64), float("inf"))
                late = item.kind == GOOD and stored - letter.accepted_at > PROMPT
                waited = f"waited {stored - letter.accepted_at:.0f} s"
                _require("R6", not late, f"letter {letter.number} of {letter.sender}, which is well, {waited}")

    def _sender(self, name: str, machine: Machine, own: Durable, mine: Durable) -> None:
        known = {grant.message_id for grant in own.grants}
        told = {letter.message_id for letter in self.letters if letter.sender == name and letter.granted
                and any(item.kind == GOOD for item in letter.items)}  # fmt: skip
        _require("R1", told <= known, f"granted and gone at {name}: {sorted(told - known)}")
        now = machine.network.clock.seconds() + machine.skew
        live = [each for each in own.grants if not (each.is_receipted or each.is_withdrawn) and each.expires > now]
        lost = sorted({each.digest for each in live} - own.there)
        _require("R3", not lost, f"collected at {name} before the receipts: {lost}")
        ends = {(each.message_id, each.digest, each.recipient): each.expires for each in own.grants}
        for job in mine.jobs:
            end = ends.get((job.message_id, job.digest, job.recipient))
            more = end is not None and job.not_after is not None and job.not_after > end + 1.0
            _require("R8", not more, f"pull {job.job} has been given more time than {name} gives")
        arrived = {(job.recipient, job.digest) for job in mine.jobs if job.state in ("stored", "receipted")}
        false = [each for each in own.grants if each.is_receipted and (each.recipient, each.digest) not in arrived]
        _require("R8", not false, f"receipts at {name} for what is not stored: {false}")


def overdue(jobs: Iterable[JobRow]) -> list[str]:
    """Jobs that are not over."""
    return [f"pull {job.job} is {job.state} after {job.attempts} attempts" for job in jobs if job.state not in TERMINAL]


def is_over(jobs: Iterable[JobRow], letters: Iterable[Letter]) -> bool:
    """Whether nothing more will happen: what is refused is asked again for days."""
    letters = tuple(letters)
    waits = {item.digest.b64 for letter in letters for item in letter.items if item.kind in REFUSED}
    return all(letter.accepted for letter in letters) and all(
        job.state in _SETTLED or (job.state == "needs_auth" and job.digest in waits) for job in jobs
    )


ALLOWED = {
    GOOD: {"receipted"},
    MISSING: {"needs_auth", "failed", "expired"},
    LYING: {"failed", "quarantined", "receipted", "expired"},
    FORBIDDEN: {"needs_auth", "failed", "expired"},
    DEAD: {"expired"},
}
"""How a pull may end when nobody interferes."""


def fate_wrong(job: JobRow, letter: Letter, was_touched: bool, damaged: int) -> str:
    """What is wrong with how the job ended, nothing if it is right."""
    kinds = {item.kind for item in letter.items if item.digest.b64 == job.digest}
    allowed = set().union(*(ALLOWED[kind] for kind in kinds))
    if was_touched:
        allowed |= {"cancelled", "expired"}
    if letter.is_ahead:
        allowed |= {"deferred"} if DEAD in kinds else {"expired"} if letter.lifetime < timedelta(days=1) else set()
    if letter.lifetime < timedelta(hours=1):
        allowed |= {"expired", "failed"}  # its end may come before its bytes, and then the sender says that it is over
    if damaged > 1:
        allowed |= {"quarantined"}
    if letter.withdrawn:
        allowed |= {"failed", "needs_auth"}
    if job.state in allowed:
        return ""
    kind = " or ".join(sorted(kinds))
    return f"pull {job.job} of letter {letter.number}, which is {kind}, is {job.state} in the end: {job.evidence}"


def require_bytes_once(item: Item, carried: int, requests: int) -> None:
    """Each attempt goes on where the one before was durable (R4). Raises Broken."""
    most = len(item.data) + requests * AGAIN
    seen = f"{carried} bytes came in {requests} answers, for a resource of {len(item.data)}: {most} were enough"
    _require("R4", carried <= most, seen)


def _require(promise: str, holds: object, seen: str) -> None:
    if not holds:
        raise Broken(promise, seen)
