"""C, R, T: who can be registered at the token service, that it counts at once, and that nobody asks without end."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Conflict, Malformed, Refusal, Unknown
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.clients import ClientRow, Method
from rrsd.core.wire.strictjson import render
from rrsd.roles.sts.ports import ClientRows
from rrsd.roles.sts.settings import ClientSettings
from rrsd.runtime.awaits import deferred_of
from tests.internet.test_attacks_clients import NAME, ClientCase
from tests.support.authorities import root
from tests.support.certificates import client
from tests.support.forgery import ACCESS_TOKEN, access, agent_of, exchange_form
from tests.support.parties import Signing


@frozen
class Slow:
    """The rows of the store; one is saved when `written` fires, as on a thread."""

    rows: ClientRows
    written: Deferred[None]

    async def all(self) -> Sequence[ClientRow]:
        """Every row."""
        return await self.rows.all()

    async def save(self, client: ClientRow) -> None:
        """Save it, later."""
        await self.written
        await self.rows.save(client)

    async def remove(self, name: str) -> None:
        """Forget it."""
        await self.rows.remove(name)


class Registration(ClientCase):
    """Who can be registered, and that it counts at once."""

    def refused_add(self, kind: type[Refusal], name: str = NAME, **document: Any) -> str:
        """Why the administrator hears no."""
        with self.assertRaises(kind) as raised:
            self.add(name, **document)
        return str(raised.exception.detail)

    def test_c15_names(self) -> None:
        """Nothing that looks like an address, or is not in the one form of a name."""
        pem = client("_api", "partner.test").certificate_pem.decode()
        for name in ("bob@bar.test", "_api@partner.test", "partner", "", "_API.partner.test", "_api.partner.test.",
                     "a b.partner.test", "rrsctl"):  # fmt: skip
            with self.subTest(name=name):
                self.refused_add(Malformed, name, certificates=[pem])

    def test_names_that_are_taken(self) -> None:
        """Our own agent's, or another client's."""
        pair = client("_api", "partner.test")
        self.add(certificates=[pair.certificate_pem.decode()])
        self.refused_add(Conflict, certificates=[pair.certificate_pem.decode()])
        ours = agent_of(self.bar).chain[0].public_bytes(Encoding.PEM).decode()
        self.refused_add(Conflict, "_rra.bar.test", certificates=[ours])

    def test_two_at_once_under_one_name(self) -> None:
        """While one is being written down another of that name is refused, and not put in its place unseen."""
        registry, written = self.bar.whole.people.registry, Deferred[None]()
        registry.rows = Slow(registry.rows, written)
        documents = [{"certificates": [client("_api", "partner.test").certificate_pem.decode()]} for _ in range(2)]
        first, second = (deferred_of(registry.add(NAME, document)) for document in documents)
        self.failureResultOf(second, Conflict)
        written.callback(None)
        self.successResultOf(first)
        shown = self.world.result(registry.show(NAME))
        self.assertEqual(shown["document"], documents[0])
        self.assertEqual(len(self.bar.trail.of("client_added")), 1)

    def test_r08_documents(self) -> None:
        """Zero or two names, members of another method, no proof at all, and words that are not known."""
        pem, jwks = client("_api", "partner.test").certificate_pem.decode(), Signing(NAME).jwks
        ca = root().pem.decode()
        mixed = [jwks["keys"][0], {**jwks["keys"][0], "d": "AAAA", "kid": "2"}]
        document: dict[str, Any]
        for document in (
            {}, {"auth": "none"}, {"auth": "client_secret_basic"}, {"auth": 7}, {"certificates": []},
            {"certificates": ["no PEM"]}, {"certificates": [client("_x", "partner.test").certificate_pem.decode()]},
            {"certificates": [pem], "jwks": jwks}, {"certificates": [pem], "more": 1}, {"certificates": pem},
            {"certificates": [pem] * 11}, {"certificates": [pem], "impersonate": ["not a domain"]},
            {"certificates": [pem], "targets": ["http://rs.test"]}, {"certificates": [pem], "introspect": "yes"},
            {"certificates": [pem], "audiences": [7]}, {"certificates": [pem], "audiences": ["x"] * 1001},
            {"auth": "tls_client_auth", "ca": [ca]}, {"auth": "tls_client_auth", "san_dns": "a.test"},
            {"auth": "tls_client_auth", "ca": [ca], "san_dns": "a.test", "san_ip": "::1"},
            {"auth": "tls_client_auth", "ca": [ca], "san_ip": "localhost"},
            {"auth": "tls_client_auth", "ca": [ca], "subject_dn": "nonsense"},
            {"auth": "tls_client_auth", "ca": [ca], "subject_dn": ""},
            {"auth": "tls_client_auth", "ca": [ca], "san_uri": "no uri"},
            {"auth": "tls_client_auth", "ca": [ca], "san_email": 7},
            {"auth": "private_key_jwt"}, {"auth": "private_key_jwt", "jwks": jwks, "jwks_uri": "https://a.test/jwks"},
            {"auth": "private_key_jwt", "jwks": {"keys": []}}, {"auth": "private_key_jwt", "jwks": {"keys": mixed}},
            {"auth": "private_key_jwt", "jwks": "x"}, {"auth": "private_key_jwt", "jwks_uri": "http://a.test/jwks"},
            {"auth": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        ):  # fmt: skip
            with self.subTest(document=str(document)[:80]):
                self.refused_add(Malformed, **document)

    def test_at_once(self) -> None:
        """Registered, disabled, enabled, removed: the very next request sees it, and each is in the trail."""
        pair = client("_api", "partner.test")
        line = self.line(self.bar, credential=pair.credential)
        registry = self.bar.whole.people.registry
        self.refuse(line.form("/token", self.form()))
        self.add(certificates=[pair.certificate_pem.decode()])
        self.accept(line.form("/token", self.form()))
        self.world.result(registry.disable(NAME))
        self.bar.trail.lines.clear()
        self.refuse(line.form("/token", self.form()))
        self.world.result(registry.enable(NAME))
        self.accept(line.form("/token", self.form()))
        self.world.result(registry.remove(NAME))
        self.assertEqual(
            [each["what"] for each in self.bar.trail.lines], ["client_enabled", "delegate", "client_removed"]
        )
        self.bar.trail.lines.clear()
        self.refuse(line.form("/token", self.form()))
        for act in (registry.disable, registry.enable, registry.remove, registry.show):
            with self.assertRaises(Unknown):
                self.world.result(act(NAME))

    def test_a_registration_of_another_version(self) -> None:
        """What would not be registered today proves nothing, and is shown as it is."""
        pair = client("_api", "partner.test")
        row = ClientRow(NAME, {"auth": "carrier pigeon"}, False, self.world.now)
        self.world.result(self.bar.store.clients.save(row))
        self.refuse(self.line(self.bar, credential=pair.credential).form("/token", self.form()))
        registry = self.bar.whole.people.registry
        self.assertNotIn("auth", self.world.result(registry.show(NAME)))
        self.assertEqual(self.world.result(registry.show("_rra.bar.test"))["from"], "own")

    def test_settings_win(self) -> None:
        """What the settings say about a name counts, whatever the administrator added under it before."""
        pair, other = client("_api", "partner.test"), client("_api", "partner.test")
        path = self.bar.plan.folder / "client.pem"
        path.write_bytes(pair.certificate_pem)
        keys = self.bar.plan.folder / "client.jwks"
        party = Signing("_job.partner.test")
        keys.write_bytes(render(party.jwks))
        sections = (
            ClientSettings(parse_client_identifier(NAME), certificate=(str(path),), audiences=("https://one.test",)),
            ClientSettings(parse_client_identifier(party.name), auth=Method.ASSERTION, jwks=str(keys)),
        )
        one = self.world.domain("one.test", lambda given: evolve(given, sts=evolve(given.sts, clients=sections)))
        registry = one.whole.people.registry
        with self.assertRaises(Conflict):
            self.world.result(registry.add(NAME, {"certificates": [other.certificate_pem.decode()]}))
        one.add_user("bob")
        form = exchange_form(one, self.foo, access(one, "bob@one.test").text(), ACCESS_TOKEN, client_id=NAME)
        self.assertEqual(self.line(one, credential=pair.credential).form("/token", form).status, 200)
        self.assertEqual(self.line(one, credential=other.credential).form("/token", form).status, 401)
        listed = {each["name"]: each for each in self.world.result(registry.list())}
        self.assertEqual({name: each["from"] for name, each in listed.items()},
                         {NAME: "settings", party.name: "settings", "_rra.one.test": "own"})  # fmt: skip
        self.assertEqual(self.world.result(registry.show(NAME))["auth"], "self_signed_tls_client_auth")
        with self.assertRaises(Unknown):
            self.world.result(registry.disable(NAME))


class Limits(ClientCase):
    """T-12: who asks too often waits, others do not."""

    def test_t12_one_client(self) -> None:
        """A client beyond its rate is told when to come back; another client, and another day, are not affected."""
        slow = self.world.domain(
            "slow.test", lambda given: evolve(given, sts=evolve(given.sts, exchanges_per_second=2))
        )
        slow.add_user("bob")
        pair = client("_api", "partner.test")
        self.world.result(slow.whole.people.registry.add(NAME, {
            "certificates": [pair.certificate_pem.decode()], "audiences": ["https://slow.test"]}))  # fmt: skip
        token = access(slow, "bob@slow.test").text()
        form = exchange_form(slow, self.foo, token, ACCESS_TOKEN, client_id=NAME)
        line = self.line(slow, credential=pair.credential)
        answers = [line.form("/token", form) for _ in range(6)]
        self.assertEqual([each.status for each in answers], [200] * 4 + [429] * 2)
        self.assertGreaterEqual(int(answers[-1].headers["retry-after"]), 1)
        own = exchange_form(slow, self.foo, token, ACCESS_TOKEN)
        self.assertEqual(self.agent_line(slow, slow).form("/token", own).status, 200)
        self.world.advance(2)
        self.assertEqual(line.form("/token", form).status, 200)
