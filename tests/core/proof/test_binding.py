"""Who may be talked to, and who a client is."""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof import binding
from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import ClientProof, Origin, Strength, parse_issuer, parse_origin, parse_url
from rrsd.core.wire.metadata import IssuerMetadata
from tests.core import signing
from tests.core.signing import BAR, CERTIFICATE, CLIENT, ISSUER, NOW, OTHER_KEY

DOMAIN = parse_domain("bar.test")
METADATA = IssuerMetadata(ISSUER, BAR.jwks_uri, BAR.token_endpoint, BAR.protected_resources)


class PeerTests(SynchronousTestCase):
    """Origins that may be talked to."""

    def test_reasons(self) -> None:
        """Each proven peer is an origin with the reason why it may be talked to."""
        for peer, origin in (
            (binding.stranger(DOMAIN), Origin(DOMAIN)),
            (binding.issuer_of(DOMAIN, ISSUER), ISSUER.origin),
            (binding.configured(Origin(DOMAIN)), Origin(DOMAIN)),
            (binding.speaks_for(BAR, BAR.protected_resources[0]), BAR.protected_resources[0]),
            (binding.token_endpoint(BAR), parse_origin("https://mtls.bar.test")),
            (binding.host_of(BAR, parse_url("https://sts.bar.test:8443/x")), parse_origin("https://sts.bar.test:8443")),
        ):
            self.assertEqual(peer.origin, origin)
            self.assertTrue(peer.proof)

    def test_s15_resource_server_that_is_not_listed(self) -> None:
        """An origin that the domain's issuer does not list may not be talked to, nor its neighbours."""
        for text in ("https://rs.evil.test", "https://bar.test", "https://rs.bar.test:8443", "https://x.rs.bar.test"):
            self.assertRaises(Unproven, binding.speaks_for, BAR, parse_origin(text))

    def test_f11_keys_on_another_host(self) -> None:
        """A URL on another host than the issuer's proves nothing, not even on a subdomain."""
        for text in ("https://evil.test/jwks", "https://x.sts.bar.test/jwks", "https://bar.test/jwks"):
            self.assertRaises(Unproven, binding.host_of, BAR, parse_url(text))


class IntroductionTests(SynchronousTestCase):
    """Who speaks for a domain."""

    def prove(self, asked: Any = ISSUER, **changes: Any) -> Any:
        """The introduction by metadata with these changes."""
        return binding.prove_introduction(DOMAIN, asked, evolve(METADATA, **changes), BAR.until)

    def test_good(self) -> None:
        """Metadata of the issuer that was asked for introduces it."""
        self.assertEqual(self.prove(), BAR)

    def test_d01_metadata_of_another_issuer(self) -> None:
        """Metadata that names another issuer, in anything, is refused."""
        for text in ("https://sts.evil.test", "https://sts.bar.test/x", "https://sts.bar.test:8443"):
            self.assertRaises(Unproven, self.prove, parse_issuer(text))

    def test_f11_keys_on_another_host(self) -> None:
        """Metadata whose keys are kept by another domain is refused."""
        self.assertRaises(Unproven, self.prove, jwks_uri=parse_url("https://evil.test/jwks"))


class ClientTests(SynchronousTestCase):
    """Whose a certificate's key is."""

    def test_by_issuer(self) -> None:
        """The issuer whose host is the client's domain vouches; another does not, a subdomain's neither."""
        proof = binding.prove_client_by_issuer(CERTIFICATE, parse_issuer("https://bar.test/x"), NOW)
        self.assertEqual(proof, ClientProof(CLIENT, "issuer", NOW, Strength.ISSUER))
        for certificate, issuer in (
            (CERTIFICATE, ISSUER),
            (evolve(CERTIFICATE, client=None), parse_issuer("https://bar.test")),
        ):
            self.assertRaises(Unproven, binding.prove_client_by_issuer, certificate, issuer, NOW)

    def test_o13_by_webfinger(self) -> None:
        """The key is among those published, old and new while they roll over."""
        for hashes in ((CERTIFICATE.spki,), (digest_of(b"old"), CERTIFICATE.spki)):
            proof = binding.prove_client_by_webfinger(CERTIFICATE, hashes, NOW)
            self.assertEqual(proof, ClientProof(CLIENT, "webfinger", NOW))

    def test_o05_by_txt(self) -> None:
        """A TXT record is believed as far as DNS is."""
        for strength in (Strength.DNSSEC, Strength.WEAK):
            proof = binding.prove_client_by_txt(CERTIFICATE, [digest_of(b"old"), CERTIFICATE.spki], NOW, strength)
            self.assertEqual(proof, ClientProof(CLIENT, "dns-txt", NOW, strength))
            self.assertRaises(Unproven, binding.prove_client_by_txt, CERTIFICATE, [CERTIFICATE.x5t], NOW, strength)

    def test_m04_the_same_key_issued_again(self) -> None:
        """A re-issued certificate of a published key still proves the client."""
        self.assertEqual(
            binding.prove_client_by_webfinger(signing.certificate(serial=8), [CERTIFICATE.spki], NOW).client, CLIENT
        )

    def test_o10_other_keys_only(self) -> None:
        """A published key that does not match is final, and so is an empty list and a hash of the certificate."""
        for hashes in ((), (digest_of(b"old"),), (CERTIFICATE.x5t,), (signing.certificate(OTHER_KEY).spki,)):
            self.assertRaises(Unproven, binding.prove_client_by_webfinger, CERTIFICATE, hashes, NOW)

    def test_o11_certificate_without_a_name(self) -> None:
        """A certificate that names no client proves none."""
        nameless = evolve(CERTIFICATE, client=None)
        self.assertRaises(Unproven, binding.prove_client_by_webfinger, nameless, [CERTIFICATE.spki], NOW)
