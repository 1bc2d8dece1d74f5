"""Placeholders in mailboxes become complete messages when everything they stand for has arrived."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

from attrs import define, evolve, field

from rrsd.core.refusals import Refusal, Unknown, Withdrawn
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import Digest
from rrsd.core.values.holds import Hold, Progress, Stand
from rrsd.roles.mail.flow.handover import completed
from rrsd.roles.mail.flow.sealing import Sealer
from rrsd.roles.mail.ports import Audit, Holds, Mailboxes, Pulls, Timers

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
LOOK_AGAIN = timedelta(minutes=15)
"""Between two looks at everything that stands; a pull that ends is news at once."""
MOST = 10_000


@define(eq=False, kw_only=True)
class Swapper:
    """Swaps one at a time: the mailboxes have one server. `service` is our authserv-id, `ring`
    wakes whoever calls `look`."""

    holds: Holds
    pulls: Pulls
    mailboxes: Mailboxes
    timers: Timers
    audit: Audit
    service: str
    ring: Callable[[], None]
    sealer: Sealer | None = None
    _news: set[tuple[Address, Digest]] = field(factory=set, init=False)
    _sweep: float = field(default=0.0, init=False)
    _resting: dict[Hold, tuple[float, int]] = field(factory=dict, init=False)

    def ended(self, recipient: Address, digest: Digest) -> None:
        """A pull for the placeholder has ended, well or not."""
        if len(self._news) < MOST:
            self._news.add((recipient, digest))
            self.ring()

    async def look(self) -> timedelta:
        """Swap what has arrived; how long until the next look. Refuses as the store."""
        for hold in await self._standing():
            due, tries = self._resting.get(hold, (0.0, 0))
            if due > self.timers.monotonic():
                continue
            try:
                await self._swap(hold)
                self._resting.pop(hold, None)
            except Refusal as refusal:
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries, 16))
                self._resting[hold] = (self.timers.monotonic() + wait.total_seconds(), tries + 1)
                self._write_down(hold, "failed", refusal.detail, refusal.reason)
        first = min((due for due, _ in self._resting.values()), default=self._sweep)
        return timedelta(seconds=max(1.0, min(first, self._sweep) - self.timers.monotonic()))

    async def _standing(self) -> Sequence[Hold]:
        """Everything now and then; else what there is news of, and what rested long enough."""
        now = self.timers.monotonic()
        if now >= self._sweep:
            standing = await self.holds.standing(Stand.PLACEHOLDER, MOST)
            self._sweep = now + LOOK_AGAIN.total_seconds()
            here = set(standing)
            self._resting = {hold: rest for hold, rest in self._resting.items() if hold in here}
            return standing
        found = [hold for hold, (due, _) in self._resting.items() if due <= now]
        while self._news:
            holds = await self.holds.of(*self._news.pop())
            found += [hold for hold in holds if hold.stand is Stand.PLACEHOLDER and hold not in found]
        return found

    async def _swap(self, hold: Hold) -> None:
        try:
            progress = await self.pulls.progress(hold.recipient, hold.digest)
        except Unknown:
            await self._end(hold, Stand.PASSED, "its pulls are not known any more", Unknown.reason)
            return
        if progress.failed:
            why = f"{progress.failed} will not arrive: {progress.reason}"
            await self._end(hold, Stand.PASSED, why, Withdrawn.reason)
        elif not progress.waiting:
            await self._exchange(hold, progress)

    async def _exchange(self, hold: Hold, progress: Progress) -> None:
        async def complete(raw: bytes) -> tuple[int, AsyncIterator[bytes]]:
            return await completed(self.pulls, self.service, hold, raw, self.sealer)

        placeholder = (hold.digest, progress.size)
        count = await self.mailboxes.swap(hold.recipient, hold.message_id, placeholder, complete)
        if count:
            await self._end(hold, Stand.SWAPPED, f"swapped {count}")
        else:
            await self._end(hold, Stand.PASSED, "not in the mailbox any more", Unknown.reason)

    async def _end(self, hold: Hold, stand: Stand, evidence: str, refusal: str = "") -> None:
        """Nothing ends without a trace: while the line cannot be written, the row stays and is looked at again. What
        is in the mailbox by then is known there, and counts as swapped."""
        self._write_down(hold, "refused" if refusal else "granted", evidence, refusal)
        await self.holds.put(evolve(hold, stand=stand))

    def _write_down(self, hold: Hold, outcome: str, evidence: str, refusal: str = "") -> None:
        who = str(hold.recipient)
        self.audit.record(
            Event("swap", outcome, subject=who, resource=hold.digest.ni, refusal=refusal, evidence=evidence)
        )
