"""Certificates of our own making: the agent's self-signed one, and a small authority for a laptop."""

from collections.abc import Iterable
from datetime import timedelta

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rrsd.core.refusals import Damaged, Malformed
from rrsd.core.values.addresses import ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.wire import jose
from rrsd.core.wire.keys import describe
from rrsd.core.wire.x509 import parse_certificate

CLIENT_LIFE = timedelta(days=3650)
"""The client certificate is pinned by its hash, not by a chain: its end is a reminder, no protection."""

DEVELOPMENT_LIFE = timedelta(days=365)
_EARLY = timedelta(hours=1)  # for peers whose clock is behind


@frozen
class KeyPair:
    """A certificate with its private key on P-256; `kid` is the RFC 7638 thumbprint."""

    certificate: Certificate
    kid: str
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    private: ec.EllipticCurvePrivateKey = field(repr=False, eq=False)


def load_pair(certificate_pem: bytes, key_pem: bytes) -> KeyPair:
    """The pair that two PEM texts hold.

    Raises:
        Damaged: one of them cannot be read, the key is not on P-256, or they do not belong together.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate_pem)
        private = serialization.load_pem_private_key(key_pem, None)
        certificate = parse_certificate(parsed.public_bytes(serialization.Encoding.DER))
    except (ValueError, TypeError, Malformed):
        raise Damaged("not a PEM certificate with its PEM key") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise Damaged("the client key is not on P-256")
    if private.public_key() != parsed.public_key():
        raise Damaged("the client key is not the key of the client certificate")
    kid = jose.thumbprint(describe(private.public_key())).b64
    return KeyPair(certificate, kid, certificate_pem, key_pem, private)


def self_signed_client(client: ClientIdentifier, now: Instant, life: timedelta = CLIENT_LIFE) -> KeyPair:
    """A fresh self-signed client certificate whose subject's OU and CN are those of `client` (RFC 8705 2.2)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, client.unit),
            x509.NameAttribute(NameOID.COMMON_NAME, str(client.domain)),
        ]
    )
    builder = _builder(subject, subject, key.public_key(), now, life)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return load_pair(certificate.public_bytes(serialization.Encoding.PEM), key_bytes(key))


@frozen
class DevelopmentAuthority:
    """A certificate authority for `rrsctl init --development`, the demo and tests; never for a real domain."""

    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)

    def issue(self, names: Iterable[str], now: Instant, life: timedelta = DEVELOPMENT_LIFE) -> tuple[bytes, bytes]:
        """A server certificate for the host `names` followed by the authority's, and its key, both PEM."""
        hosts = list(names)
        authority = x509.load_pem_x509_certificate(self.certificate_pem)
        signing = serialization.load_pem_private_key(self.key_pem, None)
        if not isinstance(signing, ec.EllipticCurvePrivateKey):
            raise Damaged("the development authority's key is not an EC key")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        builder = _builder(subject, authority.subject, key.public_key(), now, life)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
        certificate = builder.add_extension(issuer_key, critical=False).sign(signing, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM) + self.certificate_pem, key_bytes(key)


def create_development_authority(now: Instant, life: timedelta = DEVELOPMENT_LIFE) -> DevelopmentAuthority:
    """A fresh authority; whoever trusts `certificate_pem` trusts everything that its key signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rrsd development authority")])
    builder = _builder(name, name, key.public_key(), now, life, is_authority=True)
    certificate = builder.sign(key, hashes.SHA256())
    return DevelopmentAuthority(certificate.public_bytes(serialization.Encoding.PEM), key_bytes(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: Instant,
    life: timedelta,
    is_authority: bool = False,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_authority, crl_sign=is_authority,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
