"""A private key and the certificates that belong to it."""

from typing import Any

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rrsd.core.refusals import Malformed


@frozen
class Credential:
    """A certificate chain, leaf first, with the leaf's private key."""

    chain: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes = field(repr=False)

    def use_in(self, context: Any) -> None:
        """Present it in the connections of `context`, an `OpenSSL.SSL.Context`."""
        context.use_certificate(self.chain[0])
        for certificate in self.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self.key)
        context.check_privatekey()


def parse_credential(chain_pem: bytes, key_pem: bytes) -> Credential:
    """The credential in two PEM texts.

    Raises:
        Malformed: one of them cannot be read, or the key is not the leaf's.
    """
    try:
        chain = tuple(x509.load_pem_x509_certificates(chain_pem))
    except ValueError:
        raise Malformed("certificate is not PEM") from None
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError):
        raise Malformed("private key is not unencrypted PEM") from None
    if key.public_key() != chain[0].public_key():
        raise Malformed("private key and certificate do not belong together")
    return Credential(chain, key)  # type: ignore[arg-type]
