"""What an issuer needs around it, in memory: users, logins, replays, passwords, limits, an audit trail, a key."""

from collections.abc import Mapping

from attrs import define, field

from rrsd.core.refusals import NotGranted, Replayed, Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.logins import Code, RefreshGrant, User
from rrsd.core.values.tokens import KeySet
from rrsd.drivers.keys.rotation import State, generate, key_set
from rrsd.drivers.keys.signer import Signer

START = instant(1_700_000_000)


@define(eq=False)
class ManualTime:
    """A wall clock that moves when it is told to."""

    at: Instant = START

    def now(self) -> Instant:
        """The time of day."""
        return self.at


@define(eq=False)
class Serial:
    """Fresh strings that a test can foretell."""

    made: list[str] = field(factory=list)

    def __call__(self) -> str:
        """The next one, as long as a real one."""
        self.made.append(f"unique-{len(self.made):04d}".ljust(43, "x"))
        return self.made[-1]


@define(eq=False)
class MemoryUsers:
    """Users by address."""

    kept: dict[Address, User] = field(factory=dict)

    async def find(self, address: Address) -> User:
        """The user."""
        if address not in self.kept:
            raise Unknown("user")
        return self.kept[address]

    async def save(self, user: User) -> None:
        """Add or replace."""
        self.kept[user.address] = user

    async def remove(self, address: Address) -> None:
        """Forget."""
        self.kept.pop(address, None)

    async def all(self) -> list[User]:
        """In order of address."""
        return [self.kept[address] for address in sorted(self.kept)]


@define(eq=False)
class MemoryLogins:
    """Codes and refresh tokens; a family without a link cannot be revoked in advance."""

    codes: dict[str, Code] = field(factory=dict)
    taken: set[str] = field(factory=set)
    refreshes: dict[str, RefreshGrant] = field(factory=dict)
    used: set[str] = field(factory=set)
    revoked: set[str] = field(factory=set)
    swept: list[Instant] = field(factory=list)

    async def add_code(self, code: Code) -> None:
        """Remember a code."""
        self.codes[code.key] = code

    async def take_code(self, key: str) -> Code:
        """The code, once."""
        if key not in self.codes:
            raise NotGranted("unknown code")
        if key in self.taken:
            raise Replayed("code")
        self.taken.add(key)
        return self.codes[key]

    async def add_refresh(self, grant: RefreshGrant) -> None:
        """Remember a refresh token."""
        self.refreshes[grant.key] = grant

    async def take_refresh(self, key: str) -> RefreshGrant:
        """The grant, once."""
        if key not in self.refreshes:
            raise NotGranted("unknown refresh token")
        grant = self.refreshes[key]
        if key in self.used:
            await self.revoke_family(grant.family)
            raise Replayed("refresh token")
        if grant.family in self.revoked:
            raise NotGranted("revoked")
        self.used.add(key)
        return grant

    async def find_refresh(self, key: str) -> RefreshGrant:
        """The grant, as it is."""
        if key not in self.refreshes:
            raise NotGranted("unknown refresh token")
        return self.refreshes[key]

    async def revoke_family(self, family: str) -> None:
        """End the chain."""
        if any(grant.family == family for grant in self.refreshes.values()):
            self.revoked.add(family)

    async def sweep(self, now: Instant) -> None:
        """Note that it was asked for."""
        self.swept.append(now)


@define(eq=False)
class MemoryReplays:
    """What was used already."""

    seen: dict[tuple[str, str], Instant] = field(factory=dict)

    async def first_use(self, issuer: str, jti: str, expires: Instant) -> bool:
        """Whether it is new."""
        if (issuer, jti) in self.seen:
            return False
        self.seen[issuer, jti] = expires
        return True


@define(eq=False)
class MemoryRevocations:
    """What was revoked."""

    names: dict[str, Instant] = field(factory=dict)

    async def is_revoked(self, *names: str) -> bool:
        """Whether one of them was."""
        return any(name in self.names for name in names)

    async def revoke(self, name: str, until: Instant) -> None:
        """Remember it."""
        self.names[name] = until


@define(eq=False)
class PlainPasswords:
    """Passwords with a readable "hash", and a count of the checks."""

    checked: list[str | None] = field(factory=list)

    async def hash(self, password: str) -> str:
        """Readable."""
        return f"plain:{password}"

    async def verify(self, phc: str | None, password: str) -> bool:
        """Whether it is the one."""
        self.checked.append(phc)
        return phc == f"plain:{password}"


@define(eq=False)
class Quota:
    """So many for each key, then seconds to wait."""

    most: int = 1000
    wait: int = 7
    taken: dict[str, int] = field(factory=dict)

    def take(self, key: str) -> int:
        """Count one."""
        self.taken[key] = self.taken.get(key, 0) + 1
        return 0 if self.taken[key] <= self.most else self.wait


@define(eq=False)
class Trail:
    """An audit trail in memory."""

    events: list[Event] = field(factory=list)

    def record(self, event: Event) -> None:
        """Append."""
        self.events.append(event)

    @property
    def last(self) -> Event:
        """The newest."""
        return self.events[-1]


@define(eq=False)
class SigningDesk:
    """A signer with the key that verifies what it signs."""

    signer: Signer = field(factory=Signer)
    keys: KeySet = field(init=False)

    def __attrs_post_init__(self) -> None:
        key = generate(State.ACTIVE, START)
        self.signer.use(key)
        self.keys = key_set([key], START, START - START)

    def sign(self, typ: str, claims: Mapping[str, object]) -> str:
        """A compact JWS."""
        return self.signer.sign(typ, claims)
