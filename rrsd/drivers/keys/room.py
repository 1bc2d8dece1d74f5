"""The keys as a room: loaded at the start, and the signing key changed when it has signed for long enough."""

from collections.abc import Callable
from datetime import timedelta

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.drivers.keys import rotation
from rrsd.drivers.keys.service import Keyring
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers

LOOK_EVERY = timedelta(hours=1)
"""A key signs up to this much longer than `rotate_every`; a clock that was wrong is noticed as soon."""


@define(eq=False)
class KeyRoom:
    """Lets the signing key rotate by `rotate` once it is `rotate_every` old; a refusal is logged and tried again."""

    _log = Logger()

    keyring: Keyring
    timers: Timers
    rotate: Callable[[], bool]
    name: str = "keys"
    _work: Nursery = field(factory=Nursery, init=False)

    async def start(self) -> None:
        """Load the keys; refuses as `Keyring.start`."""
        await self.keyring.start()
        if self.keyring.settings.rotate_every:
            self._work.spawn(self._look(), "key rotation")

    async def stop(self) -> None:
        """No rotation after this."""
        await self._work.stop()

    async def _look(self) -> None:
        while True:
            if rotation.is_due(self.keyring.signing_keys(), self.timers.now(), self.keyring.settings.rotate_every):
                self._rotate()
            await self.timers.sleep(LOOK_EVERY)

    def _rotate(self) -> None:
        try:
            self.rotate()
        except Refusal as refusal:
            self._log.error("keys: the signing key is due and cannot be changed: {why}", why=str(refusal))
        else:
            self._log.info("keys: the signing key was changed, {kid} signs now", kid=self.keyring.signer.kid)
