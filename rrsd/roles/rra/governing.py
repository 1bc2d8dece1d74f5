"""The verbs about destinations, the issuer and the daemon: what operators lay down lasts until they take it back."""

import math
from collections import Counter

from attrs import define

from rrsd.core.refusals import Malformed
from rrsd.core.values.calls import Event
from rrsd.core.values.operations import Kind, Ruling
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.acting import OPERATOR
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.ports import Audit, Bell, Queue, Timers
from rrsd.roles.rra.scheduler import Scheduler
from rrsd.roles.rra.standing import Obstacle

MOST_REASON = 500
MOST_LIMIT = 10_000


@define(eq=False, kw_only=True)
class Governing:
    """Durable first, then in force; said again, nothing changes but who said it last."""

    queue: Queue
    books: Books
    scheduler: Scheduler
    timers: Timers
    bell: Bell
    audit: Audit

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """All that is in force."""
        return self.scheduler.health.rulings.all

    def notes(self) -> tuple[str, ...]:
        """What is in force, for whoever looks at the daemon's health: any program of this host, so that nobody is
        named."""
        drained = self.scheduler.health.rulings.drained
        kinds = Counter(each.kind for each in self.rulings)
        counted = (f"{kinds[kind]} resource servers {said}" for kind, said in _SAID.items() if kinds[kind])
        return (*([f"drained since {drained.at:%Y-%m-%d %H:%M} UTC: no pull starts"] if drained else []), *counted)

    def waits_for(self, origin: Origin | None = None) -> tuple[str, ...]:
        """What operators have laid down that has to be taken back before anything starts from there, as `explain`
        names it; of None, before anything starts at all."""
        rulings = self.scheduler.health.rulings
        paused = rulings.paused(origin) if origin is not None else None
        kept = ((rulings.drained, Obstacle.DRAINED), (paused, Obstacle.PAUSED))
        return tuple(name.value for ruling, name in kept if ruling is not None)

    async def drain(self, reason: str = "", who: str = OPERATOR) -> None:
        """Nothing new starts, after a restart either; what runs goes on to its end. Messages are accepted all the
        same."""
        await self._rule("drain", Kind.DRAIN, "", reason, who)

    async def undrain(self, who: str = OPERATOR) -> None:
        """Undo it."""
        await self._unrule("undrain", Kind.DRAIN, "", who)

    async def pause(self, origin: Origin, reason: str = "", who: str = OPERATOR) -> None:
        """Nothing new starts from there; what runs goes on to its end."""
        await self._rule("pause", Kind.PAUSE, str(origin), reason, who)
        self.scheduler.picker.drop(origin)

    async def resume(self, origin: Origin, who: str = OPERATOR) -> None:
        """Undo it."""
        await self._unrule("resume", Kind.PAUSE, str(origin), who)
        await self.queue.put_off([(origin, self.timers.now())])
        self.bell.ring()

    async def limit(self, origin: Origin, most: int, reason: str = "", who: str = OPERATOR) -> None:
        """No more than so many at once from there; 0 lifts it.

        Raises:
            Malformed: it is no such number.
        """
        if not 0 <= most <= MOST_LIMIT:
            raise Malformed(f"a limit is 1 to {MOST_LIMIT}, or 0 for none; pause starts nothing at all")
        if most:
            await self._rule("limit", Kind.LIMIT, str(origin), reason, who, most)
        else:
            await self._unrule("limit", Kind.LIMIT, str(origin), who)

    async def retry(self, origin: Origin, who: str = OPERATOR) -> int:
        """Probe the destination now, and let those that wait for it run; how many. At most once in 10 s anything
        happens."""
        self._write_down("retry-destination", str(origin), who)
        return await self.scheduler.wake(origin)

    def wait(self, origin: Origin) -> int:
        """In how many seconds `retry` does anything; 0 for now."""
        return math.ceil(self.scheduler.health.wake_wait(origin).total_seconds())

    async def retry_issuer(self, who: str = OPERATOR) -> bool:
        """Ask our token service now; False if it answers, or was asked for the same reason in the last 10 s."""
        self._write_down("retry-issuer", "sts", who)
        asked = self.scheduler.health.let_issuer()
        self.bell.ring()
        return asked

    async def _rule(self, verb: str, kind: Kind, name: str, reason: str, who: str, most: int = 0) -> None:
        if len(reason) > MOST_REASON:
            raise Malformed(f"a reason has at most {MOST_REASON} characters")
        why = " ".join(reason.split())
        words = (verb, str(most) if most else "", f"({why})" if why else "")
        self._write_down(" ".join(filter(None, words)), name, who)
        ruling = Ruling(kind, name, self.timers.now(), who, why, most)
        await self.books.rule(ruling)
        self.scheduler.health.rulings.put(ruling)
        self.bell.ring()

    async def _unrule(self, verb: str, kind: Kind, name: str, who: str) -> None:
        self._write_down(f"{verb} 0" if kind is Kind.LIMIT else verb, name, who)
        await self.books.unrule(kind, name)
        self.scheduler.health.rulings.drop(kind, name)
        self.bell.ring()

    def _write_down(self, evidence: str, name: str, who: str) -> None:
        self.audit.record(Event("operate", "granted", who=who, peer=name, resource=name or "pulls", evidence=evidence))


_SAID = {Kind.PAUSE: "are paused", Kind.LIMIT: "have a limit of their own"}
