"""What the mail role does without being asked: it empties its outbox, and swaps placeholders that were delivered."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from attrs import define
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.roles.mail.flow.notices import Notices
from rrsd.roles.mail.flow.swap import Swapper
from rrsd.roles.mail.ports import Bell

AFTER_TROUBLE = timedelta(seconds=30)
AT_LEAST = timedelta(seconds=1)


@define(eq=False)
class Delivery:
    """Hands notices to the mail server, those of the last run first."""

    _log = Logger()

    notices: Notices
    bell: Bell

    async def run(self) -> None:
        """Begin with what waits, and go on until cancelled; what is left is handed over after the next start."""
        await _go_on(self._deliver, self.bell, lambda why: self._log.warn("notices wait: {refusal}", refusal=why))

    async def _deliver(self) -> timedelta | None:
        delay = await self.notices.deliver()
        return None if delay is None else max(delay, AT_LEAST)


@define(eq=False)
class Swapping:
    """Swaps placeholders in mailboxes; the rows of the last run say what is left."""

    _log = Logger()

    swapper: Swapper
    bell: Bell

    async def run(self) -> None:
        """Begin with what stands, and go on until cancelled."""
        say = "placeholders wait to be swapped: {refusal}"
        await _go_on(self.swapper.look, self.bell, lambda why: self._log.warn(say, refusal=why))


async def _go_on(work: Callable[[], Awaitable[timedelta | None]], bell: Bell, tell: Callable[[str], None]) -> None:
    """Work, and again when the bell rings or the time that it gave is over; a refusal is told, and tried again."""
    while True:
        try:
            delay = await work()
        except Refusal as refusal:
            tell(str(refusal))
            delay = AFTER_TROUBLE
        await bell.wait(delay)
