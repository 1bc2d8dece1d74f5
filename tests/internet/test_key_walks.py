"""Keys change while two domains exchange messages: nobody is refused, and what was withdrawn is."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.proof.times import SKEW
from rrsd.core.refusals import Conflict
from rrsd.core.values.jobs import State
from rrsd.core.values.messages import Message
from rrsd.core.values.peers import Certificate
from rrsd.core.values.records import Verdict
from rrsd.core.wire.jose import parse_jws
from rrsd.drivers.keys.service import SIGNING
from rrsd.drivers.keys.settings import Signing
from rrsd.roles.identity.settings import Method
from rrsd.runtime.awaits import deferred_of
from tests.support.attackers import FORM, AttackCase, Line, Response
from tests.support.forgery import (
    ACCESS_TOKEN,
    Forge,
    access,
    credential_of,
    delegation,
    exchange_form,
    impersonation,
    pair_of,
)
from tests.support.world import MemoryDomain, World

HOUR, DAY = 3600, 86_400


@define(eq=False)
class Mail:
    """alice@foo.test and bob@bar.test send each other a message every now and then."""

    world: World
    foo: MemoryDomain
    bar: MemoryDomain
    sent: int = 0
    kept: list[bytes] = field(factory=list)

    def exchange(self) -> None:
        """One message each way."""
        self.sent += 1
        bob, alice = f"bob@{self.bar.name}", f"alice@{self.foo.name}"
        for sender, user, receiver in ((self.foo, bob, self.bar), (self.bar, alice, self.foo)):
            data = f"message {self.sent} of {sender.name}".encode() * 50
            name = f"{self.sent}@{sender.name}"
            receiver.deliver(sender.send([user], {"file": data}, message_id=name), user)

    def begin(self) -> Deferred[tuple[Message, ...]]:
        """A message for bob that begins to be delivered."""
        self.sent += 1
        data = f"message {self.sent} of {self.foo.name}".encode() * 50
        raw = self.foo.send(["bob@bar.test"], {"file": data}, message_id=f"{self.sent}@{self.foo.name}")
        return deferred_of(self.bar.whole.retrieving.acceptance.accept(raw, [self.bar.address("bob")]))

    def go_on(self, seconds: float, every: float = 120) -> None:
        """Mail goes on for so long."""
        for _ in range(int(seconds / every)):
            self.exchange()
            self.world.advance(every, 30)


class Walks(SynchronousTestCase):
    """bar.test's client key walks while mail goes both ways."""

    def setUp(self) -> None:
        """Two domains at work."""
        self.world = World(Path(self.mktemp()))
        self.foo, self.bar = self.world.domain("foo.test"), self.world.domain("bar.test")
        self.foo.add_user("alice")
        self.bar.add_user("bob")
        self.mail = Mail(self.world, self.foo, self.bar)

    def step(self, step: str, *, force: bool = False) -> None:
        """bar.test's administrator takes a step with the client key."""
        self.assertTrue(self.world.result(self.bar.whole.keys.change_client(step, is_forced=force)))

    def step_at_once(self, step: str) -> None:
        """The same while everything stands still."""
        taken = Deferred.fromCoroutine(self.bar.whole.keys.change_client(step, is_forced=True))
        self.assertTrue(self.successResultOf(taken))

    def presented(self) -> Certificate:
        """bar.test's client certificate."""
        return self.bar.whole.means.doors.keyring.agent.certificate

    def require_no_refusal(self) -> None:
        """Every pull arrived at its first attempt, and no decision in either trail was a no."""
        self.assertEqual(len(self.bar.jobs()), self.mail.sent)
        for domain in (self.foo, self.bar):
            arrived = {(job.state, job.attempts) for job in domain.jobs()}
            self.assertLessEqual(arrived, {(State.RECEIPTED, 1)}, domain.name)
            self.assertEqual([line for line in domain.trail.lines if line["outcome"] != "granted"], [])

    def test_client_key_and_signing_keys_change_under_way(self) -> None:
        """Publish, use, withdraw, and a rotation of the signing keys of both after each: not one refusal."""
        self.walk()

    def test_by_each_record(self) -> None:
        """The same where only TLSA, only WebFinger, or only TXT records are looked at: one hash serves all three."""
        for method in (Method.DANE, Method.WEBFINGER, Method.TXT):
            with self.subTest(method):
                self.setUp()
                self.world.zones.sign("bar.test")
                self.publish()
                self.ask_only(method)
                self.walk()
                self.assertEqual({line["evidence"].split()[0] for line in self.foo.trail.of("retrieve")}, {method})

    def test_records_that_nobody_changed(self) -> None:
        """`use` is refused while a record as the world sees it does not have the next key, for each record."""
        self.publish()
        self.step("publish")
        self.world.advance(HOUR, 600)
        with self.assertRaisesRegex(Conflict, "dane at .* does not have the next key .*; dns-txt at .*--force"):
            self.step("use")
        self.publish()
        self.world.zones.fake("_rra.bar.test", Verdict.TEMPORARY)
        self.world.advance(HOUR, 600)
        with self.assertRaisesRegex(Conflict, "dane at .* does not have the next key"):
            self.step("use")
        self.world.zones.fake("_rra.bar.test", None)
        self.world.advance(HOUR, 600)
        self.step("use")

    def publish(self) -> None:
        """bar.test's zone says what its administrator is told to put there."""
        document: Any = self.bar.whole.keys.document()
        for kind in ("TXT", "TLSA"):
            lines = [
                line.partition(f" IN {kind} ")[2].strip('"') for line in document["records"] if f" {kind} " in line
            ]
            self.world.zones.publish("_rra.bar.test", kind, *lines, ttl=HOUR)

    def ask_only(self, method: Method) -> None:
        """foo.test proves clients by that method alone."""

        def only(settings: Settings) -> Settings:
            return evolve(settings, identity=evolve(settings.identity, methods=(method,)))

        self.foo = self.mail.foo = self.world.domain("one.test", only)
        self.foo.add_user("alice")

    def walk(self) -> None:
        """bar.test's client key goes all the way while mail goes both ways and signing keys change."""
        first = self.presented()
        self.mail.go_on(600)
        for step, wait in (("publish", HOUR), ("use", DAY), ("withdraw", HOUR)):
            self.mail.exchange()
            self.step(step)
            if self.world.zones.signed:
                self.publish()
            for domain in (self.foo, self.bar):
                self.assertTrue(domain.whole.keys.rotate())
            self.mail.exchange()
            self.mail.go_on(900)
            self.world.advance(wait, 300)
        self.mail.go_on(600)
        self.assertNotEqual(self.presented(), first)
        self.require_no_refusal()

    def test_rs256(self) -> None:
        """A domain whose tokens are signed with RSA is believed as any other, before and after the change."""

        def with_rsa(settings: Settings) -> Settings:
            return evolve(settings, keys=evolve(settings.keys, algorithm=Signing.RS256))

        self.bar = self.mail.bar = self.world.domain("rsa.test", with_rsa)
        self.bar.add_user("bob")
        for _ in range(4):
            self.mail.exchange()
            self.world.advance(301, 30)
            self.assertTrue(self.bar.whole.keys.rotate())
        self.require_no_refusal()
        self.assertEqual(self.bar.whole.means.doors.keyring.signing_keys()[0].algorithm, "RS256")
        document = Line.to(self.world, "rsa.test").ask("GET", "/.well-known/openid-configuration").json()
        self.assertEqual(document["id_token_signing_alg_values_supported"], ["RS256", "ES256"])

    def test_use_in_the_middle_of_pulls(self) -> None:
        """The key changes at each moment of a pull in turn: what runs ends with the old one, the rest has the new."""
        self.world.internet.segment = 512
        moments, was_quiet = 0, False
        while not was_quiet:
            self.step("publish")
            self.world.advance(HOUR, 600)
            delivered = self.mail.begin()
            was_quiet = not all([self.world.internet.turn() for _ in range(moments)])
            self.step_at_once("use")
            self.world.internet.pump()
            self.world.advance(60, 5)
            self.assertTrue(self.successResultOf(delivered))
            self.step("withdraw", force=True)
            moments += 1
        self.assertGreater(moments, 30)
        self.require_no_refusal()


