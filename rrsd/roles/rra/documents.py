"""Jobs, their history and their standing as JSON documents for the operator (pure)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from rrsd.core.values.addresses import Address, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Adjustment, Breaker, Counts, Fetch, HistoryRow, Job
from rrsd.core.values.operations import Ruling, ShapeRow
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.bulk import Asked
from rrsd.roles.rra.explain import Explanation
from rrsd.roles.rra.operate import Shown
from rrsd.roles.rra.stocktaking import FOLDERS, Stocktaking

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
        "waits_for": list(explanation.waits_for),
        "ahead": explanation.ahead,
        "eta": _plain(explanation.eta),
        "at_risk": _plain(explanation.at_risk),
        "successor": explanation.successor or None,
        "attempts": [history_document(row) for row in explanation.attempts],
    }
    return {"text": explanation.sentence, "facts": dict(facts)}


def breaker_document(breaker: Breaker, now: Instant, ruled: Ruling | None = None) -> Document:
    """A destination or an issuer: how many at once, and when it is asked again if it is left alone; `ruled` is the
    operator's limit. `earned` is what it would have without that."""
    most = ruled.most if ruled is not None else breaker.limit
    opens = breaker.not_before is not None and breaker.not_before > now
    return {
        "name": breaker.name,
        "limit": min(breaker.limit, most),
        "earned": breaker.limit,
        "opened": _plain(breaker.opened),
        "until": _plain(breaker.not_before) if opens else None,
        "failures": breaker.failures,
        "probes": breaker.probes,
        "reason": breaker.reason,
    }


def adjustment_document(one: Adjustment) -> Document:
    """One change of a breaker."""
    return {field.name: _plain(getattr(one, field.name)) for field in attrs.fields(Adjustment)}


def ruling_document(ruling: Ruling) -> Document:
    """What an operator laid down."""
    return {
        "kind": ruling.kind.value,
        "name": ruling.name,
        "at": _plain(ruling.at),
        "who": ruling.who,
        "reason": ruling.reason,
        "most": ruling.most or None,
    }


def shape_document(rows: Sequence[ShapeRow], ages: Sequence[timedelta]) -> Document:
    """Live jobs by destination and age; `ages` are the columns' ends in seconds, the last column has none."""
    return {
        "ages": [int(age.total_seconds()) for age in ages],
        "rows": [
            {"name": row.name, "destinations": row.destinations, "total": row.total, "counts": list(row.counts)}
            for row in rows
        ],
        "total": sum(row.total for row in rows),
    }


def asked_document(asked: Asked) -> Document:
    """How many an order is about, and what confirms it."""
    return {"jobs": asked.jobs, "token": asked.token, "seconds": asked.seconds}


def stock_document(run: Stocktaking) -> Document:
    """How far the hashing of everything is."""
    return {
        "started": _plain(run.started),
        "ended": _plain(run.ended),
        "share": run.folders / FOLDERS,
        "looked": run.looked,
        "bytes": run.bytes,
        "rate": run.rate,
        "failed": run.failed,
        "damaged": list(run.damaged),
        "unreadable": list(run.unreadable),
    }


def counts_document(counts: Counts) -> Document:
    """The queue in numbers."""
    return {
        "by_state": {str(state): number for state, number in counts.by_state.items()},
        "bytes_waiting": counts.bytes_waiting,
    }
