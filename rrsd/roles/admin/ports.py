"""What the operator's window shows and moves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Counts, Holding


class Person(Protocol):
    """One of the domain's own users."""

    @property
    def address(self) -> Address: ...

    @property
    def suspended(self) -> bool: ...

    @property
    def created(self) -> Instant: ...


class Users(Protocol):
    """The domain's own users."""

    async def add(self, address: Address, password: str) -> None:
        """A new user; refuses with Conflict when there is one, Malformed for another domain or a weak password."""
        ...

    async def set_password(self, address: Address, password: str) -> None:
        """A new password; refuses with Unknown or Malformed."""
        ...

    async def suspend(self, address: Address) -> None:
        """No login and no pull for the user from now on; refuses with Unknown."""
        ...

    async def resume(self, address: Address) -> None:
        """Undo `suspend`; refuses with Unknown."""
        ...

    async def remove(self, address: Address) -> None:
        """Forget the user."""
        ...

    async def list(self) -> Sequence[Person]:
        """Every user, in order of address."""
        ...

    @property
    def quota(self) -> int:
        """What a user may hold who has no quota of their own; 0 for no limit."""
        ...

    async def holdings(self) -> Mapping[str, Holding]:
        """What everybody holds, by the key of the address."""
        ...

    async def set_quota(self, address: Address, quota: int | None) -> None:
        """The user's own quota in bytes, 0 for none, None for the domain's; refuses with Unknown."""
        ...


class Keys(Protocol):
    """The domain's keys, public parts only."""

    def document(self) -> Mapping[str, object]:
        """The signing keys with their states, and the client certificate."""
        ...

    def rotate(self) -> bool:
        """Let the next signing key sign; False if that just happened."""
        ...

    async def change_client(self, step: str, *, is_forced: bool) -> bool:
        """Publish, use or withdraw a client key; False if that was done already.

        Refuses with Unknown for another step, and Conflict where the step comes too early.
        """
        ...


class Inspection(Protocol):
    """What the world publishes about a name."""

    async def verify(self, name: str) -> Mapping[str, object]:
        """Every method, what it sees, and why the name would or would not be believed; refuses with Malformed."""
        ...


class Reasons(Protocol):
    """What policy would say."""

    async def explain(self, given: Mapping[str, object]) -> Mapping[str, object]:
        """The decision about what is described, its question, and the policies that decide; refuses with Malformed or
        Unknown."""
        ...


class Pulls(Protocol):
    """The queue in numbers."""

    async def counts(self) -> Counts: ...


class Clients(Protocol):
    """The clients of the token service."""

    async def list(self) -> Sequence[Mapping[str, Any]]:
        """Every client, by name."""
        ...

    async def show(self, name: str) -> Mapping[str, Any]:
        """One of them; refuses with Unknown."""
        ...

    async def add(self, name: str, document: Mapping[str, Any]) -> None:
        """Register one; refuses with Malformed or Conflict."""
        ...

    async def disable(self, name: str) -> None:
        """Nothing more for it; refuses with Unknown."""
        ...

    async def enable(self, name: str) -> None:
        """Undo it; refuses with Unknown."""
        ...

    async def remove(self, name: str) -> None:
        """Forget it; refuses with Unknown."""
        ...


class Check(Protocol):
    """One thing that must be so for the daemon to be ready."""

    def __call__(self) -> Awaitable[None]:
        """Returns None if it is so; refuses otherwise, with a detail that says what to do."""
        ...


class Reload(Protocol):
    """Takes up what changed on disk: certificates, keys, log files."""

    async def __call__(self, decided: Callable[[Sequence[str]], None]) -> Sequence[str]:
        """The names of what was reloaded, of which `decided` hears before; refuses with what could not be, and then
        everything is as it was."""
        ...