class Withdrawn(AttackCase):
    """Somebody has bar.test's old client key."""

    def setUp(self) -> None:
        """The new key is in use, the old one still published."""
        super().setUp()
        self.old = pair_of(self.bar)
        for step in ("publish", "use"):
            self.step(step)
        self.assertNotEqual(pair_of(self.bar).certificate, self.old.certificate)
        self.credential = credential_of(self.old)

    def step(self, step: str) -> None:
        """bar.test's administrator takes a step with the client key."""
        self.world.result(self.bar.whole.keys.change_client(step, is_forced=True))
        self.bar.trail.lines.clear()

    def retrieve(self, token: str, line: Line | None = None) -> Response:
        """What foo.test says to whoever has the old key and a delegation of bar.test for it."""
        line = line or self.line(self.foo, credential=self.credential)
        return line.ask("GET", self.target, Authorization=f"Bearer {token}")

    def test_o13_old_key_after_it_was_withdrawn(self) -> None:
        """While it is published the old key is good, afterwards nobody believes it, delegation or not."""
        token = delegation(self.bar, self.foo, credential=self.credential).text()
        self.assertEqual(self.retrieve(token).status, 200)
        self.step("withdraw")
        # Until then a copy of what was published before is as good as the original.
        self.world.advance(self.bar.settings.identity.max_age.total_seconds() + 1, 600)
        self.foo.trail.lines.clear()
        token = delegation(self.bar, self.foo, credential=self.credential).text()
        self.require_refused(self.foo, self.retrieve(token), 401, "invalid_token", "unproven", token)
        good = delegation(self.bar, self.foo).text()
        self.assertEqual(self.retrieve(good, self.agent_line(self.foo)).status, 200)

    def test_o13_old_key_at_its_own_token_service(self) -> None:
        """The own token service knows the old certificate until it is withdrawn, and not a moment longer."""
        line = self.line(self.bar, credential=self.credential)
        first, second = (impersonation(self.bar, pair=self.old).text() for _ in range(2))
        self.assertEqual(self.exchange(exchange_form(self.bar, self.foo, first), line).status, 200)
        self.step("withdraw")
        refused = self.exchange(exchange_form(self.bar, self.foo, second), line)
        self.require_refused(self.bar, refused, 401, "invalid_client", "unknown_client", second)

    def test_o13_hashes_that_are_published(self) -> None:
        """WebFinger has both hashes while both are good, and one afterwards."""
        asked = "/.well-known/webfinger?resource=acct:_rra@bar.test&rel=public-key"
        both = {self.old.certificate.spki.hex, pair_of(self.bar).certificate.spki.hex}
        self.assertEqual(self.hashes(asked), both)
        self.step("withdraw")
        self.assertEqual(self.hashes(asked), both - {self.old.certificate.spki.hex})

    def hashes(self, target: str) -> set[str]:
        """The key hashes in a WebFinger document of bar.test."""
        links = self.line(self.bar).ask("GET", target).json()["links"]
        return {link["properties"]["public-key/hash"] for link in links}

    def test_m04_delegation_of_the_old_certificate_with_the_new(self) -> None:
        """A delegation is good with its own certificate only, although both are the agent's."""
        token = delegation(self.bar, self.foo, credential=self.credential).text()
        response = self.retrieve(token, self.agent_line(self.foo))
        self.require_refused(self.foo, response, 401, "invalid_token", "unproven", token)


