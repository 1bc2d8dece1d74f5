"""Jobs, their history and their standing as JSON documents for the operator (pure)."""

from collections.abc import Mapping
from typing import Any

import attrs

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Adjustment, Breaker, Counts, Fetch, HistoryRow, Job
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.explain import Explanation
from rrsd.roles.rra.operate import Shown

Document = dict[str, Any]


def _plain(value: object) -> object:
    if isinstance(value, Instant):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Digest):
        return value.ni
    if isinstance(value, Address | Domain | Origin):
        return str(value)
    return value


def job_document(job: Job, done: int) -> Document:
    """The job by field name; `done` of its bytes are here."""
    return {**{field.name: _plain(getattr(job, field.name)) for field in attrs.fields(Job)}, "done": done}


def fetch_document(fetch: Fetch) -> Document:
    """The shared transfer."""
    return {
        "origin": str(fetch.origin),
        "digest": fetch.digest.ni,
        "epoch": fetch.epoch,
        "validator": fetch.validator,
        "offset": fetch.offset,
    }


def history_document(row: HistoryRow) -> Document:
    """One transition."""
    return {
        "at": _plain(row.at),
        "before": row.before,
        "after": row.after,
        "event": row.event,
        "evidence": row.evidence,
    }


def shown_document(shown: Shown) -> Document:
    """Everything about one job."""
    return {
        "job": job_document(shown.job, shown.done),
        "fetch": fetch_document(shown.fetch),
        "history": [history_document(row) for row in shown.history],
    }


def explanation_document(explanation: Explanation) -> Document:
    """Why a job is where it is."""
    facts: Mapping[str, object] = {
        "state": explanation.state,
        "blame": explanation.blame,
        "evidence": explanation.evidence,
        "next": _plain(explanation.next),
        "remedy": explanation.remedy,
    }
    return {"text": explanation.sentence, "facts": dict(facts)}


def breaker_document(breaker: Breaker, now: Instant) -> Document:
    """A destination or an issuer: how many at once, and when it is asked again if it is left alone."""
    opens = breaker.not_before is not None and breaker.not_before > now
    return {
        "name": breaker.name,
        "limit": breaker.limit,
        "opened": _plain(breaker.opened),
        "until": _plain(breaker.not_before) if opens else None,
        "failures": breaker.failures,
        "probes": breaker.probes,
        "reason": breaker.reason,
    }


def adjustment_document(one: Adjustment) -> Document:
    """One change of a breaker."""
    return {field.name: _plain(getattr(one, field.name)) for field in attrs.fields(Adjustment)}


def counts_document(counts: Counts) -> Document:
    """The queue in numbers."""
    return {
        "by_state": {str(state): number for state, number in counts.by_state.items()},
        "bytes_waiting": counts.bytes_waiting,
    }
