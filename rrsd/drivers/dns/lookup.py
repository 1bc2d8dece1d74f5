"""Records by name: each question asked once at a time, few at once, and not again while its answer lives."""

from datetime import timedelta
from typing import Protocol

from attrs import define, evolve, field
from twisted.internet.defer import DeferredSemaphore

from rrsd.core.refusals import TooMany, Unavailable
from rrsd.core.values.records import Host, Record, Records, RecordType, Service, Text, Tlsa, Verdict
from rrsd.drivers.dns.client import nothing
from rrsd.drivers.dns.settings import Settings
from rrsd.runtime.expiring import Expiring
from rrsd.runtime.flights import Flights
from rrsd.runtime.timers import Timers

MOST_KEPT_BYTES = 8 << 10
"""A larger answer is not kept here, so that a hostile zone cannot fill the memory; the resolver has it."""
_NONE = timedelta()
_FAILED = frozenset({Verdict.BOGUS, Verdict.TEMPORARY})


class Source(Protocol):
    """Who is asked."""

    async def ask(self, name: str, kind: RecordType) -> Records:
        """What is said about the name; trouble is a verdict."""
        ...

    async def stop(self) -> None:
        """Let go of what is held."""
        ...


@define(eq=False)
class Lookup:
    """The answers of `source`, kept as long as their zone says, `least_kept` at least and `most_kept` at most.

    `life` of an answer is what is left of it by its zone's word. Failures live for `failures_kept`.
    """

    source: Source
    timers: Timers
    settings: Settings
    _kept: Expiring[str, tuple[float, Records]] = field(init=False)
    _turns: DeferredSemaphore = field(init=False)
    _flights: Flights = field(factory=Flights, init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = Expiring(self.settings.kept)
        self._turns = DeferredSemaphore(self.settings.at_once)

    async def ask(self, name: str, kind: RecordType) -> Records:
        """What DNS says about `name`, in A-labels and without a final dot. Trouble is a verdict."""
        key = f"{kind} {name.lower()}"
        now = self.timers.monotonic()
        kept = self._kept.get(key, now)
        if kept is not None:
            since, records = kept
            return evolve(records, life=max(_NONE, records.life - timedelta(seconds=now - since)))
        return await self._flights.share(key, lambda: self._fresh(key, name, kind))

    async def stop(self) -> None:
        """Ask nobody any more."""
        await self.source.stop()

    async def _fresh(self, key: str, name: str, kind: RecordType) -> Records:
        late = lambda: Unavailable("name resolution is slow")  # noqa: E731
        try:
            found = await self.timers.within(self.settings.deadline, self._in_turn(name, kind), late)
        except TooMany as refusal:
            # Nothing was heard about this name: the next one who asks may have a turn.
            return nothing(Verdict.TEMPORARY, refusal.detail)
        except Unavailable as refusal:
            found = nothing(Verdict.TEMPORARY, refusal.detail)
        records = self._believable(found)
        self._keep(key, records)
        return records

    async def _in_turn(self, name: str, kind: RecordType) -> Records:
        if not self._turns.tokens and len(self._turns.waiting) >= self.settings.waiting:
            raise TooMany("too many questions to DNS")
        await self._turns.acquire()
        try:
            return await self.source.ask(name, kind)
        finally:
            self._turns.release()

    def _believable(self, found: Records) -> Records:
        """The answer, unless it is more than anybody publishes in good faith: that is final, as bogus is."""
        if found.verdict in _FAILED:
            return evolve(found, life=self.settings.failures_kept)
        reason = ""
        if len(found.records) > self.settings.most_records:
            reason = f"there are more than {self.settings.most_records} records"
        elif any(_size(each) > self.settings.most_bytes for each in found.records):
            reason = f"a record has more than {self.settings.most_bytes} bytes"
        return Records(Verdict.BOGUS, self.settings.failures_kept, (), reason) if reason else found

    def _keep(self, key: str, records: Records) -> None:
        if sum(map(_size, records.records)) > MOST_KEPT_BYTES:
            return
        life = records.life
        if records.verdict not in _FAILED:
            life = min(max(life, self.settings.least_kept), self.settings.most_kept)
        now = self.timers.monotonic()
        self._kept.put(key, (now, records), now + life.total_seconds())


def _size(record: Record) -> int:
    match record:
        case Text() | Tlsa():
            return len(record.data)
        case Service():
            return len(record.target)
        case Host():
            return len(record.address)
