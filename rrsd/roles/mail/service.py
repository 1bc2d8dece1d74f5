"""What the mail role does without being asked: it empties its outbox, and swaps placeholders that were delivered."""

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
        while True:
            try:
                delay = await self.notices.deliver()
            except Refusal as refusal:
                self._log.warn("notices wait: {refusal}", refusal=str(refusal))
                delay = AFTER_TROUBLE
            await self.bell.wait(None if delay is None else max(delay, AT_LEAST))


@define(eq=False)
class Swapping:
    """Swaps placeholders in mailboxes; the rows of the last run say what is left."""

    _log = Logger()

    swapper: Swapper
    bell: Bell

    async def run(self) -> None:
        """Begin with what stands, and go on until cancelled."""
        while True:
            try:
                delay = await self.swapper.look()
            except Refusal as refusal:
                self._log.warn("placeholders wait to be swapped: {refusal}", refusal=str(refusal))
                delay = AFTER_TROUBLE
            await self.bell.wait(delay)
