"""Every decision goes into the audit trail and into the metrics."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from attrs import define
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.calls import Event
from rrsd.roles.admin.meters import Meters
from rrsd.web.trail import note


class Trail(Protocol):
    """An append-only record."""

    def record(self, event: Mapping[str, Any]) -> None:
        """Append one line; OSError when it cannot be written."""
        ...


def note_on(audit: "Audit") -> Callable[[IRequest, Refusal], None]:
    """What writes down the requests that a site turns away before any role sees them."""
    return lambda request, refusal: note(audit, "request", request, refusal)


@define(eq=False)
class Audit:
    """Writes events down, with decoded claims only where `claims` says so."""

    trail: Trail
    meters: Meters
    claims: bool = False

    def record(self, event: Event) -> None:
        """Append the event and count it.

        Raises:
            Unavailable: it cannot be written; nothing is decided without a trace (Z-08).
        """
        line = {field.name: getattr(event, field.name) for field in attrs.fields(Event)}
        if not self.claims:
            del line["claims"]
        try:
            self.trail.record({name: value for name, value in line.items() if value})
        except OSError as problem:
            raise Unavailable(f"audit trail: {problem.strerror}") from None
        self.meters.record(event)
