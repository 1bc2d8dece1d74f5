"""The domain's own users: administration, and whether one of them may be spoken for."""

from collections.abc import Callable, Mapping

from attrs import define, evolve, frozen

from rrsd.core.refusals import Conflict, Forbidden, Unknown
from rrsd.core.values.addresses import Address, Domain, without_extension
from rrsd.core.values.calls import Event
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Holding
from rrsd.roles.idp import rules
from rrsd.roles.idp.ports import Audit, Deliveries, Passwords, Room, User, Users

WHO = "operator"
"""Whoever may use the administrator's socket."""


@frozen
class Members:
    """Who of the domain may act; what the STS and the retrieval agent ask.

    An address that is no user's own is the user's whose address comes out when it is cut at one of `delimiters`.
    """

    users: Users
    delimiters: str = ""

    async def require_active(self, address: Address) -> None:
        """Returns None if the user exists and is not suspended; refuses with Unknown or Forbidden otherwise."""
        if (await self.users.find(await self.account(address))).suspended:
            raise Forbidden("suspended")

    async def account(self, address: Address) -> Address:
        """Whose mailbox it would be; a user of that very name goes first. Refuses as the store."""
        shorter = without_extension(address, self.delimiters)
        if shorter is None:
            return address
        try:
            await self.users.find(address)
        except Unknown:
            return shorter
        return address


@frozen
class Addressees:
    """Whom the token service may speak for: the users, and the addresses that the mail server has said are theirs, an
    alias or a list."""

    members: Members
    deliveries: Deliveries

    async def require_active(self, address: Address) -> None:
        """As `Members.require_active`; of those behind an address one is enough."""
        try:
            await self.members.require_active(address)
        except Unknown:
            for each in await self.deliveries.mailboxes_of(address):
                if await self._is_active(each):
                    return
            raise

    async def _is_active(self, address: Address) -> bool:
        try:
            await self.members.require_active(address)
        except (Unknown, Forbidden):
            return False
        return True


@define(eq=False, kw_only=True)
class Administration:
    """What the administrator does with users; every change ends up in the audit trail."""

    domain: Domain
    users: Users
    passwords: Passwords
    audit: Audit
    now: Callable[[], Instant]
    room: Room
    quota: int

    async def add(self, address: Address, password: str) -> None:
        """Add a user.

        Raises:
            Conflict: there is one already, or the address is of another domain.
            Malformed: the password is too short or too long.
        """
        if address.domain != self.domain:
            raise Conflict(f"{address} is not in {self.domain}")
        if await self._is_there(address):
            raise Conflict(f"{address} exists already")
        await self._save("user_added", User(address, await self._hash(password), False, self.now()))

    async def set_password(self, address: Address, password: str) -> None:
        """Give the user another password; every login of the user ends.

        Raises:
            Unknown: there is no such user.
            Malformed: the password is too short or too long.
        """
        user = await self.users.find(address)
        changed = evolve(user, password=await self._hash(password), created=self.now())
        await self._save("password_set", changed)

    async def suspend(self, address: Address) -> None:
        """Let nobody log in, refresh or pull in the user's name; refuses with Unknown."""
        await self._save("user_suspended", evolve(await self.users.find(address), suspended=True))

    async def resume(self, address: Address) -> None:
        """End a suspension; refuses with Unknown."""
        await self._save("user_resumed", evolve(await self.users.find(address), suspended=False))

    async def remove(self, address: Address) -> None:
        """Forget the user; refuses with Unknown."""
        user = await self.users.find(address)
        self.audit.record(Event("user_removed", "granted", who=WHO, subject=str(user.address)))
        await self.users.remove(address)

    async def set_quota(self, address: Address, quota: int | None) -> None:
        """What the user may hold of what comes for them: bytes, 0 for no limit, None for what holds for everybody;
        refuses with Unknown."""
        user = await self.users.find(address)
        said = "the domain's" if quota is None else f"{quota} bytes" if quota else "none"
        self.audit.record(Event("quota_set", "granted", who=WHO, subject=str(user.address), evidence=said))
        await self.room.set_quota(user.address, quota)

    async def holdings(self) -> Mapping[str, Holding]:
        """What everybody holds, by the key of the address."""
        return await self.room.holdings()

    async def list(self) -> list[User]:
        """Every user, in order of address."""
        return await self.users.all()

    async def _is_there(self, address: Address) -> bool:
        try:
            await self.users.find(address)
        except Unknown:
            return False
        return True

    async def _hash(self, password: str) -> str:
        rules.require_password(password)
        return await self.passwords.hash(rules.normal(password))

    async def _save(self, what: str, user: User) -> None:
        # Nothing is done without a trace (Z-08): the line comes first.
        self.audit.record(Event(what, "granted", who=WHO, subject=str(user.address)))
        await self.users.save(user)
