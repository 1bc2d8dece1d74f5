"""Rows and the values that they hold."""

from datetime import UTC, datetime
from typing import Any, TypeAlias

from rrsd.core.refusals import Damaged
from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Blame, Job, Priority, State
from rrsd.core.values.peers import Origin
from rrsd.core.values.resources import Grant

Row: TypeAlias = tuple[Any, ...]

UNREADABLE = (LookupError, ValueError, TypeError, AttributeError, OverflowError)
"""What the makers of values raise when a column holds what it never should."""

PRIORITIES = (Priority.INTERACTIVE, Priority.NORMAL, Priority.BULK)
"""In the order in which they are picked; the column holds the position."""

RANKS = {priority: rank for rank, priority in enumerate(PRIORITIES)}

_STATES = {state.value: state for state in State}
_BLAMES = {blame.value: blame for blame in Blame}


def instant_of(seconds: float) -> Instant:
    """The instant that a column holds."""
    return datetime.fromtimestamp(seconds, UTC)


def maybe_instant(seconds: float | None) -> Instant | None:
    """The instant of a column that may be NULL."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def maybe_seconds(moment: Instant | None) -> float | None:
    """What a column that may be NULL holds for an instant."""
    return None if moment is None else moment.timestamp()


def address_of(text: str) -> Address:
    """The address that a column holds; it was parsed before it was written."""
    local, _, domain = text.rpartition("@")
    return Address(local, Domain(domain))


def origin_of(text: str) -> Origin:
    """The origin that a column holds; it was parsed before it was written."""
    host, _, port = text[len("https://") :].partition(":")
    return Origin(Domain(host), int(port) if port else 443)


JOB = (
    "job, message, position, recipient, sender, message_id, origin, digest, size, state, priority, accepted, deadline,"
    " due, condition, retries, attempts, restarts, blame, evidence, epoch, not_after, stored, granted,"
    " at_risk, held, again"
)
"""The columns of a job, in the order of the fields of `Job`."""


def job_row(job: Job) -> Row:
    """What the columns `JOB` hold for a job, its number left out."""
    return (
        job.message, job.index, str(job.recipient), job.sender.name, job.message_id, str(job.origin), job.digest.raw,
        job.size, job.state.value, RANKS[job.priority], job.accepted.timestamp(), job.deadline.timestamp(),
        maybe_seconds(job.due), job.condition, job.retries, job.attempts, job.restarts, job.blame.value,
        job.evidence, job.epoch, maybe_seconds(job.not_after), maybe_seconds(job.stored),
        str(job.granted) if job.granted else "", maybe_seconds(job.at_risk), maybe_seconds(job.held),
        job.again,
    )  # fmt: skip


def job_of(row: Row) -> Job:
    """The job in a row of `JOB`.

    Raises:
        Damaged: a column holds what no job has.
    """
    try:
        return Job(
            row[0], row[1], row[2], address_of(row[3]), Domain(row[4]), row[5], origin_of(row[6]), _digest(row[7]),
            row[8], _STATES[row[9]], PRIORITIES[row[10]], instant_of(row[11]), instant_of(row[12]),
            maybe_instant(row[13]), row[14], row[15], row[16], row[17], _BLAMES[row[18]], row[19], row[20],
            maybe_instant(row[21]), maybe_instant(row[22]), address_of(row[23]) if row[23] else None,
            maybe_instant(row[24]), maybe_instant(row[25]), row[26],
        )  # fmt: skip
    except UNREADABLE as error:
        raise Damaged(f"row of job {row[0]}: {type(error).__name__}") from error


def _digest(raw: bytes) -> Digest:
    if len(raw) != 32:
        raise ValueError("digest length")
    return Digest(raw)


GRANT = (
    "message_id, digest, size, sender, recipient, not_after, media_type, filename, withdrawn, receipted, downloaded,"
    " promised"
)
"""The columns of a grant, in the order of the fields of `Grant`."""


def grant_of(row: Row) -> Grant:
    """The grant in a row of `GRANT`."""
    return Grant(
        row[0], Digest(row[1]), row[2], address_of(row[3]), address_of(row[4]), instant_of(row[5]), row[6], row[7],
        bool(row[8]), maybe_instant(row[9]), maybe_instant(row[10]), maybe_instant(row[11]),
    )  # fmt: skip
