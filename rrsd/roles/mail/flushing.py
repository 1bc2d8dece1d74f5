"""Makes the mail server try a held message as soon as its pulls have ended; nothing depends on it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.holds import Stand
from rrsd.roles.mail.holding import flush_arguments
from rrsd.roles.mail.ports import Bell, Holds, Pulls, Timers

MOST_WAITING = 10_000
"""Messages that are to be tried; the mail server comes again by itself for those beyond."""
PAUSE = timedelta(milliseconds=50)
"""Between two messages."""
SOON = timedelta(milliseconds=500)
"""Between two looks at one that is being delivered."""
AGAIN = timedelta(seconds=3)
"""Between two commands for one: the mail server may not have put it back into its queue before the first."""
TRIES = 3


@define(eq=False, kw_only=True)
class Flusher:
    """Runs `command` for one message at a time. `is_busy` is whether it is being delivered this moment."""

    _log = Logger()

    command: tuple[str, ...]
    holds: Holds
    pulls: Pulls
    run_command: Callable[[Sequence[str]], Awaitable[int]]
    is_busy: Callable[[Address, Digest], bool]
    timers: Timers
    bell: Bell
    _waiting: dict[tuple[Address, Digest], tuple[float, int]] = field(factory=dict, init=False)

    def ended(self, recipient: Address, digest: Digest) -> None:
        """A pull for the placeholder has ended, well or not."""
        if self.command and len(self._waiting) < MOST_WAITING:
            self._waiting[recipient, digest] = (self.timers.monotonic(), 0)
            self.bell.ring()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            now = self.timers.monotonic()
            for key in [key for key, (due, _) in self._waiting.items() if due <= now]:
                _, tries = self._waiting.pop(key)
                try:
                    await self._look(*key, tries)
                except Refusal as refusal:
                    self._log.warn("mail: a held message waits for the mail server's own retry: {why}", why=refusal)
                await self.timers.sleep(PAUSE)
            await self.bell.wait(self._rest())

    def _rest(self) -> timedelta | None:
        if not self._waiting:
            return None
        first = min(due for due, _ in self._waiting.values())
        return timedelta(seconds=max(0.0, first - self.timers.monotonic()))

    async def _look(self, recipient: Address, digest: Digest, tries: int) -> None:
        if self.is_busy(recipient, digest):
            self._later(recipient, digest, SOON, tries)
            return
        queues = [hold.queue for hold in await self.holds.of(recipient, digest) if hold.stand is Stand.HELD]
        if not queues or not await self._is_settled(recipient, digest):
            return
        for queue in filter(None, queues):
            await self._flush(queue)
        if tries + 1 < TRIES:
            self._later(recipient, digest, AGAIN, tries + 1)

    async def _is_settled(self, recipient: Address, digest: Digest) -> bool:
        progress = await self.pulls.progress(recipient, digest)
        return not progress.waiting or bool(progress.failed)

    async def _flush(self, queue: str) -> None:
        status = await self.run_command(flush_arguments(self.command, queue))
        if status:
            self._log.warn("mail: {command} ended with {status} for {queue}", command=self.command[0], status=status,
                           queue=queue)  # fmt: skip

    def _later(self, recipient: Address, digest: Digest, delay: timedelta, tries: int) -> None:
        self._waiting.setdefault((recipient, digest), (self.timers.monotonic() + delay.total_seconds(), tries))
