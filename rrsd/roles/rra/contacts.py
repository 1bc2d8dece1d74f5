"""Who has just shown to be alive: what waits for them need not wait for its timer.

Any request may say so, so that saying it costs a look into a table; one loop does the rest, a bounded part of it for
each domain and no more often than every 10 s. What comes too soon is not lost but waits for its turn: it may be the
only word for a quarter of an hour. A word after a silence is news; who never stops talking while its server stays dead
is answered ever more rarely, `BURST` times and then once in ten minutes.
"""

from datetime import timedelta

from attrs import define, field, frozen

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Domain
from rrsd.core.values.peers import Origin
from rrsd.roles.rra.breakers import WAKE_INTERVAL
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.ports import Bell, Queue, Rates, Timers
from rrsd.runtime.expiring import Expiring

MOST_WAITING = 1_000
"""Domains that wait for their turn; what comes beyond that has its timers."""
MOST_REMEMBERED = 10_000
MOST_ORIGINS = 8
"""Resource servers of one domain that one contact is a reason to ask."""
MOST_WOKEN = 64
"""Pulls of one of them: when the first of them is answered, all others are woken."""
BURST = 12
REFILL = timedelta(minutes=10)
"""Each resource server has so many wake-ups by contacts, and another one in that time."""
MOST_TOLD = 100
"""Receipts that are told to the domain at once; when they are heard, it is heard again."""
TRUST_INTERVAL = timedelta(minutes=1)


@frozen
class Contact:
    """A domain that was heard; `origin` where it was only one of its resource servers that answered."""

    domain: Domain
    origin: Origin | None = None


@define(eq=False, kw_only=True)
class Contacts:
    """The ear: domains that have just proved themselves to us, and whether trust has changed."""

    timers: Timers
    bell: Bell
    _turns: dict[Contact, float] = field(factory=dict, init=False)
    _woken: Expiring[Contact, float] = field(factory=lambda: Expiring(MOST_REMEMBERED), init=False)
    _trust: float | None = field(default=None, init=False)
    _trusted: float = field(default=float("-inf"), init=False)

    def heard(self, domain: Domain) -> None:
        """The domain has proved itself: its client over mutual TLS, its signature under a message."""
        self._add(Contact(domain))

    def answered(self, domain: Domain, origin: Origin) -> None:
        """The domain's resource server has answered; about its others that says nothing."""
        self._add(Contact(domain, origin))

    def later(self, contact: Contact, wait: timedelta) -> None:
        """It has its turn again after `wait`."""
        self._add(contact)
        if contact in self._turns:
            self._turns[contact] = max(self._turns[contact], self.timers.monotonic() + wait.total_seconds())

    def _add(self, contact: Contact) -> None:
        if contact in self._turns or len(self._turns) >= MOST_WAITING:
            return
        moment = self.timers.monotonic()
        self._turns[contact] = self._woken.get(contact, moment) or moment
        self.bell.ring()

    def changed(self) -> None:
        """Certificates, keys or policies are others now: who was refused may be let in."""
        if self._trust is None:
            self._trust = max(self.timers.monotonic(), self._trusted + TRUST_INTERVAL.total_seconds())
            self.bell.ring()

    def take(self) -> list[Contact]:
        """Those whose turn it is; their next one is 10 s away."""
        moment = self.timers.monotonic()
        due = [contact for contact, turn in self._turns.items() if turn <= moment]
        for contact in due:
            del self._turns[contact]
            until = moment + WAKE_INTERVAL.total_seconds()
            self._woken.put(contact, until, until)
        return due

    def take_change(self) -> bool:
        """Whether trust changed and it is time to act on it."""
        moment = self.timers.monotonic()
        if self._trust is None or self._trust > moment:
            return False
        self._trust, self._trusted = None, moment
        return True

    def next(self) -> timedelta | None:
        """How long until somebody's turn; None when nobody waits."""
        waits = [*self._turns.values(), *([] if self._trust is None else [self._trust])]
        return timedelta(seconds=max(0.0, min(waits) - self.timers.monotonic())) if waits else None


@define(eq=False, kw_only=True)
class Waker:
    """The hand: wakes what waits for those who were heard."""

    contacts: Contacts
    queue: Queue
    health: Health
    timers: Timers
    bell: Bell
    outbox: Bell
    budget: Rates
    _told: Expiring[Domain, bool] = field(factory=lambda: Expiring(MOST_REMEMBERED), init=False)

    async def run(self) -> None:
        """Work until cancelled. What cannot be read or written now has its timers."""
        while True:
            await self.contacts.bell.wait(await self.round())

    async def round(self) -> timedelta | None:
        """Wake for all whose turn it is; how long to sleep when nobody rings."""
        try:
            for contact in self.contacts.take():
                await self._wake(contact)
            if self.contacts.take_change():
                await self.queue.wake(self.timers.now(), None, "authorization")
                self.bell.ring()
        except Refusal:
            self.health.pause()
        return self.contacts.next()

    async def _wake(self, contact: Contact) -> None:
        domain = contact.domain
        for origin in await self.queue.origins_of(domain, "destination", MOST_ORIGINS):
            if contact.origin not in (None, origin):
                continue
            # Where somebody else woke it just now, that may have been too early: the word is kept.
            wait = self.health.wake_wait(origin) or timedelta(seconds=self.budget.take(f"{domain} {origin}"))
            if wait:
                self.contacts.later(contact, wait)
            else:
                await self._let(domain, origin)
        if contact.origin is None:
            await self._tell(domain)

    async def _tell(self, domain: Domain) -> None:
        """Receipts need no hurry: after one such attempt they have their timer, three hours at most."""
        moment = self.timers.monotonic()
        if self._told.get(domain, moment) is not None:
            return
        if await self.queue.receipts_wake(domain, self.timers.now(), MOST_TOLD):
            self._told.put(domain, True, moment + REFILL.total_seconds())
            self.outbox.ring()

    async def _let(self, domain: Domain, origin: Origin) -> None:
        now = self.timers.now()
        charged = self.health.hear(origin, now)
        if charged is None:
            return  # it asked for a pause, and is taken at its word
        await self.health.save(charged)
        await self.queue.wake_some(now, domain, origin, "destination", MOST_WOKEN)
        self.bell.ring()
