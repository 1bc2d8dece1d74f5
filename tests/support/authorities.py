"""A throw-away CA for client certificates, and everything that can be wrong with what it issues (M-07)."""

from collections.abc import Iterable

from attrs import evolve, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.x509 import parse_certificate
from rrsd.drivers.tls.credentials import Credential
from tests.support.certificates import END, START

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Extensions = Iterable[tuple[x509.ExtensionType, bool]]

CA = x509.BasicConstraints(ca=True, path_length=None)
_SHA256 = bytes.fromhex("2a864886f70d01010b")
_OLD = {hashes.SHA1: bytes.fromhex("2a864886f70d010105"), hashes.MD5: bytes.fromhex("2a864886f70d010104")}


def usage(*, certificates: bool = False, signatures: bool = False, agreement: bool = False) -> x509.KeyUsage:
    """What a key may be used for."""
    return x509.KeyUsage(signatures, False, False, False, agreement, certificates, certificates, False, False)


def purpose(*oids: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    """An extended key usage."""
    return x509.ExtendedKeyUsage(oids), False


SERVER = purpose(ExtendedKeyUsageOID.SERVER_AUTH)
CLIENT = purpose(ExtendedKeyUsageOID.CLIENT_AUTH)


def subject(unit: str | None, common_name: str) -> x509.Name:
    """OU and CN, or CN alone."""
    units = [] if unit is None else [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    return x509.Name([*units, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@frozen
class Issued:
    """A certificate with its key, and the CA certificates between it and the root."""

    certificate: x509.Certificate
    key: Private = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def peer(self) -> Certificate:
        """What a TLS connection with it says."""
        return attach(parse_certificate(self.der), [each.public_bytes(Encoding.DER) for each in self.above])

    @property
    def credential(self) -> Credential:
        """What a TLS client presents."""
        return Credential((self.certificate, *self.above), self.key)

    def issue(
        self,
        name: x509.Name,
        extensions: Extensions = (),
        *,
        key: Private | None = None,
        start: Instant = START,
        end: Instant = END,
    ) -> "Issued":
        """A certificate that this one signs."""
        above = (self.certificate, *self.above) if self.certificate.issuer != self.certificate.subject else ()
        return _sign(name, extensions, key or ec.generate_private_key(ec.SECP256R1()), self, above, start, end)

    def authority(self, common_name: str, *more: tuple[x509.ExtensionType, bool]) -> "Issued":
        """A CA below this one."""
        return self.issue(subject(None, common_name), ((CA, True), (usage(certificates=True), True), *more))

    def client(self, unit: str, common_name: str, *extensions: tuple[x509.ExtensionType, bool]) -> "Issued":
        """A client certificate."""
        return self.issue(subject(unit, common_name), extensions)


def attach(certificate: Certificate, chain: list[bytes]) -> Certificate:
    """The certificate with others that came with it."""
    return evolve(certificate, chain=tuple(chain))


def root(name: str = "Root", key: Private | None = None, *more: tuple[x509.ExtensionType, bool]) -> Issued:
    """A CA of its own."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    extensions = ((CA, True), (usage(certificates=True), True), *more)
    return _sign(subject(None, name), extensions, own, None, (), START, END)


def _sign(  # noqa: PLR0913 - what a certificate consists of
    name: x509.Name,
    extensions: Extensions,
    key: Private,
    issuer: Issued | None,
    above: tuple[x509.Certificate, ...],
    start: Instant,
    end: Instant,
) -> Issued:
    builder = x509.CertificateBuilder().subject_name(name).public_key(key.public_key())
    builder = builder.issuer_name(issuer.certificate.subject if issuer else name)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key, above)


def weakened(issued: Issued, signer: rsa.RSAPrivateKey, algorithm: hashes.HashAlgorithm) -> Issued:
    """The same certificate with a signature by SHA-1 or MD5 over it, which no library makes any more."""
    old = _OLD[type(algorithm)]
    signed = issued.certificate.tbs_certificate_bytes.replace(_SHA256, old)
    signature = signer.sign(signed, padding.PKCS1v15(), algorithm)
    tail = bytes.fromhex("300d0609") + old + bytes.fromhex("0500")
    bits = b"\x03" + _length(len(signature) + 1) + b"\0" + signature
    body = signed + tail + bits
    found = x509.load_der_x509_certificate(b"\x30" + _length(len(body)) + body)
    return Issued(found, issued.key, issued.above)


def _length(size: int) -> bytes:
    if size < 128:
        return bytes([size])
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits
