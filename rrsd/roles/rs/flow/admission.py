"""How many may be inside at a time, and the record of every decision."""

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

from rrsd.core.refusals import Refusal, TooMany, Unavailable
from rrsd.core.values.calls import Event
from rrsd.core.values.networks import network_of
from rrsd.roles.rs import rules
from rrsd.roles.rs.ports import Audit, Rates, Timers
from rrsd.roles.rs.settings import Settings
from rrsd.runtime.expiring import Expiring

BUDGET_SECONDS = 60.0
MOST_SPENDERS = 10_000


@define(eq=False)
class Gate:
    """Lets requests in: so many per second and so many at a time for one address, and so many at a time for all."""

    settings: Settings
    rates: Rates
    audit: Audit
    _inside: dict[str, int] = field(factory=dict, init=False)
    _all: int = field(default=0, init=False)

    @contextmanager
    def enter(self, peer: str) -> Iterator[None]:
        """Be inside while the block runs.

        Raises:
            TooMany: the address asks too often, or has too many requests running.
            Unavailable: everybody together has.
        """
        network = network_of(peer)
        try:
            self._require_room(peer, network)
        except Refusal as refusal:
            self.audit.record(Event("admit", "refused", peer=peer, refusal=refusal.reason, evidence=refusal.detail))
            raise
        self._count(network, 1)
        try:
            yield
        finally:
            self._count(network, -1)

    def _require_room(self, peer: str, network: str) -> None:
        wait = self.rates.take(peer)
        if wait:
            raise TooMany("rate of one address", wait)
        if self._inside.get(network, 0) >= self.settings.concurrent:
            raise TooMany("requests of one address", 1)
        if self._all >= self.settings.concurrent_all:
            raise Unavailable("requests of everybody", 5)

    def _count(self, network: str, step: int) -> None:
        self._all += step
        count = self._inside.get(network, 0) + step
        if count:
            self._inside[network] = count
        else:
            del self._inside[network]


@define(eq=False)
class Budget:
    """How often one address may make us ask strangers in vain, so that nobody can aim us at somebody else (F-01).

    What is charged before the question is refunded when it proves something.
    """

    most: int
    timers: Timers
    _spent: Expiring[str, tuple[int, float]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._spent = Expiring(MOST_SPENDERS)

    def charge(self, peer: str) -> None:
        """Take one question.

        Raises:
            TooMany: the address has none left this minute.
        """
        if self._change(peer, 1) > self.most:
            raise TooMany("questions to strangers in vain", int(BUDGET_SECONDS))

    def refund(self, peer: str) -> None:
        """Give one back."""
        self._change(peer, -1)

    def _change(self, peer: str, step: int) -> int:
        now, peer = self.timers.monotonic(), network_of(peer)
        spent, until = self._spent.get(peer, now) or (0, now + BUDGET_SECONDS)
        self._spent.put(peer, (max(0, spent + step), until), until)
        return spent + step


@define(eq=False)
class Trace:
    """What a decision has learned so far."""

    who: str = ""
    subject: str = ""
    evidence: str = ""
    resource: str = ""
    policy: str = ""


@define(eq=False)
class Record:
    """Writes one audit event for every decision."""

    audit: Audit
    timers: Timers

    @contextmanager
    def decision(self, what: str, peer: str, resource: str = "") -> Iterator[Trace]:
        """One decision: granted when the block ends, refused or failed when it raises a refusal."""
        began = self.timers.monotonic()
        trace = Trace(resource=resource)
        try:
            yield trace
        except Refusal as refusal:
            trace.evidence = refusal.detail
            self._write(what, peer, trace, began, refusal)
            raise
        self._write(what, peer, trace, began, None)

    def _write(self, what: str, peer: str, trace: Trace, began: float, refusal: Refusal | None) -> None:
        self.audit.record(
            Event(
                what,
                "granted" if refusal is None else rules.outcome_of(refusal),
                who=trace.who,
                subject=trace.subject,
                peer=peer,
                resource=trace.resource,
                refusal="" if refusal is None else refusal.reason,
                evidence=trace.evidence,
                policy=trace.policy,
                took=self.timers.monotonic() - began,
            )
        )
