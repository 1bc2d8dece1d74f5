"""What the embedded OpenID Provider needs from outside."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Holding
from rrsd.core.values.logins import Code as Code
from rrsd.core.values.logins import RefreshGrant as RefreshGrant
from rrsd.core.values.logins import User as User
from rrsd.core.values.tokens import Kind, VerifiedAccess


class Users(Protocol):
    """The domain's own users."""

    async def find(self, address: Address) -> User:
        """The user; refuses with Unknown when there is none."""
        ...

    async def save(self, user: User) -> None:
        """Add or replace the user."""
        ...

    async def remove(self, address: Address) -> None:
        """Forget the user; no refusal when there is none."""
        ...

    async def all(self) -> list[User]:
        """Every user, in order of address."""
        ...


class Room(Protocol):
    """What users may hold of what comes for them."""

    async def holdings(self) -> Mapping[str, Holding]:
        """What everybody holds, by the key of the address; who never got anything is not among them."""
        ...

    async def set_quota(self, address: Address, quota: int | None) -> None:
        """The user's own quota in bytes, 0 for none, None for the domain's."""
        ...


class Deliveries(Protocol):
    """What the mail server delivers where."""

    async def mailboxes_of(self, granted: Address) -> Sequence[Address]:
        """Whose mailboxes got what was granted to that address, which is none of theirs."""
        ...


class LoginGrants(Protocol):
    """Codes and refresh tokens, each used at most once, whoever comes first."""

    async def add_code(self, code: Code) -> None:
        """Remember a code that was handed out."""
        ...

    async def take_code(self, key: str) -> Code:
        """The code, which is gone from now on; refuses with NotGranted when unknown, Replayed when it was taken."""
        ...

    async def add_refresh(self, grant: RefreshGrant) -> None:
        """Remember a refresh token that was handed out."""
        ...

    async def take_refresh(self, key: str) -> RefreshGrant:
        """The grant, used from now on; refuses with NotGranted when unknown, with Replayed (and the whole family is
        revoked) when it was used before."""
        ...

    async def find_refresh(self, key: str) -> RefreshGrant:
        """The grant, used or not, which stays as it is; refuses with NotGranted when unknown."""
        ...

    async def revoke_family(self, family: str) -> None:
        """End every refresh token of the chain."""
        ...

    async def sweep(self, now: Instant) -> None:
        """Drop what has expired."""
        ...


class Sessions(Protocol):
    """Access tokens of the domain's issuer."""

    async def prove_user(self, text: str) -> VerifiedAccess:
        """What the access token proves; refuses with Malformed, Unproven, Expired, TooLarge."""
        ...


class Revocations(Protocol):
    """What was revoked before its end."""

    async def revoke(self, name: str, until: Instant) -> None:
        """Revoke the name, durably when this returns."""
        ...


class Passwords(Protocol):
    """argon2id, off the reactor thread."""

    async def hash(self, password: str) -> str:
        """A new PHC string."""
        ...

    async def verify(self, phc: str | None, password: str) -> bool:
        """Whether it is the password; with None it costs the same and is False."""
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
