"""Tells recipients and senders about attachments that are late, in danger or lost, after it is durable that they are.

A notice is in the durable outbox before it is remembered that it was said; a crash in between repeats the step, and the
notice's key makes it one.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooMany
from rrsd.core.values.addresses import Domain
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job
from rrsd.core.values.notices import Kind, Notice, Party, Plight, Said
from rrsd.roles.rra import telling
from rrsd.roles.rra.explain import Explanation
from rrsd.roles.rra.letters import letter
from rrsd.roles.rra.ports import Audit, Bell, Timers
from rrsd.roles.rra.rules import TERMINAL
from rrsd.runtime.timers import Jumps

AT_ONCE = 100
PAUSE = timedelta(seconds=2)
"""What ends at the same time is said in one notice."""
LONGEST_SLEEP = timedelta(seconds=15)
AFTER_TROUBLE = timedelta(seconds=30)
AFTER_START = timedelta(minutes=15)
"""What became late while we were away may come as soon as we are back, and then nobody has to hear of it."""
AFTER_JUMP = timedelta(hours=1)
ASK_AGAIN = timedelta(minutes=5)
"""While the mail server may still tell the sender."""


class Facts(Protocol):
    """Messages that something may have to be said of, durably."""

    async def due(self, now: Instant, most: int) -> Sequence[Plight]:
        """At most `most` that have to be looked at now."""
        ...

    async def next_due(self) -> Instant | None:
        """When the next one has to be; None when nothing waits."""
        ...

    async def looked(self, plight: Plight, said: Said, look: Instant | None) -> None:
        """So much was said of it, and it is to be looked at then; at once, if something has happened since."""
        ...


class Notices(Protocol):
    """Small messages that we write ourselves."""

    async def send(self, notice: Notice) -> None:
        """Take the notice, durable when this returns; the same key again changes nothing. Refuses with Forbidden for
        an address that nothing proves, TooMany for one that had enough, Malformed, NoSpace."""
        ...


class Bounces(Protocol):
    """What the mail server tells senders."""

    async def bounced(self, plight: Plight) -> bool | None:
        """Whether it has told the sender that the message failed; None while it may still do so."""
        ...


@define(eq=False, kw_only=True)
class Notifier:
    """Looks at messages when their time has come or something has happened to them; without `notices` it only forgets
    what would have been said, so that nothing is saved up."""

    _log = Logger()

    facts: Facts
    notices: Notices | None
    bounces: Bounces
    waits: telling.Waits
    explain: Callable[[Job], Explanation]
    ours: Domain
    timers: Timers
    bell: Bell
    audit: Audit
    _jumps: Jumps | None = field(default=None, init=False)
    _since: Instant | None = field(default=None, init=False)
    """We were there all the time since then, and our clock was right."""
    _fair: Instant | None = field(default=None, init=False)

    def changed(self, job: Job) -> None:
        """A pull may have ended, or may not make it."""
        if job.state in TERMINAL or job.at_risk is not None:
            self.bell.ring()

    async def run(self) -> None:
        """Begin with what the last run left, and go on until cancelled."""
        if self.notices is None:
            self._log.info("rra: without [mail] outbound nobody is told of attachments that are late or lost")
        while True:
            delay = await self._tried(self.round())
            await self.timers.sleep(PAUSE)
            await self.bell.wait(delay)

    async def _tried(self, work: Awaitable[timedelta]) -> timedelta:
        try:
            return await work
        except Refusal as refusal:
            self._log.warn("rra: notices wait: {refusal}", refusal=refusal)
            return AFTER_TROUBLE

    async def round(self) -> timedelta:
        """Say what has to be said; how long to sleep when nobody rings."""
        now = self.timers.now()
        self._look_at_clocks(now)
        plights = await self.facts.due(now, AT_ONCE)
        for plight in plights:
            await self._look(plight, now)
        if len(plights) == AT_ONCE:
            return timedelta(0)  # there may be more
        due = await self.facts.next_due()
        return LONGEST_SLEEP if due is None else max(timedelta(0), min(LONGEST_SLEEP, due - self.timers.now()))

    def _look_at_clocks(self, now: Instant) -> None:
        if self._jumps is None:
            self._jumps = Jumps(self.timers)
            self._since, self._fair = now, now + AFTER_START
        elif self._jumps.seen():
            self._since, self._fair = now, now + AFTER_JUMP

    async def _look(self, plight: Plight, now: Instant) -> None:
        fair = self._fair if self._since is not None and plight.received < self._since else None
        said, look = plight.said, telling.next_look(plight, self.waits, now, fair)
        if self.notices is None:
            await self.facts.looked(plight, said, None)
            return
        for party, kind in telling.to_say(plight, self.waits, now, fair):
            bounced = await self.bounces.bounced(plight) if (party, kind) == (Party.SENDER, Kind.FAILED) else False
            if bounced is None:
                look = now + ASK_AGAIN
                continue
            if not bounced:
                await self._say(self.notices, plight, party, kind)
            said |= telling.BITS[party, kind]
        await self.facts.looked(plight, said, look)

    async def _say(self, notices: Notices, plight: Plight, party: Party, kind: Kind) -> None:
        """What cannot be said to them now cannot be said later either; the trail knows."""
        notice = letter(plight, party, kind, self.explain, self.ours, self.timers.now())
        if notice is None:
            return
        try:
            await notices.send(notice)
        except (Forbidden, TooMany, Malformed) as refusal:
            self.audit.record(
                Event(
                    "notice", "refused", who=str(plight.sender), subject=str(notice.recipient),
                    resource=plight.message_id, refusal=refusal.reason, evidence=refusal.detail,
                )
            )  # fmt: skip
