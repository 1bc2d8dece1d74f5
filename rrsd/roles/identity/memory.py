"""What was learned of other domains, kept for as long as it may be."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

from attrs import define, field, frozen

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.roles.identity.ports import Flights, Timers
from rrsd.roles.identity.settings import Settings
from rrsd.runtime.expiring import Expiring

T = TypeVar("T")


@frozen
class Learned(Generic[T]):
    """An answer and how long it is good."""

    value: T
    life: timedelta


@define(eq=False)
class Memory(Generic[T]):
    """Answers to one kind of question, refusals included; all who ask at the same time share one question."""

    name: str
    settings: Settings
    flights: Flights
    timers: Timers
    _kept: Expiring[str, T | Refusal] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = Expiring(self.settings.most_entries)

    async def ask(self, key: str, question: Callable[[], Awaitable[Learned[T]]]) -> T:
        """The remembered answer, or that of `question`; a refusal is remembered and raised again."""
        known = self._kept.get(key, self.timers.monotonic())
        if known is None:
            known = await self.flights.share(f"{self.name} {key}", lambda: self._learn(key, question))
        if isinstance(known, Refusal):
            raise known.with_traceback(None)
        return known

    async def renew(self, key: str, question: Callable[[], Awaitable[Learned[T]]]) -> T:
        """The answer of `question` now; when it refuses, the remembered answer stays."""

        async def replace() -> T:
            learned = await question()
            self._keep(key, learned.value, learned.life)
            return learned.value

        return await self.flights.share(f"{self.name} again {key}", replace)

    async def _learn(self, key: str, question: Callable[[], Awaitable[Learned[T]]]) -> T | Refusal:
        try:
            learned = await question()
        except Unavailable as refusal:
            return self._keep(key, refusal, self.settings.outage_kept)
        except Refusal as refusal:
            return self._keep(key, refusal, self.settings.negative_kept)
        return self._keep(key, learned.value, learned.life)

    def _keep(self, key: str, value: T | Refusal, life: timedelta) -> T | Refusal:
        self._kept.put(key, value, self.timers.monotonic() + life.total_seconds())
        return value
