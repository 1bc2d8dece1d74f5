"""Certificates of our own making."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Damaged
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.instants import instant
from rrsd.drivers.keys.certificates import (
    DevelopmentAuthority,
    create_development_authority,
    key_bytes,
    load_pair,
    self_signed_client,
)

NOW = instant(1_700_000_000)
CLIENT = parse_client_identifier("_rra.bar.test")


class ClientCertificateTests(SynchronousTestCase):
    """The agent's certificate names the agent."""

    def test_subject_and_purpose(self) -> None:
        """OU and CN name the client, the purpose is client authentication, it is no authority."""
        pair = self_signed_client(CLIENT, NOW)
        parsed = x509.load_pem_x509_certificate(pair.certificate_pem)
        self.assertEqual(parsed.subject.rfc4514_string(), "CN=bar.test,OU=_rra")
        self.assertEqual(parsed.subject, parsed.issuer)
        usage = parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        self.assertEqual(list(usage), [ExtendedKeyUsageOID.CLIENT_AUTH])
        self.assertFalse(parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        self.assertEqual(pair.certificate.client, CLIENT)
        self.assertLess(pair.certificate.not_before, NOW)

    def test_the_key_is_not_in_the_repr(self) -> None:
        """A pair that is logged by mistake tells no key."""
        self.assertNotIn("PRIVATE", repr(self_signed_client(CLIENT, NOW)))

    def test_halves_that_do_not_belong_together(self) -> None:
        """A certificate with another key, or with a key of another kind, is refused."""
        pair = self_signed_client(CLIENT, NOW)
        big = rsa.generate_private_key(65537, 2048)
        keys = {
            "another key": self_signed_client(CLIENT, NOW).key_pem,
            "another curve": key_bytes(ec.generate_private_key(ec.SECP384R1())),
            "rsa": big.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "nothing": b"",
        }
        for name, key in keys.items():
            with self.subTest(name):
                self.assertRaises(Damaged, load_pair, pair.certificate_pem, key)


class DevelopmentAuthorityTests(SynchronousTestCase):
    """A laptop's own authority."""

    def test_a_verifier_accepts_the_server_for_each_of_its_names(self) -> None:
        """An independent verifier builds the chain for every name and for no other."""
        authority = create_development_authority(NOW)
        chain, _ = authority.issue(["foo.test", "rs.foo.test"], NOW)
        leaf = x509.load_pem_x509_certificate(chain)
        roots = PolicyBuilder().store(Store([x509.load_pem_x509_certificate(authority.certificate_pem)]))
        policy = roots.time(NOW)
        for name in ("foo.test", "rs.foo.test"):
            verifier = policy.build_server_verifier(x509.DNSName(name))
            self.assertEqual(len(verifier.verify(leaf, [])), 2)
        stranger = policy.build_server_verifier(x509.DNSName("bar.test"))
        self.assertRaises(VerificationError, stranger.verify, leaf, [])
        late = roots.time(NOW + timedelta(days=400)).build_server_verifier(x509.DNSName("foo.test"))
        self.assertRaises(VerificationError, late.verify, leaf, [])

    def test_a_foreign_kind_of_key(self) -> None:
        """An authority whose key is no EC key issues nothing."""
        big = rsa.generate_private_key(65537, 2048)
        pem = big.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        authority = DevelopmentAuthority(create_development_authority(NOW).certificate_pem, pem)
        self.assertRaises(Damaged, authority.issue, ["foo.test"], NOW)
