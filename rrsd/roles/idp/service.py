"""The OpenID Provider as a room: forgets codes and refresh tokens that have ended."""

from datetime import timedelta
from typing import Protocol

from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Refusal
from rrsd.core.values.instants import Instant
from rrsd.roles.idp.ports import LoginGrants
from rrsd.runtime.loops import Nursery

SWEEP = timedelta(minutes=10)


class Pace(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    async def sleep(self, delay: timedelta) -> None:
        """Return after `delay`."""
        ...


@define(eq=False)
class IdentityProvider:
    """Keeps the memory of logins small."""

    _log = Logger()

    _grants: LoginGrants
    _timers: Pace
    name: str = "idp"
    _loops: Nursery = field(factory=Nursery)

    async def start(self) -> None:
        """Begin to sweep."""
        self._loops.spawn(self._sweep(), "idp sweep")

    async def stop(self) -> None:
        """Sweep no more."""
        await self._loops.stop()

    async def _sweep(self) -> None:
        while True:
            await self._timers.sleep(SWEEP)
            try:
                await self._grants.sweep(self._timers.now())
            except Refusal as refusal:
                self._log.warn("idp: old logins are kept for now: {refusal}", refusal=str(refusal))