class SigningKeys(AttackCase):
    """Rotations while requests are on their way."""

    def test_z09_rotation_in_the_middle_of_a_request(self) -> None:
        """A request whose first half came before a rotation, and one whose token did, are answered as always."""
        token = access(self.bar).text()
        line = self.agent_line(self.bar)
        body = urlencode(exchange_form(self.bar, self.foo, token, ACCESS_TOKEN)).encode()
        head = f"POST /token HTTP/1.1\r\nHost: bar.test\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
        line.send(head.encode() + body[:100])
        self.assertTrue(self.bar.whole.keys.rotate())
        line.send(body[100:])
        issued = line.response()
        self.assertEqual(issued.status, 200)
        self.world.advance(61, 60)
        self.assertTrue(self.bar.whole.keys.rotate())
        answer = self.agent_line(self.foo).ask(
            "GET", self.target, Authorization=f"Bearer {issued.json()['access_token']}"
        )
        self.assertEqual((answer.status, answer.body), (200, self.DATA))

    def test_j24_signed_just_before_a_rotation(self) -> None:
        """With the shortest grace that may be configured, a token is good until it ends, and its key not longer."""

        def short(settings: Settings) -> Settings:
            return evolve(settings, keys=evolve(settings.keys, grace=settings.idp.access_life + SKEW))

        domain = self.world.domain("short.test", short)
        domain.add_user("bob")
        token = access(domain, "bob@short.test").text()

        def messages() -> Response:
            return Line.to(self.world, "short.test").ask("GET", "/api/messages", Authorization=f"Bearer {token}")

        self.assertTrue(domain.whole.keys.rotate())
        self.world.advance(599, 60)
        self.assertEqual(messages().status, 200)
        domain.trail.lines.clear()
        self.world.advance(31, 31)
        self.require_refused(domain, messages(), 401, "invalid_token", "expired", token)
        kids = {key.kid for key in domain.whole.means.doors.keyring.published().keys}
        self.assertNotIn(parse_jws(token).kid, kids)

    def test_j24_key_not_yet_active(self) -> None:
        """What the next key signs is believed by nobody at home, although everybody can see the key."""
        following = next(key for key in self.bar.whole.means.doors.keyring.signing_keys() if key.state.value == "next")
        forge = access(self.bar)
        token = Forge({**forge.header, "kid": following.kid}, forge.claims, following.private).text()
        response = self.line(self.bar).ask("GET", "/api/messages", Authorization=f"Bearer {token}")
        self.require_refused(self.bar, response, 401, "invalid_token", "unproven", token)

    def test_z06_signing_key_missing(self) -> None:
        """Nothing goes out unsigned: 503, at the token endpoint and in the walk of a login."""
        keyring = self.bar.whole.means.doors.keyring
        token = impersonation(self.bar).text()
        (keyring.folder / SIGNING).unlink()
        self.bar.whole.means.doors.reload()
        response = self.exchange(exchange_form(self.bar, self.foo, token))
        self.require_refused(self.bar, response, 503, "temporarily_unavailable", "unavailable", token)
        self.assertEqual(self.line(self.bar).ask("GET", "/jwks").json(), {"keys": []})
