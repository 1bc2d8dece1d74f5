"""Certificates of TLS peers."""

import base64
import contextlib
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import Certificate
from rrsd.core.wire import keys
from rrsd.core.wire.x509 import MOST, dns_names, parse_certificate, public_key_of
from tests.core import signing
from tests.core.vectors import published

OU, CN = NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME
MTLS_DER = base64.b64decode("".join(published.MTLS_PEM.splitlines()[1:-1]))


class CertificateTests(SynchronousTestCase):
    """What a certificate says."""

    def test_rfc8705_appendix_a(self) -> None:
        """The published certificate, of version 1, has the published hashes and names no client."""
        certificate = parse_certificate(MTLS_DER)
        self.assertEqual(certificate.x5t.b64, published.MTLS_X5T)
        self.assertEqual(certificate.spki.hex, published.MTLS_SPKI)
        self.assertEqual(keys.describe(keys.load_pem(certificate.key_pem)), published.MTLS_JWK)
        self.assertIsNone(certificate.client)
        self.assertLess(certificate.not_before, certificate.not_after)

    def test_client_of_the_subject(self) -> None:
        """The subject's OU and CN are the client identifier."""
        self.assertEqual(signing.CERTIFICATE.client, signing.CLIENT)
        self.assertEqual(signing.CERTIFICATE.not_before, signing.NOW)

    def test_o11_subjects_that_name_no_client(self) -> None:
        """None unless there is exactly one OU and one CN, and both are names."""
        for subject in (
            signing.name((CN, "bar.test")),
            signing.name((OU, "_rra")),
            signing.name((OU, "_rra"), (OU, "_sts"), (CN, "bar.test")),
            signing.name((OU, "_rra"), (CN, "bar.test"), (CN, "evil.test")),
            signing.client_name("_rra.x"),
            signing.client_name("_rra", "bar.test@evil.test"),
            signing.client_name("_rra", "127.0.0.1"),
        ):
            self.assertIsNone(signing.certificate(subject=subject).client)

    def test_m03_another_key_with_the_same_subject(self) -> None:
        """A certificate with the same subject and another key differs in both hashes."""
        other = signing.certificate(signing.OTHER_KEY)
        self.assertEqual(other.client, signing.CERTIFICATE.client)
        self.assertNotEqual((other.x5t, other.spki), (signing.CERTIFICATE.x5t, signing.CERTIFICATE.spki))

    def test_m04_the_same_key_issued_again(self) -> None:
        """A certificate issued again for the same key differs in x5t and not in the key's hash."""
        again = signing.certificate(serial=8)
        self.assertNotEqual(again.x5t, signing.CERTIFICATE.x5t)
        self.assertEqual(again.spki, signing.CERTIFICATE.spki)

    def test_key_types(self) -> None:
        """RSA of a sane size, EC and Ed25519 keys are read."""
        for key in (signing.rsa_key(), signing.ED_KEY, ec.derive_private_key(5, ec.SECP384R1())):
            self.assertIsInstance(signing.certificate(key), Certificate)

    def test_m12_keys_that_cost(self) -> None:
        """Weak RSA, endless RSA and other key types are refused."""
        huge = rsa.RSAPublicNumbers(65537, 2**16384 - 1).public_key()
        subject = signing.client_name()
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(huge).serial_number(7)
        builder = builder.not_valid_before(signing.NOW).not_valid_after(signing.NOW)
        long = builder.sign(signing.CLIENT_KEY, hashes.SHA256()).public_bytes(Encoding.DER)
        self.assertRaises(Malformed, parse_certificate, long)
        self.assertRaises(Malformed, parse_certificate, signing.der_certificate(signing.rsa_key(1024)))

    def test_other_key_types(self) -> None:
        """Keys that are neither RSA, EC nor Ed25519 are refused, and RSA keys that are for PSS only."""
        der = signing.der_certificate(ed448.Ed448PrivateKey.generate())
        self.assertRaises(Malformed, parse_certificate, der)
        der = signing.der_certificate(signing.rsa_key())
        plain, pss = (bytes.fromhex(f"300d06092a864886f70d0101{last}0500") for last in ("01", "0a"))
        self.assertRaises(Malformed, parse_certificate, der.replace(plain, pss))

    def test_m12_certificate_of_endless_size(self) -> None:
        """Too many bytes are refused before they are read."""
        self.assertRaises(TooLarge, parse_certificate, bytes(MOST + 1))

    def test_bytes_that_are_no_certificate(self) -> None:
        """Nothing, a cut certificate and bytes after it are refused."""
        der = signing.der_certificate()
        for data in (b"", der[:-1], der + b"\0", b"0", published.MTLS_PEM.encode("ascii")):
            self.assertRaises(Malformed, parse_certificate, data)

    def test_key_that_is_no_key(self) -> None:
        """A certificate whose point is off the curve is refused."""
        der = signing.der_certificate()
        point = re.search(rb"\x00\x04.{64}", der, re.DOTALL)
        assert point is not None
        self.assertRaises(Malformed, parse_certificate, der.replace(point[0], point[0][:-1] + b"\x00"))

    def test_key_of_any_kind(self) -> None:
        """The key of another certificate in a chain is hashed, whatever it is."""
        for key in (signing.CLIENT_KEY, signing.rsa_key(1024), ed448.Ed448PrivateKey.generate()):
            expected = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.assertEqual(public_key_of(signing.der_certificate(key)), expected)
        self.assertRaises(Malformed, public_key_of, b"no certificate")

    def test_dns_names(self) -> None:
        """The dNSNames alone, in any case as they stand; none without the extension."""
        self.assertEqual(dns_names(signing.der_certificate()), ())
        self.assertEqual(dns_names(self.named("_rra.bar.test", "bar.test")), ("_rra.bar.test", "bar.test"))
        self.assertRaises(Malformed, dns_names, b"no certificate")

    def named(self, *names: str) -> bytes:
        """A certificate with these dNSNames and a mail address."""
        subject, key = signing.client_name(), signing.CLIENT_KEY
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        builder = builder.serial_number(7).not_valid_before(signing.NOW).not_valid_after(signing.NOW)
        alternative = x509.SubjectAlternativeName([*map(x509.DNSName, names), x509.RFC822Name("a@bar.test")])
        return builder.add_extension(alternative, False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    @settings(derandomize=True, max_examples=200)
    @given(st.integers(0, 255), st.integers(0, 10**6))
    def test_never_crashes(self, value: int, at: int) -> None:
        """A certificate with any byte changed is a certificate or `Malformed`."""
        der = bytearray(MTLS_DER if at % 2 else signing.der_certificate())
        der[at % len(der)] = value
        try:
            self.assertEqual(parse_certificate(bytes(der)).x5t, digest_of(bytes(der)))
        except Malformed:
            return

    @settings(derandomize=True, max_examples=200)
    @given(st.integers(0, 255), st.integers(0, 10**6))
    def test_reading_parts_never_crashes(self, value: int, at: int) -> None:
        """The same of the key and the names alone."""
        der = bytearray(self.named("_rra.bar.test"))
        der[at % len(der)] = value
        for read in (public_key_of, dns_names):
            with contextlib.suppress(Malformed):
                read(bytes(der))
