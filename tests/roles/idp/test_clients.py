"""Which programs can be registered, and what the issuer says about itself."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.roles.idp import claims
from rrsd.roles.idp.clients import command_line, is_redirect, register
from rrsd.roles.idp.settings import ClientSettings, Settings
from tests.roles.idp.login import ISSUER


class RegistrationTests(SynchronousTestCase):
    """A client is what its section says, if that is safe."""

    def test_c15_client_id_that_looks_like_a_user(self) -> None:
        """A client identifier can never be a user's address."""
        for client_id in ("bob@bar.test", "", "a b", "x" * 101, "\u0441lient"):
            with self.subTest(client_id):
                self.assertRaises(Malformed, register, client_id, "A program", ("https://mail.bar.test/login",))

    def test_r05_redirect_uris(self) -> None:
        """Plain http elsewhere than on loopback, scripts, fragments, users and address literals are refused."""
        wrong = [
            "http://mail.bar.test/login", "javascript:alert(1)", "javascript:/x", "https://mail.bar.test/#x",
            "https://bob@mail.bar.test/", "https://127.0.0.1/callback", "https://*.bar.test/", "http://localhost/callback",
            "https://a.test\\@b.test", "http://127.0.0.1/callback?x", "http://127.0.0.1", "data:text/html,x", "",
        ]  # fmt: skip
        for uri in wrong:
            with self.subTest(uri):
                self.assertRaises(Malformed, register, "web", "A program", (uri,))
        self.assertRaises(Malformed, register, "web", "A program", ())

    def test_a_section_is_checked_when_it_is_read(self) -> None:
        """A section that cannot be registered is an error of the configuration."""
        self.assertRaises(Malformed, ClientSettings, "web", title="A program", redirects=("http://mail.bar.test/",))
        good = ClientSettings("web", title="A program", redirects=("https://mail.bar.test/login",))
        self.assertEqual(good.client(), register("web", "A program", ("https://mail.bar.test/login",)))
        self.assertIsNone(Settings().issuer)

    def test_loopback_addresses_do_not_stand_for_each_other(self) -> None:
        """The port of a loopback redirect is free, address and path are not."""
        self.assertTrue(is_redirect("http://[::1]:1/a", "http://[::1]:2/a"))
        self.assertFalse(is_redirect("http://[::1]/a", "http://127.0.0.1/a"))
        self.assertFalse(is_redirect("http://127.0.0.1/a", "http://127.0.0.1/b"))
        self.assertFalse(is_redirect("https://mail.bar.test/a", "https://mail.bar.test:8443/a"))

    def test_the_command_line_is_built_in(self) -> None:
        """`rrsctl` needs no section."""
        self.assertEqual(command_line(ISSUER).redirects, ("http://127.0.0.1/callback", "https://id.bar.test/rrs/code"))


class MetadataTests(SynchronousTestCase):
    """The provider's part of the metadata."""

    def test_what_clients_must_find(self) -> None:
        """PKCE, `iss` in answers and public clients are announced; no list is empty and `none` signs nothing."""
        document = claims.metadata(ISSUER, ["RS256", "ES256"])
        self.assertEqual(document["authorization_endpoint"], "https://id.bar.test/authorize")
        self.assertEqual(document["code_challenge_methods_supported"], ["S256"])
        self.assertIs(document["authorization_response_iss_parameter_supported"], True)
        self.assertEqual(document["id_token_signing_alg_values_supported"], ["RS256", "ES256"])
        self.assertNotIn("none", document["id_token_signing_alg_values_supported"])
        self.assertNotIn([], document.values())
