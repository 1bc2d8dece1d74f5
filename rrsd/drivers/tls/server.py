"""Serving TLS: any client certificate is asked for and accepted; the application judges it later (RFC 8446, RFC 8705).

No session is ever resumed, so a client's identity is always that of this very handshake (M-09), and there is no 0-RTT.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from rrsd.drivers.tls.credentials import Credential
from rrsd.drivers.tls.settings import Version

HTTP11 = b"http/1.1"
_VERSIONS = {Version.TLS13: SSL.TLS1_3_VERSION, Version.TLS12: SSL.TLS1_2_VERSION}


def base_context(method: int, minimum: Version) -> SSL.Context:
    """A context with what both directions share: versions, no renegotiation, no compression, no sessions."""
    context = SSL.Context(method)
    context.set_min_proto_version(_VERSIONS[minimum])
    context.set_options(_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.clear_mode(_PARTIAL_WRITE)
    return context


_NO_RENEGOTIATION: int = getattr(SSL, "OP_NO_RENEGOTIATION", 0x40000000)
_PARTIAL_WRITE = 0x1
"""SSL_MODE_ENABLE_PARTIAL_WRITE, which pyOpenSSL sets and does not name: off, so that one call takes a whole block."""


def server_context(credential: Credential, minimum: Version) -> SSL.Context:
    """The context that serves with `credential`."""
    context = base_context(SSL.TLS_SERVER_METHOD, minimum)
    context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_verify(SSL.VERIFY_PEER, _accept)
    context.set_alpn_select_callback(_select)
    credential.use_in(context)
    return context


def _accept(*_: object) -> bool:
    return True


def _select(_: SSL.Connection, offered: list[bytes]) -> Any:
    """HTTP/1.1 if it is offered; a client that offers only others gets no protocol named, which it may refuse."""
    return HTTP11 if HTTP11 in offered else SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes the server side of each connection from the credential that is current at that moment."""

    def __init__(self, credential: Credential, minimum: Version = Version.TLS13) -> None:
        self._minimum = minimum
        self._context = server_context(credential, minimum)

    def replace(self, credential: Credential) -> None:
        """Use `credential` for connections from now on; those that are open keep theirs."""
        self._context = server_context(credential, self._minimum)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:  # noqa: N802 - Twisted's interface
        """A new connection."""
        return SSL.Connection(self._context, None)
