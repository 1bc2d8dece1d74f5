"""Calling over TLS: servers are verified by name against configured roots, always (RFC 9525)."""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from rrsd.core.refusals import Malformed
from rrsd.drivers.tls.credentials import Credential
from rrsd.drivers.tls.server import HTTP11, base_context
from rrsd.drivers.tls.settings import Version

_log = Logger()


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class NamedConnection:
    """Makes connections to one host name; two that are equal show the same certificate."""

    context: SSL.Context
    name: str

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: N802 - Twisted's interface
        """A new connection that fails its handshake unless the server proves the name."""
        connection = SSL.Connection(self.context, None)
        connection.set_tlsext_host_name(self.name.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, _verifier(self.name))
        return connection


def _verifier(name: str) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
    def verify(_: SSL.Connection, certificate: X509, error: int, depth: int, ok: int) -> bool:
        if not ok or depth > 0:
            return bool(ok)
        try:
            verify_certificate_hostname(certificate.to_cryptography(), name)
        except (VerificationError, CertificateError):
            return False
        except Exception:  # an exception must not cross OpenSSL
            _log.failure("certificate of {name} cannot be judged", name=name)
            return False
        return True

    return verify


class ClientTls:
    """Connection creators for hosts; with `credential` they present the client certificate when asked.

    `alpn` is the protocol that is spoken."""

    def __init__(
        self,
        minimum: Version = Version.TLS13,
        roots_pem: bytes | None = None,
        credential: Credential | None = None,
        *,
        alpn: bytes = HTTP11,
    ) -> None:
        self._minimum = minimum
        self._roots = roots_pem
        self._alpn = alpn
        self._context = self._made(credential)

    def creator_for(self, name: str) -> Any:
        """What makes connections to the host `name`."""
        return NamedConnection(self._context, name)

    def replace(self, credential: Credential | None) -> None:
        """Present `credential` on connections from now on."""
        self._context = self._made(credential)

    def _made(self, credential: Credential | None) -> SSL.Context:
        context = base_context(SSL.TLS_CLIENT_METHOD, self._minimum)
        context.set_alpn_protos([self._alpn])
        context.set_verify_depth(5)
        if self._roots is None:
            context.set_default_verify_paths()
        else:
            trust(context, self._roots)
        if credential is not None:
            credential.use_in(context)
        return context


def trust(context: SSL.Context, roots_pem: bytes) -> None:
    """Trust the authorities in `roots_pem` and no others.

    Raises:
        Malformed: there is none.
    """
    store = context.get_cert_store()
    try:
        roots = x509.load_pem_x509_certificates(roots_pem)
    except ValueError:
        raise Malformed("roots are not PEM certificates") from None
    for root in roots:
        store.add_cert(X509.from_cryptography(root))
