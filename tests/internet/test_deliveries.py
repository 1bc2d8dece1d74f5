"""Pulls between domains as they happen to go: several recipients, no right, keys that change, issuers that are away."""

from typing import Any

from rrsd.cli.init import Plan, first_values, make
from rrsd.core.refusals import Forbidden, Unknown
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Job, State
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.tls.reload import read_credential
from rrsd.drivers.tls.server import ServerTls
from rrsd.runtime.secure import SecureFactory
from rrsd.web.site import Site
from tests.support.attackers import AttackCase
from tests.support.world import MemoryDomain, with_rs

DATA = b"what is sent" * 10_000


class Deliveries(AttackCase):
    """alice@foo.test sends to users of bar.test."""

    def deliver(
        self,
        *recipients: str,
        granted: tuple[str, ...] | None = None,
        data: bytes = DATA,
        name: str = "7@foo.test",
        to: MemoryDomain | None = None,
        **promise: Any,
    ) -> None:
        """A message to the recipients, of whom only some were granted the file."""
        for each in recipients if granted is None else granted:
            self.foo.grant(data, each, message_id=name)
        raw = self.foo.placeholder(recipients, {"a.bin": data}, message_id=name, **promise)
        (to or self.bar).deliver(raw, *recipients)
        self.world.advance(2)

    def states(self, domain: MemoryDomain | None = None) -> list[State]:
        """Those of all jobs."""
        return [job.state for job in (domain or self.bar).jobs()]

    def job(self, number: int = 1) -> Job:
        """One of them."""
        return self.bar.job(number)

    def retrievals(self) -> list[str]:
        """For whom foo.test gave something out."""
        return [line["subject"] for line in self.foo.trail.of("retrieve") if line["outcome"] == "granted"]

    def unplug(self, host: str) -> Any:
        """Nobody listens there any more; calling the result undoes it."""
        key = (self.world.internet.hosts[host].address, 443)
        factory = self.world.internet.listeners.pop(key)
        return lambda: self.world.internet.listeners.__setitem__(key, factory)

    def test_mail_within_a_domain(self) -> None:
        """The same exchange and pull, with ourselves."""
        self.foo.add_user("bob")
        self.deliver("bob@foo.test", to=self.foo)
        self.assertEqual(self.states(self.foo), [State.RECEIPTED])
        self.assertEqual(self.foo.content(digest_of(DATA)), DATA)

    def test_two_recipients_one_transfer(self) -> None:
        """The bytes come once; the other recipient's right is proved by itself."""
        self.deliver("bob@bar.test", "carol@bar.test")
        self.assertEqual(self.states(), [State.RECEIPTED] * 2)
        self.assertEqual(sorted(self.retrievals()), ["bob@bar.test", "carol@bar.test"])
        self.assertEqual(
            [("the right to them was proved" in self.job(number).evidence) for number in (1, 2)], [False, True]
        )
        self.assertEqual(len(self.bar.trail.of("impersonate")), 2, "each by their own delegation")

    def test_the_second_recipient_has_no_right(self) -> None:
        """That the bytes are here for bob gives carol nothing."""
        self.deliver("bob@bar.test", "carol@bar.test", granted=("bob@bar.test",))
        self.assertEqual(self.states(), [State.RECEIPTED, State.NEEDS_AUTH])
        self.assertEqual(self.job(2).condition, "authorization")
        self.foo.grant(DATA, "carol@bar.test", message_id="7@foo.test")
        self.world.result(self.bar.whole.retrieving.operations.act("retry-now", 2))
        self.world.advance(2)
        self.assertEqual(self.states(), [State.RECEIPTED] * 2)

    def test_no_grant(self) -> None:
        """A recipient whom nobody granted anything waits for authorization, at the job's own cost."""
        self.deliver("bob@bar.test", granted=())
        self.assertEqual((self.job().state, str(self.job().blame)), (State.NEEDS_AUTH, "job"))
        self.assertIsNotNone(self.job().due)

    def test_withdrawn(self) -> None:
        """What was withdrawn before it was fetched fails at once."""
        self.foo.grant(DATA, "bob@bar.test", message_id="7@foo.test")
        self.world.result(self.foo.store.grants.withdraw(self.foo.address("alice"), "7@foo.test"))
        self.deliver("bob@bar.test", granted=())
        self.assertEqual(self.states(), [State.FAILED])

    def test_users_who_are_not_there(self) -> None:
        """A message to a suspended or unknown user is not taken, for nobody of its recipients."""
        self.bar.add_user("eve", suspended=True)
        for recipient, refusal in (
            ("eve@bar.test", Forbidden),
            ("nobody@bar.test", Unknown),
            ("bob@foo.test", Unknown),
        ):
            with self.subTest(recipient=recipient), self.assertRaises(refusal):
                self.deliver("bob@bar.test", recipient)
        self.assertEqual(self.bar.jobs(), [])

    def test_a_user_who_was_suspended_since(self) -> None:
        """The STS speaks for them no more, so that their pulls wait."""
        plug = self.unplug("foo.test")
        self.deliver("bob@bar.test")
        self.bar.add_user("bob", suspended=True)
        plug()
        self.world.advance(60, 5)
        self.assertEqual(self.states(), [State.NEEDS_AUTH])
        self.assertEqual(self.retrievals(), [])

    def test_keys_rotate_during_pulls(self) -> None:
        """No rotation of the STS's keys costs a pull."""
        keyring: Keyring = self.bar.whole.means.doors.keyring
        for number in range(4):
            self.deliver("bob@bar.test", data=DATA + bytes([number]), name=f"{number}@foo.test")
            self.assertTrue(keyring.rotate())
            self.world.advance(301, 50)
        self.assertEqual(self.states(), [State.RECEIPTED] * 4)

    def test_sts_down(self) -> None:
        """The issuer is left alone, the destination is not called or blamed, and the pull goes on when it is back."""
        plug = self.unplug("bar.test")
        foo = self.world.internet.hosts["foo.test"].address
        self.deliver("bob@bar.test")
        self.world.advance(60, 5)
        job = self.job()
        self.assertEqual((job.state, job.condition, str(job.blame)), (State.READY, "issuer", "issuer"))
        self.assertEqual(self.foo.trail.of("retrieve"), [])
        self.assertEqual(job.retries, 0)
        self.assertTrue(any(called == foo for _, called, _ in self.world.internet.connections), "introduction only")
        plug()
        self.world.advance(310, 5)
        self.assertEqual(self.states(), [State.RECEIPTED])

    def test_s15_resource_server_not_listed(self) -> None:
        """A resource server that the sender's domain does not list is not called; it is when it is listed later."""
        away = "https://rs.foo.test"
        self.world.internet.host("rs.foo.test", "20.0.9.9")
        self.deliver("bob@bar.test", origin=away)
        self.assertEqual((self.job().state, self.job().condition), (State.HELD, "policy"))
        self.assertNotIn("20.0.9.9", [called for _, called, _ in self.world.internet.connections])
        self.relist("rs.foo.test")
        self.world.result(self.bar.whole.retrieving.operations.act("release", 1))
        self.world.advance(2)
        self.assertEqual(self.states(), [State.HELD], "what was learned is good for an hour")
        self.world.advance(3700, 300)
        self.world.result(self.bar.whole.retrieving.operations.act("release", 1))
        self.world.advance(5)
        self.assertEqual(self.states(), [State.RECEIPTED])

    def relist(self, host: str) -> None:
        """foo.test moves its resource server to the host and says so."""
        old = self.foo
        moved = with_rs(host)(old.settings)
        certificate = self.world.folder / host
        plan = Plan(parse_domain(host), certificate, authority=self.world.folder / "authority")
        make(plan, self.world.now, first_values(plan))
        self.foo = self.world._compose("foo.test", old.plan, moved, old.whole.means.effects.reactor)
        self.world.result(self.foo.store.start())
        self.foo.add_user("alice")
        self.foo.grant(DATA, "bob@bar.test", message_id="7@foo.test")
        self.foo.listen("foo.test")
        reactor = self.world.internet.hosts[host].reactor
        tls = ServerTls(read_credential(str(plan.certificate), str(plan.key)))
        self.world.internet.listen(host, 443, SecureFactory(tls, Site(self.foo.whole.public, reactor), reactor))

    def test_s16_a_placeholder_that_leads_elsewhere(self) -> None:
        """Neither an origin of another domain nor one that the sender claims for it gets a delegation."""
        evil = self.world.domain("evil.test")
        address = self.world.internet.hosts["evil.test"].address
        for number, origin in enumerate(("https://evil.test", "https://foo.test.evil.test", "https://bar.test",
                                         "https://foo.test:8443")):  # fmt: skip
            with self.subTest(origin=origin):
                self.deliver("bob@bar.test", origin=origin, name=f"s16-{number}@foo.test")
                self.assertEqual(self.states()[-1], State.HELD)
        self.assertNotIn(address, [called for _, called, _ in self.world.internet.connections])
        self.assertEqual(evil.trail.lines, [])
        self.assertEqual(self.bar.trail.of("impersonate"), [], "nobody was spoken for")

    def test_s17_other_bytes(self) -> None:
        """Bytes that are not what the placeholder says are not kept."""
        other = self.foo.grant(b"other bytes", "bob@bar.test", message_id="7@foo.test")
        self.deliver("bob@bar.test", granted=("bob@bar.test",), size=5)
        self.world.advance(120, 5)
        self.assertEqual(self.states(), [State.QUARANTINED])
        self.assertNotEqual(other, digest_of(DATA))
        with self.assertRaises(Unknown):
            self.world.result(self.bar.store.blobs.find(digest_of(DATA)))

    def test_f14_outage_is_no_absence(self) -> None:
        """A domain whose WebFinger is away is asked again; no other method answers for it."""
        plug = self.unplug("foo.test")
        self.deliver("bob@bar.test")
        self.assertEqual(self.states(), [State.DEFERRED])
        plug()
        self.world.advance(120, 5)
        self.assertEqual(self.states(), [State.RECEIPTED])

    def test_f02_private_addresses(self) -> None:
        """A name that leads into a private network is not called."""
        calls = len(self.world.internet.connections)
        for address in (
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ):
            with self.subTest(address=address):
                name = f"x{address.replace('.', '-')}.test"
                self.world.internet.host(name, address)
                raw = self.foo.placeholder(["bob@bar.test"], {"a": DATA}, message_id=f"{address}@{name}")
                self.bar.deliver(raw.replace(b"alice@foo.test", f"alice@{name}".encode()), "bob@bar.test")
                self.world.advance(2)
                self.assertEqual(self.states()[-1], State.HELD)
        self.assertEqual(len(self.world.internet.connections), calls)

    def test_no_secret_in_trail_or_log(self) -> None:
        """After a whole pull neither trail nor log of either side has seen a token (S-21, Z-11)."""
        self.deliver("bob@bar.test")
        told = "".join([str(self.foo.trail.lines), str(self.bar.trail.lines), *self.logged])
        self.assertNotIn("eyJ", told, "no JWS anywhere")
        self.assertNotIn("Bearer", told)
