"""What the Security Token Service needs from outside."""

from collections.abc import Mapping
from typing import Protocol

from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.tokens import Kind, VerifiedAccess


class Subjects(Protocol):
    """Whether a user may be spoken for."""

    async def require_active(self, address: Address) -> None:
        """Returns None if the user exists and is not suspended; refuses with Unknown or Forbidden otherwise."""
        ...


class Sessions(Protocol):
    """Access tokens of the domain's issuer."""

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What the access token proves, any audience of ours.

        Refuses with Malformed, Unproven, Expired, Unavailable.
        """
        ...


class Replays(Protocol):
    """The memory of what may be used once; survives a restart."""

    async def first_use(self, issuer: str, jti: str, expires: Instant) -> bool:
        """Whether this is the first time; exactly one of many concurrent callers hears True."""
        ...


class Limits(Protocol):
    """A limit on the rate of something, for each key."""

    def take(self, key: str) -> int:
        """Count one; returns 0, or the seconds to wait when it is one too many."""
        ...


class Signer(Protocol):
    """The domain's signing key."""

    def sign(self, typ: Kind | str, claims: Mapping[str, object]) -> str:
        """A compact JWS over `claims`; refuses with Unavailable when there is no active key."""
        ...


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line."""
        ...
