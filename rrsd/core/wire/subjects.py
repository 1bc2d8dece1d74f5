"""The one name by which a CA's certificate is a client's (RFC 8705 2.1.2, RFC 4514, RFC 5280 4.2.1.6)."""

from collections.abc import Callable
from enum import StrEnum
from ipaddress import ip_address

from attrs import frozen
from cryptography import x509

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address, parse_domain


class NameKind(StrEnum):
    """Where in the certificate the name stands."""

    SUBJECT_DN = "subject_dn"
    DNS = "san_dns"
    URI = "san_uri"
    IP = "san_ip"
    EMAIL = "san_email"


@frozen
class CertificateName:
    """A name that a certificate must have: `value` is in the one form that is compared."""

    kind: NameKind
    value: object


def parse_certificate_name(kind: NameKind, text: str) -> CertificateName:
    """The name that `text` writes: a distinguished name as RFC 4514 does, a host, a URI, an IP address, an address.

    Raises:
        Malformed: it writes none.
    """
    try:
        return CertificateName(kind, _READERS[kind](text))
    except (ValueError, TypeError):
        raise Malformed(f"{kind} is not one") from None


def has_name(der: bytes, name: CertificateName) -> bool:
    """Whether the certificate has the name: attribute by attribute for a subject, code point by code point for others.

    A wildcard is no name of a client.
    """
    certificate = x509.load_der_x509_certificate(der)
    if name.kind is NameKind.SUBJECT_DN:
        return certificate.subject == name.value
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False
    return name.value in [_read(name.kind, str(each.value)) for each in names if isinstance(each, _TYPES[name.kind])]


def _read(kind: NameKind, text: str) -> object:
    try:
        return parse_certificate_name(kind, text).value
    except Malformed:
        return None


def _read_subject(text: str) -> x509.Name:
    name = x509.Name.from_rfc4514_string(text)
    if not name.rdns:
        raise ValueError(text)
    return name


def _read_uri(text: str) -> str:
    if ":" not in text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(text)
    return text


_READERS: dict[NameKind, Callable[[str], object]] = {
    NameKind.SUBJECT_DN: _read_subject,
    NameKind.DNS: parse_domain,
    NameKind.URI: _read_uri,
    NameKind.IP: ip_address,
    NameKind.EMAIL: parse_address,
}
_TYPES: dict[NameKind, type[x509.GeneralName]] = {
    NameKind.DNS: x509.DNSName,
    NameKind.URI: x509.UniformResourceIdentifier,
    NameKind.IP: x509.IPAddress,
    NameKind.EMAIL: x509.RFC822Name,
}
