"""What the identity role needs from outside."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.values.records import Records, RecordType
from rrsd.core.values.tokens import KeySet

T = TypeVar("T")


class Strangers(Protocol):
    """The way out to hosts that are not introduced yet: no client certificate, no redirects, small answers."""

    async def ask(self, call: Call) -> Answer:
        """The whole answer, whatever its status.

        Refuses with Unavailable when name, connection, TLS, time or HTTP failed; Forbidden when the guard forbids the
        address; TooLarge beyond 64 KiB.
        """
        ...


class Names(Protocol):
    """What DNS says, and how far it may be believed."""

    async def ask(self, name: str, kind: RecordType) -> Records:
        """The answer for `name`: A-labels and underscore labels, no final dot.

        Never raises for trouble: bogus and temporary are verdicts.
        """
        ...


class Flights(Protocol):
    """Shares one running question among all who ask it at the same time."""

    def share(self, key: str, ask: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """The answer of the one `ask` that runs for `key`; its refusal reaches everyone who waited."""
        ...


class OwnKeys(Protocol):
    """The public halves of the domain's own signing keys."""

    def published(self) -> KeySet:
        """All keys that somebody may still have to verify with."""
        ...


class OwnAgent(Protocol):
    """The keys of our own client certificates."""

    def published(self) -> tuple[Digest, ...]:
        """The SPKI hashes of the keys that are published now; none where there is no client certificate."""
        ...


class AgentInUse(Protocol):
    """The client certificate that is presented now."""

    @property
    def certificate(self) -> Certificate:
        """It; refuses with Unavailable where there is none."""
        ...


class Revocations(Protocol):
    """What was revoked before its end."""

    async def is_revoked(self, *names: str) -> bool:
        """Whether one of the names was."""
        ...


class Timers(Protocol):
    """Time that passes."""

    def now(self) -> Instant: ...

    def monotonic(self) -> float: ...
