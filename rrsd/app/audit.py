"""Every decision goes into the audit trail and into the metrics."""

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from attrs import define, field
from twisted.logger import Logger

from rrsd.core.refusals import Unavailable
from rrsd.core.values.calls import Event
from rrsd.roles.admin.meters import Meters

_NAMES = tuple(each.name for each in attrs.fields(Event))
_PLAIN = tuple(name for name in _NAMES if name != "claims")


class Trail(Protocol):
    """An append-only record."""

    def record(self, event: Mapping[str, Any]) -> None:
        """Append one line; OSError when it cannot be written."""
        ...


@define(eq=False)
class Audit:
    """Writes events down, with decoded claims only where `claims` says so.

    The log says once when the trail cannot be written, and once when it can be again.
    """

    _log = Logger()

    trail: Trail
    meters: Meters
    claims: bool = False
    trouble: str = field(default="", init=False)

    def record(self, event: Event) -> None:
        """Append the event and count it.

        Raises:
            Unavailable: it cannot be written; nothing is decided without a trace (Z-08).
        """
        names = _NAMES if self.claims else _PLAIN
        try:
            self.trail.record({name: value for name in names if (value := getattr(event, name))})
        except OSError as problem:
            self._say(problem.strerror or "it cannot be written")
            raise Unavailable(f"audit trail: {self.trouble}") from None
        self._say("")
        self.meters.record(event)

    async def check(self) -> None:
        """Returns None if the trail can be written, as far as the last line tells; what failed is tried again.

        Raises:
            Unavailable: it cannot.
        """
        if self.trouble:
            self.record(Event("probe", "granted"))

    def _say(self, trouble: str) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble and not before:
            self._log.critical("audit trail: {trouble}; nothing is decided until it can be written", trouble=trouble)
        if before and not trouble:
            self._log.info("audit trail: it works again")
