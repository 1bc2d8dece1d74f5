"""What the Security Token Service needs from outside."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.clients import ClientRow
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Url
from rrsd.core.values.policies import Decision, Question
from rrsd.core.values.tokens import KeySet, Kind, VerifiedAccess
from rrsd.roles.sts.clients import Client


class Clients(Protocol):
    """The clients that are registered now."""

    async def find(self, name: str) -> Client | None:
        """The client, None when there is none or it is disabled; refuses with Unavailable or Damaged."""
        ...


class ClientRows(Protocol):
    """The clients that the administrator registered; survives a restart."""

    async def all(self) -> Sequence[ClientRow]:
        """Every client, in order of name."""
        ...

    async def save(self, client: ClientRow) -> None:
        """Add or replace the client."""
        ...

    async def remove(self, name: str) -> None:
        """Forget the client; no refusal when there is none."""
        ...


class ClientKeys(Protocol):
    """The keys that clients publish."""

    async def keys_at(self, url: Url, kid: str) -> KeySet:
        """The keys; asked again, at most once a minute, when `kid` is not among them.

        Refuses with Unproven when they are unusable, Unavailable when they cannot be fetched now.
        """
        ...


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


class OwnKeys(Protocol):
    """The public halves of the domain's own signing keys."""

    def published(self) -> KeySet:
        """All keys that somebody may still have to verify with."""
        ...


class Revocations(Protocol):
    """The memory of what was revoked before its end; survives a restart."""

    async def is_revoked(self, *names: str) -> bool:
        """Whether one of the names was revoked."""
        ...

    async def revoke(self, name: str, until: Instant) -> None:
        """Revoke the name, durably when this returns."""
        ...


class Policies(Protocol):
    """Who may do what."""

    def decide(self, question: Question) -> Decision:
        """Whether it is permitted, and by which policies; what cannot be decided is not."""
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
