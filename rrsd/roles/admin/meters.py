"""Prometheus metrics: decisions as they are made, the queue as it is when somebody looks."""

from collections.abc import Callable
from functools import lru_cache

from attrs import define, field
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import Counts, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TOOK = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600, 3600)


@define(eq=False)
class Meters:
    """The daemon's metrics. Labels come from closed lists only, so that no peer can make them grow."""

    registry: CollectorRegistry = field(factory=CollectorRegistry)
    _decisions: Counter = field(init=False)
    _count_of: Callable[[str, str, str], Counter] = field(init=False)
    _took_by: Callable[[str], Histogram] = field(init=False)
    _bytes: Counter = field(init=False)
    _took: Histogram = field(init=False)
    _jobs: Gauge = field(init=False)
    _waiting: Gauge = field(init=False)
    _lag: Gauge = field(init=False)
    _room: dict[str, Gauge] = field(init=False)

    def __attrs_post_init__(self) -> None:
        registry = self.registry
        labels = ("what", "outcome", "refusal")
        self._decisions = Counter("rrsd_decisions", "Decisions made, by kind and outcome.", labels, registry=registry)
        # Finding a label's counter costs more than counting; there are as many as there are kinds of decisions.
        self._count_of = lru_cache(None)(self._decisions.labels)
        self._bytes = Counter("rrsd_pulled_bytes", "Bytes of resources pulled and verified.", registry=registry)
        self._took = Histogram("rrsd_took_seconds", "How long it took.", ("what",), buckets=_TOOK, registry=registry)
        self._took_by = lru_cache(None)(self._took.labels)
        self._jobs = Gauge("rrsd_pulls", "Pulls in the queue, by state.", ("state",), registry=registry)
        self._waiting = Gauge("rrsd_pull_bytes_waiting", "Bytes of pulls still to come.", registry=registry)
        self._room = {
            "held": Gauge("rrsd_held_bytes", "Bytes that users hold, each counted alone.", registry=registry),
            "reserved": Gauge("rrsd_reserved_bytes", "Bytes set apart on the disk, not written.", registry=registry),
            "free": Gauge("rrsd_free_bytes", "Bytes of the disk that may still be set apart.", registry=registry),
        }
        self._lag = Gauge("rrsd_reactor_lag_seconds", "How late the last timer fired.", registry=registry)

    def record(self, event: Event) -> None:
        """Count the decision."""
        self._count_of(event.what, event.outcome, event.refusal).inc()
        if event.took:
            self._took_by(event.what).observe(event.took)
        if event.what == "pull" and event.outcome == "granted":
            self._bytes.inc(event.size)

    def lagged(self, seconds: float) -> None:
        """Remember how late the reactor was."""
        self._lag.set(seconds)

    def text(self, counts: Counts) -> bytes:
        """Everything in Prometheus' text format."""
        for state in State:
            self._jobs.labels(state).set(counts.by_state.get(state, 0))
        self._waiting.set(counts.bytes_waiting)
        for name, gauge in self._room.items():
            gauge.set(getattr(counts, name))
        return generate_latest(self.registry)
