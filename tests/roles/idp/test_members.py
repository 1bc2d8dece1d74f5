"""Users: what the administrator does, and who may be spoken for."""

from collections.abc import Mapping
from datetime import timedelta

from rrsd.core.refusals import Conflict, Forbidden, Malformed, Unknown
from rrsd.core.values.addresses import Address, parse_address, parse_domain
from rrsd.core.values.jobs import Holding
from rrsd.roles.idp.members import Administration, Members
from tests.support.domains import FlowCase
from tests.support.issuer import START, ManualTime, MemoryUsers, PlainPasswords, Trail

BOB = parse_address("bob@bar.test")


class AdministrationTests(FlowCase):
    """Adding, changing, removing users."""

    def setUp(self) -> None:
        """A domain with bob."""
        self.users, self.time, self.trail = MemoryUsers(), ManualTime(), Trail()
        self.administration = Administration(
            domain=parse_domain("bar.test"),
            users=self.users,
            passwords=PlainPasswords(),
            audit=self.trail,
            now=self.time.now,
            room=self,
            quota=7,
        )
        self.quotas: dict[str, int | None] = {}
        self.members = Members(self.users)
        self.run_now(self.administration.add(BOB, "cafe\u0301 au lait"))

    async def holdings(self) -> Mapping[str, Holding]:
        """What bob holds."""
        return {BOB.key: Holding(5)}

    async def set_quota(self, address: Address, quota: int | None) -> None:
        """Remember it."""
        self.quotas[address.key] = quota

    def test_quota(self) -> None:
        """A user's own, none, or the domain's; the trail says which. Nobody else has one."""
        for quota in (50, 0, None):
            self.run_now(self.administration.set_quota(BOB, quota))
            self.assertEqual(self.quotas, {BOB.key: quota})
        said = [event.evidence for event in self.trail.events if event.what == "quota_set"]
        self.assertEqual(said, ["50 bytes", "none", "the domain's"])
        self.refuse_now(self.administration.set_quota(parse_address("carol@bar.test"), 5), Unknown)
        self.assertEqual(self.run_now(self.administration.holdings())[BOB.key].held, 5)

    def test_a_user_is_added_once(self) -> None:
        """An address has one user, however its letters are written."""
        self.assertEqual(self.users.kept[BOB].password, "plain:caf\u00e9 au lait")
        self.refuse_now(self.administration.add(parse_address("Bob@bar.test"), "long enough"), Conflict)
        self.assertEqual([user.address for user in self.run_now(self.administration.list())], [BOB])

    def test_users_of_other_domains_are_not_ours(self) -> None:
        """Only addresses of the domain can be added."""
        self.refuse_now(self.administration.add(parse_address("alice@foo.test"), "long enough"), Conflict)

    def test_passwords_that_are_too_short_or_too_long(self) -> None:
        """A password has 8 to 1024 characters; the old one stays when the new one is refused."""
        for password in ("", "1234567", "x" * 1025):
            self.refuse_now(self.administration.set_password(BOB, password), Malformed)
        for password in ("12345678", "x" * 1024):
            self.run_now(self.administration.set_password(BOB, password))
            self.assertEqual(self.users.kept[BOB].password, f"plain:{password}")

    def test_another_password_ends_earlier_logins(self) -> None:
        """The user's password is from now on."""
        self.time.at += timedelta(days=1)
        self.run_now(self.administration.set_password(BOB, "long enough"))
        self.assertEqual(self.users.kept[BOB].created, START + timedelta(days=1))

    def test_suspension(self) -> None:
        """A suspended user may not be spoken for until the suspension ends."""
        self.run_now(self.members.require_active(BOB))
        self.run_now(self.administration.suspend(BOB))
        self.refuse_now(self.members.require_active(BOB), Forbidden)
        self.run_now(self.administration.resume(BOB))
        self.run_now(self.members.require_active(BOB))

    def test_extension(self) -> None:
        """bob+news is bob, as long as nobody has that very name and bob may be spoken for."""
        members, news = Members(self.users, "+-"), parse_address("bob+news@bar.test")
        for local in ("bob+news", "Bob+a+b", "bob-a+b", "bob+"):
            address = parse_address(f"{local}@bar.test")
            self.assertEqual(self.run_now(members.account(address)), BOB)
            self.run_now(members.require_active(address))
        self.refuse_now(self.members.require_active(news), Unknown)
        self.refuse_now(members.require_active(parse_address("eve+news@bar.test")), Unknown)
        self.run_now(self.administration.suspend(BOB))
        self.refuse_now(members.require_active(news), Forbidden)
        self.run_now(self.administration.add(news, "long enough"))
        self.assertEqual(self.run_now(members.account(news)), news)
        self.run_now(members.require_active(news))

    def test_removal(self) -> None:
        """A removed user is unknown, to everybody and to a second removal."""
        self.run_now(self.administration.remove(BOB))
        self.refuse_now(self.members.require_active(BOB), Unknown)
        for coroutine in (
            self.administration.remove(BOB),
            self.administration.suspend(BOB),
            self.administration.resume(BOB),
            self.administration.set_password(BOB, "long enough"),
        ):
            self.refuse_now(coroutine, Unknown)

    def test_every_change_is_in_the_trail(self) -> None:
        """The trail has what was done to whom, and no password."""
        self.run_now(self.administration.set_password(BOB, "long enough"))
        self.run_now(self.administration.suspend(BOB))
        self.run_now(self.administration.remove(BOB))
        self.assertEqual(
            [event.what for event in self.trail.events],
            ["user_added", "password_set", "user_suspended", "user_removed"],
        )
        self.assertEqual({event.subject for event in self.trail.events}, {str(BOB)})
        self.assertNotIn("long enough", repr(self.trail.events))
