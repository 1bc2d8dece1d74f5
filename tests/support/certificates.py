"""Throw-away authorities, server certificates and self-signed client certificates."""

from datetime import UTC, datetime

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rrsd.drivers.tls.credentials import Credential, parse_credential

START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2120, 1, 1, tzinfo=UTC)


@frozen
class Pair:
    """A certificate with its key, as PEM."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def credential(self) -> Credential:
        """What the TLS driver takes."""
        return parse_credential(self.certificate_pem, self.key_pem)


class Authority:
    """A certificate authority that lasts as long as the object."""

    def __init__(self, name: str = "Test authority") -> None:
        self.pair = _issue(_name(name), None, _for_authority())

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        return self.pair.certificate_pem

    def server(self, *names: str, start: datetime = START, end: datetime = END) -> Pair:
        """A server certificate for the host names."""
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        return _issue(_name(names[0]), self.pair, ((alternative, False),), start, end)


def client(unit: str, common_name: str, *, padding: int = 0, start: datetime = START, end: datetime = END) -> Pair:
    """A self-signed client certificate with that OU and CN, larger by `padding` bytes."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x04\x00" + bytes(padding))
    return _issue(subject, None, ((extra, False),) if padding else (), start, end)


def _for_authority() -> tuple[tuple[x509.ExtensionType, bool], ...]:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return ((x509.BasicConstraints(ca=True, path_length=None), True), (usage, True))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _issue(
    subject: x509.Name,
    issuer: Pair | None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...],
    start: datetime = START,
    end: datetime = END,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer.certificate.subject if issuer else subject)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)
