"""What the mail role does without being asked: it empties its outbox."""

from datetime import timedelta

from attrs import define
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.roles.mail.flow.notices import Notices
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
