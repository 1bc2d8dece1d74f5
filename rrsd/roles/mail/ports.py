"""What the mail role needs from outside."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from rrsd.core.values.calls import Event
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.values.instants import Instant


class Relay(Protocol):
    """The next mail server."""

    async def send(self, envelope: Envelope, message: AsyncIterator[bytes]) -> tuple[Reply, ...]:
        """What it said about each recipient, in their order; a yes means that it has the message.

        Refuses with Unavailable when it cannot be reached or left before it had answered, Malformed when the message
        has a bare CR or LF, Unsupported when it cannot take such a message; and with what `message` refuses.
        """
        ...

    async def offers(self) -> Mapping[str, str]:
        """The extensions that it announces; refuses with Unavailable."""
        ...


class Timers(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    def monotonic(self) -> float: ...


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...
