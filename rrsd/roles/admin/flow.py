"""What the operator asks of the daemon."""

from collections.abc import Callable, Mapping, Sequence

from attrs import define

from rrsd.core.refusals import Refusal
from rrsd.roles.admin.meters import Meters
from rrsd.roles.admin.ports import Check, Clients, Inspection, Keys, Pulls, Reasons, Reload, Users


@define(eq=False, kw_only=True)
class Window:
    """The operator's window."""

    users: Users
    keys: Keys
    pulls: Pulls
    identity: Inspection
    clients: Clients
    policy: Reasons
    checks: Mapping[str, Check]
    reload: Reload
    meters: Meters
    notes: Callable[[], Sequence[str]] = tuple

    async def ready(self) -> Mapping[str, str]:
        """What each check says: "ok", or what is wrong and what to do."""
        said = {}
        for name, check in self.checks.items():
            try:
                await check()
            except Refusal as refusal:
                said[name] = str(refusal)
            else:
                said[name] = "ok"
        return said

    async def metrics(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return self.meters.text(await self.pulls.counts())
