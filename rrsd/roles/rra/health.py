"""Who may be asked now: the breakers of destinations and of the issuer, and this host's own pause."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from attrs import define, evolve, field

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Adjustment, Blame, Breaker, Job
from rrsd.core.values.peers import Origin
from rrsd.roles.rra import breakers, rules
from rrsd.roles.rra import slots as concurrency
from rrsd.roles.rra.ports import Queue, Timers
from rrsd.roles.rra.rates import Rates
from rrsd.roles.rra.rules import Outcome, Result
from rrsd.roles.rra.rulings import LOOK_AGAIN, Rulings
from rrsd.roles.rra.settings import Settings
from rrsd.runtime.expiring import Expiring

PAUSE = timedelta(seconds=30)
"""How long nothing new starts after this host could not store."""
PROVED = timedelta(hours=1)
"""How long a destination that has delivered something is taken for one that delivers."""
MOST_BREAKERS = 20_000
"""Destinations that are remembered; one that is forgotten costs a few probes."""


@define(eq=False, kw_only=True)
class Health:
    """What is known about the parties of a pull."""

    queue: Queue
    timers: Timers
    settings: Settings
    chance: Callable[[], float]
    rates: Rates = field(init=False)
    rulings: Rulings = field(factory=Rulings)
    _destinations: OrderedDict[str, Breaker] = field(factory=OrderedDict, init=False)
    _issuer: Breaker = field(factory=lambda: Breaker("sts"), init=False)
    _good: Expiring[str, bool] = field(factory=lambda: Expiring(MOST_BREAKERS), init=False)
    _paused: float | None = field(default=None, init=False)
    _woken: Expiring[str, float] = field(factory=lambda: Expiring(MOST_BREAKERS), init=False)

    def __attrs_post_init__(self) -> None:
        self.rates = Rates(self.queue, self.timers)

    async def recall(self) -> None:
        """Take up the breakers and rates as they were saved."""
        now = self.timers.now()
        await self.rates.recall()
        for each in await self.queue.breakers("destination"):
            self._remember(each, now)
        for each in await self.queue.breakers("issuer"):
            # What is further away than it ever is was written before the clock was set back.
            is_wrong = each.not_before is not None and each.not_before - now > breakers.ISSUER_CAP
            self._issuer = evolve(each, not_before=now) if is_wrong else each
        self.rulings.recall(await self.queue.rulings())

    def pause(self) -> None:
        """Begin nothing new for a while: this host could not store."""
        self._paused = self.timers.monotonic() + PAUSE.total_seconds()

    def held_back(self, now: Instant) -> timedelta | None:
        """How long nothing at all may begin; None when something may."""
        waits = [LOOK_AGAIN] if self.rulings.drained is not None else []
        if self._paused is not None and self._paused > self.timers.monotonic():
            waits.append(timedelta(seconds=self._paused - self.timers.monotonic()))
        until = self.issuer_until(now)
        if until is not None:
            waits.append(until - now)
        return max(waits, default=None)

    def issuer_until(self, now: Instant) -> Instant | None:
        """Until when nothing is asked of the STS, and so of nobody; None when it may be asked."""
        until = self._issuer.not_before
        return until if until is not None and until > now else None

    @property
    def on_probation(self) -> bool:
        """Whether the issuer failed and nobody knows yet that it answers again."""
        return bool(self._issuer.failures)

    def slots(self, origin: Origin, now: Instant) -> int:
        """Transfers at once from the destination."""
        if self.held_back(now) is not None or self.rulings.paused(origin) is not None:
            return 0
        ruled = self.rulings.limit(origin)
        most = self.settings.active_per_destination
        return min(breakers.slots(self._breaker(origin), now), most, ruled.most if ruled is not None else most)

    def is_trusted(self, origin: Origin) -> bool:
        """Whether the destination is not on probation, so that its jobs may be leased ahead."""
        return not self.is_half_open(origin) and not self.on_probation

    def closed_until(self, origin: Origin, now: Instant) -> Instant | None:
        """When the destination may be asked again if it is left alone now; when to look again if it is paused."""
        if self.rulings.paused(origin) is not None:
            return now + LOOK_AGAIN
        breaker = self._breaker(origin)
        return breaker.not_before if breakers.is_open(breaker, now) else None

    def is_half_open(self, origin: Origin) -> bool:
        """Whether nobody knows yet that the destination answers again: one probe at a time."""
        return self._breaker(origin).opened is not None

    def is_proved(self, origin: Origin) -> bool:
        """Whether the destination has delivered something within the last hour, or earned more at once before and has
        not failed since."""
        if self._good.get(str(origin), self.timers.monotonic()) is not None:
            return True
        breaker = self._breaker(origin)
        return breaker.limit > concurrency.FIRST and not breaker.failures and breaker.opened is None

    def not_before(self, job: Job, outcome: Outcome) -> Instant | None:
        """When the party that `outcome` blames may be asked again."""
        if outcome is Outcome.ISSUER_DOWN:
            return self._issuer.not_before
        return self._breaker(job.origin).not_before if rules.BLAMES[outcome] is Blame.DESTINATION else None

    def charge(self, origin: Origin, result: Result, now: Instant, used: int) -> "Charged":
        """Let the result count for and against the parties; what changed by it. `used` transfers from the destination
        ran at once, this one included."""
        if result.outcome is Outcome.NO_SPACE:
            self.pause()
        issuer, destination = self._issuer, self._breaker(origin)
        self._issuer = breakers.after_issuer(issuer, result, now, self.chance())
        most = self.settings.active_per_destination
        after = breakers.after_destination(destination, result, now, self.chance(), most, used)
        if after != destination:
            self._remember(after, now)
        was_proved = self.is_proved(origin)
        if result.outcome is Outcome.STORED:
            self._good.put(str(origin), True, self.timers.monotonic() + PROVED.total_seconds())
        return Charged(
            changes=(
                *_changed("issuer", issuer, self._issuer, now),
                *_changed("destination", destination, after, now),
            ),
            answers_again=destination.opened is not None and after.opened is None,
            is_new_proof=not was_proved and self.is_proved(origin),
            closed_until=after.not_before if breakers.is_open(after, now) and after != destination else None,
            more_may_run=after.limit > destination.limit or self._issuer.failures < issuer.failures,
        )

    async def save(self, charged: "Charged") -> None:
        """Write down what changed. What cannot be written now stays in memory: it only saves probes after a restart."""
        try:
            for kind, breaker, adjustment in charged.changes:
                await self.queue.save_breaker(kind, breaker, adjustment)
        except (NoSpace, Unavailable):
            self.pause()

    def let_probe(self, origin: Origin, now: Instant) -> "Charged | None":
        """Let one attempt through to the destination; None if somebody asked for that in the last 10 s."""
        moment = self.timers.monotonic()
        if self._woken.get(str(origin), moment) is not None:
            return None
        until = moment + breakers.WAKE_INTERVAL.total_seconds()
        self._woken.put(str(origin), until, until)
        breaker = self._breaker(origin)
        if not breakers.is_open(breaker, now):
            return Charged()
        after = evolve(breaker, not_before=now)
        self._remember(after, now)
        return Charged(changes=_changed("destination", breaker, after, now))

    def wake_wait(self, origin: Origin) -> timedelta:
        """How long until somebody may have an attempt let through again; zero when now."""
        until = self._woken.get(str(origin), self.timers.monotonic())
        return timedelta() if until is None else timedelta(seconds=until - self.timers.monotonic())

    def hear(self, origin: Origin, now: Instant) -> "Charged | None":
        """As `let_probe`, for a destination that has shown to be alive; None also while it is left alone because it
        asked for that itself."""
        breaker = self._breaker(origin)
        if breakers.is_open(breaker, now) and breaker.opened is None:
            return None
        return self.let_probe(origin, now)

    def let_issuer(self) -> bool:
        """Let one attempt through to the STS; False if somebody asked for that in the last 10 s, or it answers."""
        moment = self.timers.monotonic()
        if not self.on_probation or self._woken.get(self._issuer.name, moment) is not None:
            return False
        self._woken.put(self._issuer.name, True, moment + breakers.WAKE_INTERVAL.total_seconds())
        self._issuer = evolve(self._issuer, not_before=self.timers.now())
        return True

    @property
    def issuer(self) -> Breaker | None:
        """The breaker of the STS where it failed."""
        return self._issuer if self.on_probation else None

    @property
    def could_not_store(self) -> Instant | None:
        """Until when nothing begins because this host could not store."""
        if self._paused is None or self._paused <= self.timers.monotonic():
            return None
        return self.timers.now() + timedelta(seconds=self._paused - self.timers.monotonic())

    async def forgive(self, beyond: Instant, now: Instant) -> None:
        """Destinations that would be left alone until after `beyond` may be asked now: the clock was set back."""
        for each in [each for each in self._destinations.values() if each.not_before and each.not_before > beyond]:
            after = evolve(each, not_before=now)
            self._remember(after, now)
            await self.save(Charged(changes=_changed("destination", each, after, now)))

    def all(self) -> tuple[Breaker, ...]:
        """Every destination of which anything is known, and the STS when it failed."""
        return (*self._destinations.values(), *([self._issuer] if self.on_probation else []))

    def ill(self) -> tuple[Breaker, ...]:
        """Those that are not in perfect health."""
        now, most = self.timers.now(), self.settings.active_per_destination
        return tuple(each for each in self.all() if not breakers.is_well(each, now, most))

    def of(self, origin: Origin) -> Breaker | None:
        """The destination's breaker if anything is known of it."""
        return self._destinations.get(str(origin))

    def _breaker(self, origin: Origin) -> Breaker:
        return self.of(origin) or breakers.unknown(str(origin), self.settings.active_per_destination)

    def _remember(self, breaker: Breaker, now: Instant) -> None:
        self._destinations.pop(breaker.name, None)
        if evolve(breaker, reason="") != breakers.unknown(breaker.name, self.settings.active_per_destination):
            self._destinations[breaker.name] = breaker
        if len(self._destinations) > MOST_BREAKERS:
            self._destinations.popitem(last=False)


_Changed = tuple[str, Breaker, Adjustment | None]


def _changed(kind: str, before: Breaker, after: Breaker, now: Instant) -> tuple[_Changed, ...]:
    if not breakers.is_news(before, after):
        return ()
    return ((kind, after, breakers.adjustment(kind, before, after, now)),)


@define(frozen=True, kw_only=True)
class Charged:
    """What one result changed: breakers to save with the reason; whether the destination answers again after an outage,
    or delivers and had not before; until when it is left alone from now on; whether there is room for another
    runner."""

    changes: tuple[_Changed, ...] = ()
    answers_again: bool = False
    is_new_proof: bool = False
    closed_until: Instant | None = None
    more_may_run: bool = False
