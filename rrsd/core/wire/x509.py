"""Certificates as TLS peers present them (RFC 5280, RFC 8705 3.1); no chain is looked at."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier, PublicKeyAlgorithmOID

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.addresses import ClientIdentifier, join_client_identifier
from rrsd.core.values.digests import digest_of
from rrsd.core.values.peers import Certificate
from rrsd.core.wire.keys import LEAST_RSA, MOST_RSA

MOST = 16384
_SPOKEN = (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)


def parse_certificate(der: bytes) -> Certificate:
    """What the certificate says; its signature is not checked.

    Raises:
        Malformed: it is no X.509 certificate, or its key is neither RSA of a sane size, nor EC, nor Ed25519.
        TooLarge: more than `MOST` bytes.
    """
    if len(der) > MOST:
        raise TooLarge(f"certificate of {len(der)} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _read(certificate, der)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Malformed("not an X.509 certificate") from None


def parse_pem(text: bytes) -> tuple[bytes, ...]:
    """The certificates in a PEM text, each in DER; at least one.

    Raises:
        Malformed: it holds none, or something that is none.
    """
    try:
        found = x509.load_pem_x509_certificates(text)
        return tuple(each.public_bytes(Encoding.DER) for each in found)
    except ValueError:
        raise Malformed("not PEM certificates") from None


def _read(certificate: x509.Certificate, der: bytes) -> Certificate:
    key = certificate.public_key()
    if not isinstance(key, _SPOKEN) or certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise Malformed("certificate key type")
    if isinstance(key, rsa.RSAPublicKey) and not LEAST_RSA <= key.key_size <= MOST_RSA:
        raise Malformed("certificate key size")
    return Certificate(
        x5t=digest_of(der),
        spki=digest_of(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        key_pem=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        client=_client(certificate.subject),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der=der,
    )


def public_key_of(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, whatever its key is.

    Raises:
        Malformed: it is no certificate, or its key cannot be read.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Malformed("not an X.509 certificate") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def dns_names(der: bytes) -> tuple[str, ...]:
    """The dNSNames of a certificate's subject alternative name, none when it has no such extension (RFC 5280 4.2.1.6).

    Raises:
        Malformed: it is no certificate, or its extensions cannot be read.
    """
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Malformed("not an X.509 certificate") from None
    return tuple(found.value.get_values_for_type(x509.DNSName))


def _client(subject: x509.Name) -> ClientIdentifier | None:
    unit = _only(subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    common_name = _only(subject, NameOID.COMMON_NAME)
    if unit is None or common_name is None:
        return None
    try:
        return join_client_identifier(unit, common_name)
    except Malformed:
        return None


def _only(subject: x509.Name, oid: ObjectIdentifier) -> str | None:
    values = [attribute.value for attribute in subject.get_attributes_for_oid(oid)]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None
