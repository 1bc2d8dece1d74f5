"""J: every way to spoil a token, for every kind of token, at every endpoint that takes it, over TLS."""

from collections.abc import Callable

from attrs import evolve, frozen

from rrsd.config.settings import Settings
from tests.support import spoiled
from tests.support.attackers import AttackCase, Response
from tests.support.forgery import (
    ACCESS_TOKEN,
    Forge,
    access,
    delegation,
    exchange_form,
    impersonation,
    jws,
    receipt,
    signing_key_of,
)
from tests.support.world import MemoryDomain


@frozen
class Gate:
    """One endpoint that takes one kind of token. `pinned` says that the key is the certificate's, whatever `kid`."""

    name: str
    domain: MemoryDomain
    forge: Callable[[], Forge]
    present: Callable[[str], Response]
    status: int
    error: str
    reasons: frozenset[str]
    good: int
    pinned: bool = False


class Tokens(AttackCase):
    """Each gate takes the good token and refuses every spoiled one the same way."""

    def gates(self) -> list[Gate]:
        """All of them."""
        subject = (400, "invalid_request", frozenset({"malformed"}))
        bearer = (401, "invalid_token", frozenset({"unproven", "expired"}))
        message = frozenset({"malformed", "unproven", "expired", "too_large"})
        return [
            Gate("2-legged", self.bar, lambda: impersonation(self.bar), self.two_legs, *subject, 200, True),
            Gate("3-legged", self.bar, lambda: access(self.bar), self.three_legs, *subject, 200),
            Gate("retrieve", self.foo, lambda: delegation(self.bar, self.foo), self.retrieve, *bearer, 200),
            Gate("sender", self.foo, lambda: access(self.foo, "alice@foo.test"), self.sender, *bearer, 200),
            Gate("mailbox", self.bar, lambda: access(self.bar), self.mailbox, *bearer, 200),
            Gate("receipt", self.foo, lambda: receipt(self.bar, self.foo, self.DATA), self.acknowledge, 0, "", message,
                 201, True),
        ]  # fmt: skip

    def two_legs(self, token: str) -> Response:
        """Exchange it."""
        return self.exchange(exchange_form(self.bar, self.foo, token))

    def three_legs(self, token: str) -> Response:
        """Exchange it."""
        return self.exchange(exchange_form(self.bar, self.foo, token, ACCESS_TOKEN))

    def retrieve(self, token: str) -> Response:
        """Fetch with it."""
        return self.agent_line(self.foo).ask("GET", self.target, Authorization=f"Bearer {token}")

    def sender(self, token: str) -> Response:
        """Look after what was sent with it."""
        return self.line(self.foo).ask("GET", "/api/outgoing", Authorization=f"Bearer {token}")

    def mailbox(self, token: str) -> Response:
        """Read one's mail with it."""
        return self.line(self.bar).ask("GET", "/api/messages", Authorization=f"Bearer {token}")

    def acknowledge(self, token: str) -> Response:
        """Send it as a receipt, under a good delegation."""
        good = delegation(self.bar, self.foo).text()
        return self.agent_line(self.foo).ask(
            "POST", "/rrs/receipts", token.encode(), Authorization=f"Bearer {good}", Content_Type="application/jose"
        )

    def attack(self, spoil: Callable[[Forge], spoiled.Spoiled], *, pinned: bool = True) -> None:
        """Every gate refuses all that `spoil` makes."""
        for gate in self.gates():
            if gate.pinned and not pinned:
                continue
            self.assertEqual(gate.present(gate.forge().text()).status, gate.good, gate.name)
            for domain in (self.foo, self.bar):
                domain.trail.lines.clear()
            for name, token in spoil(gate.forge()):
                with self.subTest(gate=gate.name, case=name):
                    self.require_gate_refuses(gate, token)

    def require_gate_refuses(self, gate: Gate, token: str) -> None:
        """One of the gate's reasons, as the gate says it."""
        asked = len(self.world.internet.names.asked)
        response = gate.present(token)
        self.assertGreaterEqual(response.status, 400, response)
        reason = response.json()["reason"]
        self.assertIn(reason, gate.reasons)
        status, error = (gate.status, gate.error) if gate.status else RECEIPT[reason]
        self.require_refused(gate.domain, response, status, error, reason, token)
        self.assertEqual(len(self.world.internet.names.asked), asked, "somebody was asked")

    def test_j01_j02_j03_algorithms(self) -> None:
        """No algorithm but that of the key: none, HMAC over the public key, another family."""
        self.attack(spoiled.algorithms)

    def test_j04_j05_signatures(self) -> None:
        """A signature of anything else, or in another form."""
        self.attack(spoiled.signatures)

    def test_j08_shapes(self) -> None:
        """Whatever has two readings, or is no compact JWS."""
        self.attack(spoiled.shapes)

    def test_j09_kids(self) -> None:
        """A key that is not there, is not named, or is another issuer's, where tokens name their key."""
        self.attack(spoiled.kids, pinned=False)
        other = signing_key_of(self.foo)
        for forge, gate in ((gate.forge(), gate) for gate in self.gates() if not gate.pinned and gate.name not in OWN):
            self.require_gate_refuses(gate, jws({**forge.header, "kid": other.kid}, forge.claims, other.private))

    def test_j11_keys_in_the_header(self) -> None:
        """A key, or where to get one, in the header; nobody is asked for it."""
        self.attack(spoiled.headers)

    def test_j13_types(self) -> None:
        """A token of one kind is none of another."""
        self.attack(spoiled.types)

    def test_j14_j15_parties(self) -> None:
        """Another issuer or audience, however alike."""
        self.attack(spoiled.parties)

    def test_j16_times(self) -> None:
        """Over, endless, or no number of seconds."""
        self.attack(spoiled.times)

    def test_j19_d03_names(self) -> None:
        """A name of the token that cannot be remembered, a subject that is nobody."""
        self.attack(spoiled.names)

    def test_j19_reused(self) -> None:
        """An impersonation assertion is good once: again, in parallel on other connections, and after a restart."""
        token = impersonation(self.bar).text()
        lines = [self.agent_line(self.bar) for _ in range(5)]
        body = "&".join(f"{n}={v}" for n, v in exchange_form(self.bar, self.foo, token).items()).replace(":", "%3A")
        head = "POST /token HTTP/1.1\r\nHost: bar.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        for line in lines:
            line.wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        self.world.internet.pump()
        self.assertEqual(sorted(line.response().status for line in lines), [200, 400, 400, 400, 400])
        self.bar.trail.lines.clear()
        self.require_refused(self.bar, self.two_legs(token), 400, "invalid_request", "malformed", token)

    def test_j24_retired_key(self) -> None:
        """A key signs no token any more once its grace is over."""
        old = access(self.foo, "alice@foo.test")
        self.assertTrue(self.foo.whole.means.doors.keyring.rotate())
        self.assertEqual(self.sender(old.text()).status, 200, "within its grace")
        self.world.advance(self.foo.settings.keys.grace.total_seconds() + 1, 3600)
        now = int(self.world.clock.seconds())
        token = old.text(iat=now, nbf=now, exp=now + 300)
        self.foo.trail.lines.clear()
        self.require_refused(self.foo, self.sender(token), 401, "invalid_token", "unproven", token)
        self.assertEqual(self.sender(access(self.foo, "alice@foo.test").text()).status, 200)


RECEIPT = {
    "malformed": (400, "invalid_request"),
    "unproven": (401, "invalid_token"),
    "expired": (401, "invalid_token"),
    "too_large": (413, "invalid_request"),
}
OWN = ("sender",)
"""Gates at foo.test itself, whose keys are the others' strangers."""


class Asked(AttackCase):
    """Whoever introspects a spoiled token hears that it is not active, and not why (RFC 7662 2.2)."""

    def setUp(self) -> None:
        """A domain whose own agent may ask as often as it likes."""
        super().setUp()
        self.baz = self.world.domain("baz.test", often)
        self.baz.add_user("bob")

    def ask(self, token: str) -> Response:
        """What baz.test's token service says about it to its own agent."""
        form = {"client_id": "_rra.baz.test", "token": token}
        return self.agent_line(self.baz, self.baz).form("/introspect", form)

    def test_i02_every_spoiled_token(self) -> None:
        """Of an access token and of a delegation, in every way that J knows."""
        spoilers = (spoiled.algorithms, spoiled.signatures, spoiled.shapes, spoiled.headers, spoiled.types,
                    spoiled.kids, spoiled.parties, spoiled.times, spoiled.names)  # fmt: skip
        for forge in (access(self.baz, "bob@baz.test"), delegation(self.baz, self.baz, "bob@baz.test")):
            self.assertIs(self.ask(forge.text()).json()["active"], True)
            for name, token in (each for spoil in spoilers for each in spoil(forge)):
                if name == "j13 'at+jwt'":
                    continue  # that is a good access token: only the issuer could have made it
                with self.subTest(case=name):
                    self.baz.trail.lines.clear()
                    self.require_inactive(token)

    def require_inactive(self, token: str) -> None:
        """The same answer for all, one line with the reason; too much or nothing at all is no token."""
        response = self.ask(token)
        if response.status == 200:
            self.assertEqual(response.json(), {"active": False})
        else:
            self.assertEqual((response.status, response.json()["reason"]), (400, "malformed"))
        self.assertEqual(response.headers["cache-control"], "no-store")
        (line,) = self.baz.trail.of("introspect")
        self.assertEqual((line["outcome"], line.get("subject")), ("refused", None))
        self.require_silent(self.baz, response, token)

    def test_i12_empty_fields(self) -> None:
        """Fields of a form that are there and empty are absent; a password, however empty, is no proof of a client."""
        token = access(self.baz, "bob@baz.test").text()
        line = self.agent_line(self.baz, self.baz)
        form = {"client_id": "_rra.baz.test", "token": token, "client_secret": "", "client_assertion": ""}
        self.assertIs(line.form("/introspect", form).json()["active"], True)
        for value in ("Basic Og==", "Basic X3JyYS5iYXoudGVzdDo=", "Basic ", "Basic"):
            with self.subTest(value=value):
                self.baz.trail.lines.clear()
                empty = {"client_id": "", "client_secret": "", "token": token}
                response = self.line(self.baz).form("/introspect", empty, Authorization=value)
                self.require_refused(self.baz, response, 401, "invalid_client", "unknown_client", token)


def often(settings: Settings) -> Settings:
    """No limit on tokens that are not active."""
    return evolve(settings, sts=evolve(settings.sts, inactive_per_client=10**6, exchanges_per_second=10**6))
