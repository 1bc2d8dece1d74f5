"""Registration of clients and the ends of delegations."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.peers import parse_issuer, parse_origin
from rrsd.drivers.keys.certificates import self_signed_client
from rrsd.roles.sts import clients, rules
from rrsd.roles.sts.settings import ClientSettings, Settings
from tests.support.issuer import START

CLIENT = parse_client_identifier("_rra.bar.test")
CERTIFICATE = self_signed_client(CLIENT, START).certificate
BAR = parse_domain("bar.test")


class RegistrationTests(SynchronousTestCase):
    """What a client may do is said when it is registered."""

    def test_nothing_is_allowed_unless_it_is_said(self) -> None:
        """A section without permissions impersonates nobody and takes no access tokens."""
        said = ClientSettings(CLIENT, certificate=("client.pem",))
        client = clients.register(said.client, [CERTIFICATE], said.impersonate, said.audiences, said.targets)
        self.assertEqual((client.impersonate, client.audiences, client.targets), (frozenset(), frozenset(), None))
        self.assertEqual(Settings().clients, ())

    def test_targets_are_origins(self) -> None:
        """Targets are https origins, or any."""
        client = clients.register(CLIENT, [CERTIFICATE], [BAR], [], ["https://rs.foo.test"])
        self.assertEqual(client.targets, frozenset({parse_origin("https://rs.foo.test")}))
        self.assertRaises(Malformed, clients.register, CLIENT, [CERTIFICATE], [BAR], [], ["rs.foo.test"])

    def test_a_certificate_has_the_clients_name(self) -> None:
        """A client without a certificate, or with one of somebody else, is not registered."""
        stranger = parse_client_identifier("_rra.evil.test")
        self.assertRaises(Malformed, clients.register, CLIENT, [], [], [], ["*"])
        self.assertRaises(Malformed, clients.register, stranger, [CERTIFICATE], [], [], ["*"])

    def test_own_agent_needs_a_name(self) -> None:
        """The agent's certificate must name a client."""
        self.assertEqual(clients.own_agent((CERTIFICATE,), BAR, ("x",)).identifier, CLIENT)
        self.assertRaises(Malformed, clients.own_agent, (evolve(CERTIFICATE, client=None),), BAR, ("x",))
        self.assertRaises(Malformed, clients.own_agent, (), BAR, ("x",))


class LifeTests(SynchronousTestCase):
    """When a delegation ends."""

    def test_the_shortest_of_three(self) -> None:
        """Configuration, the protocol and the subject token each bound the life."""
        bob = parse_address("bob@bar.test")
        cases = [(1000, 3600, 300), (100, 3600, 100), (1000, 50, 50)]
        for configured, left, life in cases:
            subject = rules.Subject(bob, START + timedelta(seconds=left), "")
            end = rules.end_of(subject, START, timedelta(seconds=configured))
            self.assertEqual(end - START, timedelta(seconds=life))

    def test_nothing_left(self) -> None:
        """Under a second is nothing: ends are whole seconds."""
        subject = rules.Subject(parse_address("bob@bar.test"), START + timedelta(milliseconds=900), "")
        self.assertRaises(Malformed, rules.end_of, subject, START, timedelta(seconds=300))


class MetadataTests(SynchronousTestCase):
    """What the issuer says about exchanges."""

    def test_client_authentication_and_binding_are_announced(self) -> None:
        """Clients find how to prove themselves and that tokens are bound."""
        document = rules.metadata(parse_issuer("https://id.bar.test"), ["RS256", "ES256"])
        self.assertEqual(document["token_endpoint"], "https://id.bar.test/token")
        self.assertEqual(document["introspection_signing_alg_values_supported"], ["RS256", "ES256"])
        methods = ["self_signed_tls_client_auth", "tls_client_auth", "private_key_jwt"]
        for endpoint in ("token", "introspection", "revocation"):
            self.assertIn(f"{endpoint}_endpoint", document)
            self.assertEqual(document[f"{endpoint}_endpoint_auth_methods_supported"], methods)
            self.assertNotIn("none", document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"])
        self.assertEqual(document["introspection_signing_alg_values_supported"], ["RS256", "ES256"])
        self.assertIs(document["tls_client_certificate_bound_access_tokens"], True)
